/** Counts what the run does and says it as a {@link RunStatus}. */
import {
  agreedStatus,
  type Collection,
  type HybridTs,
  type ImportStatus,
  type LogRetention,
  msOfHybrid,
  type ResumePoint,
  type RunPhase,
  type RunStatus,
  type TickGroup,
  type WaitStatus,
} from "../../model/mod.ts";
import { positionsOf } from "../../positions/mod.ts";
import type { Wait, Waits } from "../../waits.ts";
import type { RunState, SinkState } from "./run_state.ts";

interface Counters {
  segmentsTotal: number;
  segmentsDone: number;
  rowsTotal: bigint;
  inserted: bigint;
  deleted: bigint;
  imports: ImportStatus | undefined;
  /** Of imports that are not completed; they are not in the state's rows yet. */
  rowsImporting: bigint;
}

/** Rates are over the last this many ms. */
const RATE_WINDOW_MS = 5000;

export class RunProgress {
  phase: RunPhase = "starting";
  lastError: string | undefined;
  readonly #state: RunState;
  readonly #now: () => number;
  readonly #counters = new Map<string, Counters>();
  readonly #warnings = new Map<string, string>();
  readonly #waits: Pick<Waits, "list">;
  readonly #records = new Map<string, { at: number; count: number }[]>();
  /** pchannels that were found at their ends, when, and the last tick before it. */
  readonly #ends = new Map<string, { readonly at: number; readonly tick: HybridTs }>();
  /** Sink and pchannel -> up to when the sink has all of the log, where that is later than its position. */
  readonly #whole = new Map<string, HybridTs>();
  readonly #done: { at: number; rows: number; bytes: number }[] = [];
  readonly #startedAt: number;
  /** Set by the engine once there is a window. */
  window: { readonly used: number; readonly limit: number } | undefined;
  #channels: readonly string[] = [];
  readonly #retention = new Map<string, LogRetention>();
  /** Sink -> why nothing is written there. */
  readonly #held = new Map<string, string>();

  constructor(state: RunState, now: () => number, waits: Pick<Waits, "list">) {
    this.#state = state;
    this.#waits = waits;
    this.#now = now;
    this.#startedAt = now();
  }

  /** Collections to come, so that the status shows them before their first row. */
  expect(sink: string, collection: Collection, segments: number, rows: bigint): void {
    const counters = this.#of(sink, collection.id);
    counters.segmentsTotal = segments;
    counters.rowsTotal = rows;
  }

  /** Nothing of the collection is done any more. */
  startOver(sink: string, id: bigint): void {
    this.#of(sink, id).segmentsDone = 0;
    this.importing(sink, id, undefined, 0n);
  }

  /** `rows`: of the imports under way, as far as they are. */
  importing(sink: string, id: bigint, imports: ImportStatus | undefined, rows: bigint): void {
    const counters = this.#of(sink, id);
    counters.imports = imports;
    counters.rowsImporting = rows;
  }

  segmentDone(sink: string, id: bigint): void {
    this.#of(sink, id).segmentsDone++;
  }

  written(rows: number, bytes: number): void {
    this.#done.push({ at: this.#now(), rows, bytes });
  }

  applied(sink: string, id: bigint, inserted: number, deleted: number): void {
    const counters = this.#of(sink, id);
    counters.inserted += BigInt(inserted);
    counters.deleted += BigInt(deleted);
    this.#done.push({ at: this.#now(), rows: inserted + deleted, bytes: 0 });
  }

  read(group: TickGroup): void {
    if (group.end === undefined) this.#ends.delete(group.pchannel);
    else if (group.end.waiting === undefined) this.#ends.set(group.pchannel, { at: this.#now(), tick: group.tick });
    if (group.end !== undefined) return;
    let list = this.#records.get(group.pchannel);
    if (list === undefined) this.#records.set(group.pchannel, list = []);
    list.push({ at: this.#now(), count: group.events.length });
    while (list.length > 0 && list[0]!.at < this.#now() - RATE_WINDOW_MS) list.shift();
  }

  /**
   * A sink durably has all of the log up to `tick`. An archive's position, from where it would be read again, is that of the
   * last record that it kept: where there was none to keep, it says nothing of how far the archive is.
   */
  whole(sink: string, pchannel: string, tick: HybridTs): void {
    this.#whole.set(`${sink}/${pchannel}`, tick);
  }

  channels(names: readonly string[]): void {
    this.#channels = names;
  }

  get pchannels(): readonly string[] {
    return this.#channels;
  }

  /** What the queue says of a pchannel. */
  retains(pchannel: string, retention: LogRetention): void {
    this.#retention.set(pchannel, retention);
  }

  /** Nothing is written to a sink any more; the others go on. */
  holds(sink: string, reason: string): void {
    this.#held.set(sink, reason);
  }

  goesOn(sink: string): void {
    this.#held.delete(sink);
  }

  warn(key: string, message: string): boolean {
    if (this.#warnings.has(key)) return false;
    this.#warnings.set(key, message);
    return true;
  }

  /** What to say in the status' `lastError`. */
  failed(message: string): void {
    this.lastError = message;
  }

  status(): RunStatus {
    const now = this.#now();
    while (this.#done.length > 0 && this.#done[0]!.at < now - RATE_WINDOW_MS) this.#done.shift();
    const span = Math.max(1, Math.min(RATE_WINDOW_MS, now - this.#startedAt)) / 1000;
    const rows = this.#done.reduce((sum, item) => sum + item.rows, 0);
    const bytes = this.#done.reduce((sum, item) => sum + item.bytes, 0);
    const channels = this.#channelStatus(now, span);
    const waits = this.#waits.list();
    const waiting = new Map<string, string>();
    for (const { component, collection, reason, aside } of waits) {
      // Nobody waits for a backup that is held.
      const alone = aside === true || this.#held.has(sinkOf(component));
      if (collection === undefined && !alone && component !== "run" && !waiting.has(component)) {
        waiting.set(component, reason);
      }
    }
    const collections = [...this.#state.sinks].flatMap(([sink, state]) => this.#collections(sink, state));
    const held = collections.length > 0 && collections.every((item) => item.phase === "blocked");
    const phase = this.phase === "done" ? "done" : held ? "blocked" : waiting.size > 0 ? "waiting" : this.phase;
    return {
      pipeline: this.#state.pipeline,
      phase,
      collections,
      channels,
      // Components of the sources stand beside the sinks while they wait.
      sinks: [...new Set([...this.#state.sinks.keys(), ...[...waiting.keys()].map(sinkOf)])].map((name) => {
        const held = this.#held.get(name);
        if (held !== undefined) return { name, state: "held", reason: held };
        const reason = waiting.get(name) ?? waiting.get(`sinks.${name}`);
        return { name, state: reason === undefined ? "ok" : "waiting", reason: reason ?? "" };
      }),
      bases: [...this.#state.sinks].flatMap(([sink, { bases }]) => bases === undefined ? [] : [{ sink, ...bases }]),
      waits: waits.map(waitStatus),
      lagMs: channels.reduce((max, channel) => Math.max(max, channel.lagMs), 0),
      rates: { rowsPerSec: rows / span, bytesPerSec: bytes / span },
      inFlightBytes: this.window?.used ?? 0,
      inFlightLimitBytes: this.window?.limit ?? 0,
      startedAt: new Date(this.#startedAt).toISOString(),
      checkpointAt: this.#state.savedAt,
      at: new Date(now).toISOString(),
      lastError: this.lastError,
      warnings: [...this.#warnings.values()],
    };
  }

  /** Without a log each vchannel is as old as its last cut. */
  #cutStatus(now: number): RunStatus["channels"] {
    const cuts = new Map<string, HybridTs>();
    for (const { vchannels, collections } of this.#state.sinks.values()) {
      for (const { vchannel, collectionId, ts } of vchannels.values()) {
        if (collections.get(collectionId)?.phase !== "tail") continue;
        const known = cuts.get(vchannel);
        if (known === undefined || ts < known) cuts.set(vchannel, ts);
      }
    }
    return [...cuts].map(([pchannel, tick]) => ({
      pchannel,
      position: positionsOf(this.#state.queue).format(0n),
      tick,
      lagMs: tick === 0n ? 0 : Math.max(0, now - msOfHybrid(tick)),
      recordsPerSec: 0,
    }));
  }

  #channelStatus(now: number, span: number): RunStatus["channels"] {
    if (this.#state.queue === "files") return this.#cutStatus(now);
    const held = this.#heldTicks();
    return this.#channels.map((pchannel) => {
      // The slowest sink decides.
      let slowest: ResumePoint | undefined;
      let reached: HybridTs | undefined;
      let followed: HybridTs | undefined;
      for (const [name, sink] of this.#state.sinks) {
        const position = sink.positions.get(pchannel) ?? cutOf(sink, pchannel);
        if (position === undefined) continue;
        if (slowest === undefined || position.tick < slowest.tick) slowest = position;
        const whole = this.#whole.get(`${name}/${pchannel}`) ?? 0n;
        const own = whole > position.tick ? whole : position.tick;
        if (reached === undefined || own < reached) reached = own;
        // A backup that is held does not follow: it is told of by itself, and the log is needed from where it stopped.
        if (!this.#held.has(name) && (followed === undefined || own < followed)) followed = own;
      }
      const lagMs = this.#lagMs(pchannel, followed, now);
      const end = this.#ends.get(pchannel);
      const isIdle = end !== undefined && reached !== undefined && end.tick <= reached;
      const heldTick = held.get(pchannel);
      const records = (this.#records.get(pchannel) ?? []).filter((item) => item.at >= now - RATE_WINDOW_MS);
      return {
        pchannel,
        position: positionsOf(this.#state.queue).format(slowest?.offset ?? 0n),
        tick: reached ?? 0n,
        lagMs,
        ...isIdle ? { idleMs: Math.max(0, now - end.at) } : {},
        neededMs: Math.max(
          this.#lagMs(pchannel, reached, now),
          heldTick === undefined ? 0 : now - msOfHybrid(heldTick),
        ),
        retention: this.#retention.get(pchannel),
        recordsPerSec: records.reduce((sum, item) => sum + item.count, 0) / span,
      };
    });
  }

  /** pchannel -> the oldest place of vchannels that its position is not the place of: their log is still needed. */
  #heldTicks(): Map<string, HybridTs> {
    const ticks = new Map<string, HybridTs>();
    for (const { positions, vchannels } of this.#state.sinks.values()) {
      for (const { pchannel, held, ts } of vchannels.values()) {
        if (!held && positions.has(pchannel)) continue;
        const known = ticks.get(pchannel);
        if (known === undefined || ts < known) ticks.set(pchannel, ts);
      }
    }
    return ticks;
  }

  /**
   * Since the last moment of which everything is applied: where the log ends there is nothing to be behind of. While only the
   * base is copied, nothing of the log is.
   */
  #lagMs(pchannel: string, reached: HybridTs | undefined, now: number): number {
    const end = this.#ends.get(pchannel);
    const begun = end !== undefined || this.#records.has(pchannel) ||
      [...this.#state.sinks.values()].some(({ positions }) => positions.has(pchannel));
    if (!begun || reached === undefined) return 0;
    return Math.max(0, now - (end !== undefined && end.tick <= reached ? end.at : msOfHybrid(reached)));
  }

  #collections(sink: string, state: SinkState): RunStatus["collections"] {
    return [...state.collections.values()].map((own) => {
      const counters = this.#of(sink, own.id);
      const rowsDone = own.rows + counters.rowsImporting;
      const phase = own.blocked !== undefined ? "blocked" : own.phase === "creating" ? "pending" : own.phase;
      return {
        db: own.source.db,
        name: own.source.name,
        target: `${own.target.db}.${own.target.name}`,
        phase,
        segmentsDone: own.phase === "tail"
          ? counters.segmentsTotal
          : Math.max(counters.segmentsDone, own.segmentsDone.length),
        segmentsTotal: counters.segmentsTotal,
        rowsDone,
        rowsTotal: counters.rowsTotal > rowsDone ? counters.rowsTotal : rowsDone,
        inserted: counters.inserted,
        deleted: counters.deleted,
        blockedReason: own.blocked,
        refusedRows: own.phase === "dropped" ? undefined : own.refusedRows.status(),
        agreed: own.phase === "dropped" ? [] : own.agreed.map(agreedStatus),
        imports: counters.imports,
      };
    });
  }

  #of(sink: string, id: bigint): Counters {
    const key = `${sink}/${id}`;
    let counters = this.#counters.get(key);
    if (counters === undefined) {
      counters = {
        segmentsTotal: 0,
        segmentsDone: 0,
        rowsTotal: 0n,
        inserted: 0n,
        deleted: 0n,
        imports: undefined,
        rowsImporting: 0n,
      };
      this.#counters.set(key, counters);
    }
    return counters;
  }
}

/** Where a sink begins that has nothing of the log yet, such as an archive until its first file is closed. */
function cutOf({ vchannels }: SinkState, pchannel: string): ResumePoint | undefined {
  let first: ResumePoint | undefined;
  for (const own of vchannels.values()) {
    if (own.pchannel === pchannel && (first === undefined || own.ts < first.tick)) {
      first = { offset: own.offset, tick: own.ts };
    }
  }
  return first;
}

function waitStatus({ component, collection = "", reason, sinceMs, nextMs }: Wait): WaitStatus {
  const next = nextMs === undefined ? "" : new Date(nextMs).toISOString();
  return { component, collection, reason, since: new Date(sinceMs).toISOString(), next };
}

function sinkOf(component: string): string {
  return component.startsWith("sinks.") ? component.slice("sinks.".length) : component;
}
