/** One archive sink through a run: its base, new ones when they are due, files closed in time, and its part of the tail. */
import { type TidemarkError, toTidemarkError } from "../../errors.ts";
import type { ArchiveSink, CatalogChange, HybridTs, Silence, Snapshot, TickGroup } from "../../model/mod.ts";
import type { ArchiveLeg } from "./leg.ts";
import { ArchiveTail } from "./tail.ts";
import type { FlowDependencies } from "../dependencies.ts";
import { pause } from "../../pause.ts";
import type { RunProgress, SinkState } from "../state/mod.ts";
import { startPoints, type TailConsumer, type TailMember } from "../tail/mod.ts";

export interface ArchiveRunOptions {
  readonly deps: FlowDependencies;
  readonly sink: ArchiveSink;
  readonly leg: ArchiveLeg;
  readonly progress: Pick<RunProgress, "whole">;
  /** Says what the run does, where no row sink does. */
  readonly phase: (phase: "base" | "tail") => void;
  readonly checkpoint: () => Promise<void>;
  readonly changed: () => void;
  readonly work: AbortSignal;
}

const CARE_MS = 1000;
const SILENCES_MS = 10_000;
/** Between a base that failed and the next try: twice as long each time, up to a minute. */
const REBASE_AGAIN_MS = 5000;
const REBASE_AGAIN_MOST_MS = 60_000;
/** Of {@link CARE_MS}: how often what a base left out is looked at. */
const LOOK_AGAIN_ROUNDS = 5;

export class ArchiveRun implements TailMember {
  readonly #o: ArchiveRunOptions;
  /** pchannel -> what is not noted yet. */
  readonly #silences = new Map<string, Silence>();

  constructor(options: ArchiveRunOptions) {
    this.#o = options;
  }

  /** Whether it takes part in the tail. */
  get keepsLog(): boolean {
    return this.#o.sink.logArchive;
  }

  get state(): SinkState {
    return this.#o.leg.state;
  }

  /** As {@link ArchiveLeg.pchannels}. */
  get pchannels(): ReadonlySet<string> {
    return this.#o.leg.pchannels;
  }

  /** As {@link ArchiveLeg.leavesOut}. */
  leavesOut(id: bigint): boolean {
    return this.#o.leg.leavesOut(id);
  }

  /** As {@link ArchiveLeg.exactFrom}. */
  get exactFrom(): HybridTs {
    return this.#o.leg.exactFrom;
  }

  /** Opens the backup; where it goes on shows in its state. Throws `position_lost`. */
  async open(snapshot: Snapshot, signal: AbortSignal): Promise<void> {
    this.#o.phase("base");
    await this.#shown("Opens the backup", async () => {
      await this.#o.leg.open(snapshot, signal);
      if (this.keepsLog) await this.#o.leg.startPoints(signal);
    });
  }

  /** What is missing of the base. Its log is kept also where that fails. */
  async base(signal: AbortSignal): Promise<void> {
    try {
      await this.#o.leg.base(signal);
    } catch (error) {
      // For the status, which is asked for after the run has ended by it, too.
      if (!signal.aborted) await this.#o.leg.baseFailed(toTidemarkError(error).message);
      if (this.keepsLog && !signal.aborted) await this.settle();
      throw error;
    }
    if (this.keepsLog) this.#o.phase("tail");
  }

  /** As {@link ArchiveLeg.endsAt}. */
  async endsAt(snapshot: Snapshot, ts: HybridTs, signal: AbortSignal): Promise<void> {
    if (this.keepsLog) await this.#o.leg.endsAt(snapshot, ts, signal);
  }

  /**
   * A run that ends makes the base that is due, too: it may be the nightly one. True if one was. One that fails is told as in a
   * run that goes on; the backup before it has the log up to the end.
   */
  async rebaseOnce(signal: AbortSignal): Promise<boolean> {
    const why = this.#o.leg.due();
    if (why === undefined) return false;
    this.#o.phase("base");
    try {
      await this.#rebase(why, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      await this.#tellFailed(error);
      return false;
    }
    return true;
  }

  /** Whether its log of some channel does not reach this moment. */
  isBehind(ts: HybridTs): boolean {
    return [...startPoints([this.state]).values()].some(({ tick }) => tick < ts);
  }

  /** A new base whenever one is due, until the signal fires. `rebased`: told of each. */
  async rebaseForEver(signal: AbortSignal, rebased: () => void = () => {}): Promise<void> {
    const { deps, sink, leg } = this.#o;
    for (let round = 1; !signal.aborted; round++) {
      try {
        await pause(CARE_MS, signal);
        if (round % LOOK_AGAIN_ROUNDS === 0) await this.#lookAgain(signal);
        const why = leg.due();
        if (why === undefined) continue;
        await this.#rebase(why, signal);
        rebased();
      } catch (error) {
        if (signal.aborted) return;
        // The backup that is there goes on; what was copied of the new one is kept for the next try.
        const { message } = await this.#tellFailed(error);
        const { failures } = leg.state.bases!;
        const againMs = Math.min(REBASE_AGAIN_MS * 2 ** (failures - 1), REBASE_AGAIN_MOST_MS);
        const waiter = { component: `sinks.${sink.name}`, aside: true };
        using _wait = deps.waits.begin(
          waiter,
          `The last base failed: ${message}; the next try`,
          deps.now() + againMs,
        );
        await pause(againMs, signal).catch(() => {});
      }
    }
  }

  /** Each is told, also where the last one failed for the same reason. */
  async #tellFailed(error: unknown): Promise<TidemarkError> {
    const { deps, sink, leg } = this.#o;
    const failed = toTidemarkError(error);
    const { message, hint } = failed;
    await leg.baseFailed(message);
    const { failures, goodAt } = leg.state.bases!;
    deps.report.warn(
      `rebase ${sink.name} ${failures} ${goodAt}`,
      `The new base of ${sink.name} failed${failures > 1 ? `, ${failures} in a row` : ""}${
        goodAt === "" ? "" : `; the last good one is of ${goodAt}`
      }: ${message}${hint === undefined ? "" : `. ${hint}`}`,
    );
    return failed;
  }

  /** That nothing can be said of what was left out is no fault of a base. */
  async #lookAgain(signal: AbortSignal): Promise<void> {
    const { deps, sink, leg } = this.#o;
    try {
      await leg.lookAgain(undefined, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      deps.report.warn(`left out ${sink.name}`, toTidemarkError(error).message);
    }
  }

  async #rebase(why: string, signal: AbortSignal): Promise<void> {
    const { deps, sink, leg } = this.#o;
    deps.report.info(`New base of ${sink.name}: ${why}`);
    await leg.rebase(await deps.meta.snapshot(signal), signal);
  }

  consume(acknowledged: (group: TickGroup) => void): TailConsumer {
    const { deps, sink, leg, progress, changed, work } = this.#o;
    return new ArchiveTail({
      session: () => leg.session,
      state: leg.state,
      describe: deps.describeRecord,
      wanted: leg.wanted,
      acknowledged,
      changed,
      whole: (pchannel, tick) => progress.whole(sink.name, pchannel, tick),
      silent: (pchannel, silence) => void this.#silences.set(pchannel, silence),
      appending: leg.inTurn,
      signal: work,
    });
  }

  vchannelsOf(id: bigint): readonly string[] | undefined {
    return this.#o.leg.state.collections.get(id)?.vchannels;
  }

  changed(change: CatalogChange): Promise<void> {
    return this.#o.leg.changed(change, this.#o.work);
  }

  /** Files that are old enough are closed even where nothing arrives, and drops are looked for that no tick follows. */
  async beside(signal: AbortSignal): Promise<void> {
    const { deps, leg, work } = this.#o;
    await Promise.all([
      this.#care("roll", () => leg.inTurn(() => leg.session.rollDue(deps.now(), work)), signal),
      this.#care("drops", () => leg.findDrops(signal), signal),
      this.#care("silences", () => this.#noteSilences(), signal, SILENCES_MS),
    ]);
  }

  async #care(what: string, work: () => Promise<void>, signal: AbortSignal, everyMs = CARE_MS): Promise<void> {
    const { deps, sink } = this.#o;
    while (!signal.aborted) {
      try {
        await pause(everyMs, signal);
        await work();
      } catch (error) {
        if (signal.aborted) return;
        if (!toTidemarkError(error).retriable) throw error;
        deps.report.warn(`${what} ${sink.name}`, toTidemarkError(error).message);
      }
    }
  }

  async settle(): Promise<void> {
    const { leg, work, checkpoint } = this.#o;
    await this.#shown("Closes the files of the log", () =>
      leg.inTurn(async () => {
        await leg.session.flushLog(work);
        await leg.startPoints(work);
      }));
    await this.#noteSilences();
    await checkpoint();
  }

  #shown(what: string, work: () => Promise<void>): Promise<void> {
    return this.#o.deps.waits.during({ component: `sinks.${this.#o.sink.name}`, aside: true }, what, work);
  }

  /** Whoever restores counts them only where the archive has the ticks before them. */
  async #noteSilences(): Promise<void> {
    const { leg, work } = this.#o;
    const silences = new Map(this.#silences);
    this.#silences.clear();
    if (silences.size > 0) await leg.inTurn(() => leg.session.noteSilences(silences, work));
  }

  async close(): Promise<void> {
    await this.#o.leg.close();
  }
}
