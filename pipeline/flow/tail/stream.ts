/**
 * The log as one RxJS stream from the pchannels' async iterables to the sinks' lanes. The only place that subscribes.
 * Each pchannel is read once, from the smallest of the places where the sinks need it; each group goes to every sink that
 * does not have it yet, and its credit goes back with the last acknowledgement.
 */
import {
  defer,
  EMPTY,
  filter,
  finalize,
  from,
  lastValueFrom,
  merge,
  mergeMap,
  type Observable,
  share,
  Subject,
} from "rxjs";
import { TidemarkError } from "../../errors.ts";
import {
  type Collection,
  type HybridTs,
  isoOfHybrid,
  type LogEvent,
  type ResumePoint,
  type Silence,
  type TickGroup,
} from "../../model/mod.ts";
import { abortable } from "../../abortable.ts";
import type { FlowDependencies } from "../dependencies.ts";
import { pause } from "../../pause.ts";
import { neededFrom, pchannelOf } from "./pchannels.ts";
import { SilentTime } from "./silent_time.ts";
import { Unconfirmed } from "./unconfirmed.ts";
import type { Admitted, RunEnd } from "./end.ts";
import type { SourceClock } from "./source_clock.ts";
import type { RunProgress, SinkState } from "../state/mod.ts";
import type { ReaderWindow, Window } from "./window.ts";

/** Number of pchannels followed at once; Milvus has 16 by default, 256 at most in old releases. */
const MAX_PCHANNELS = 4096;
/** The record of a drop and the last ticks come within a second or so of the metadata's word. */
const LAST_TICKS_MS = 2000;

/** One sink's side of the stream. */
export interface TailConsumer {
  readonly state: SinkState;
  /** Whether it keeps the raw records of the groups. */
  readonly records: boolean;
  /** Before the first group of a pchannel: from where this sink needs it. The stream may begin earlier, for another one. */
  startsAt(pchannel: string, from: ResumePoint): void;
  /** What a pchannel's topic is known by has moved on with what was read; before its groups. */
  identifies?(pchannel: string, topicId: string): void;
  /** False for a group that it has already: it does not get it. */
  needs(group: TickGroup): boolean;
  /** The log ends behind what it got last, and may do so for long. */
  stands?(group: TickGroup): void;
  /** The log of a pchannel has nothing of up to a moment behind its last tick. */
  silent?(pchannel: string, silence: Silence): void;
  /** False for events that need not even be kept. */
  cares(collectionId: bigint): boolean;
  run(groups: Observable<TickGroup>): Observable<never>;
  /**
   * The groups are over; what it adds of its own may end too. `cut`: not where the run ends, but because nothing more is read
   * of them: the run is stopped, or another stream goes on with them.
   */
  closeControl(cut: boolean): void;
}

export interface TailStreamOptions {
  readonly deps: Pick<FlowDependencies, "follow" | "selects" | "report" | "waits">;
  readonly end: RunEnd;
  /** False: the run ends with the pchannels it began with. */
  readonly endless: boolean;
  /** The last tick that the log has of a pchannel behind `from`. */
  readonly lastTick: (pchannel: string, from: ResumePoint, signal: AbortSignal) => Promise<HybridTs>;
  /** What the topics are known by; kept up as they are read. */
  readonly topicIds: Map<string, string>;
  readonly progress: Pick<RunProgress, "channels" | "read">;
  /** The vchannels of a collection, as far as the run knows it. */
  readonly vchannelsOf: (collectionId: bigint) => readonly string[];
  readonly window: Window;
  readonly clock: Pick<SourceClock, "saw" | "newest">;
  readonly signal: AbortSignal;
}

/** pchannels of those of `collections` that are selected. */
export function selectedPchannels(
  deps: Pick<FlowDependencies, "selects">,
  collections: readonly Collection[],
): Set<string> {
  return new Set(
    collections.filter(({ dbName, name }) => deps.selects(dbName, name)).flatMap(({ pchannels }) => pchannels),
  );
}

interface Pending {
  readonly waiting: Set<TailConsumer>;
  readonly reader: ReaderWindow;
  /** Credit of the group as it was read, before its end was cut off. */
  readonly bytes: number;
}

/** One pchannel that is read. */
interface Following {
  /** Where each consumer needs it from. */
  readonly points: readonly (ResumePoint | undefined)[];
  /** How far it was read. */
  at: ResumePoint;
  /** Set once it has no collection any more: no tick comes behind it. */
  last: HybridTs | undefined;
  silencing: boolean;
  /** Ends this one alone. */
  readonly stop: AbortController;
  /** Why it was ended, if something went wrong. */
  fault: unknown;
}

export class TailStream {
  readonly reading: AbortSignal;
  readonly #o: TailStreamOptions;
  readonly #pending = new Map<TickGroup, Pending>();
  readonly #following = new Map<string, Following>();
  #live: ReadonlySet<string> = new Set();
  readonly #pchannels = new Subject<string>();
  readonly #done = new AbortController();
  #consumers: readonly TailConsumer[] = [];

  constructor(options: TailStreamOptions) {
    this.#o = options;
    this.reading = AbortSignal.any([options.signal, this.#done.signal]);
  }

  /**
   * Reads `pchannels`, those of them that somebody needs. `collections`: what is known of the source, for where new ones
   * begin. Resolves when every pchannel ended and everything of it is acknowledged.
   */
  run(
    consumers: readonly TailConsumer[],
    pchannels: ReadonlySet<string>,
    collections: readonly Collection[],
  ): Promise<void> {
    this.#consumers = consumers;
    const groups = this.#pchannels.pipe(mergeMap((pchannel) => from(this.#groups(pchannel)), MAX_PCHANNELS), share());
    const begin = defer(() => {
      this.#open(pchannels, collections);
      if (!this.#o.endless || this.reading.aborted) this.#pchannels.complete();
      else this.reading.addEventListener("abort", () => this.#pchannels.complete(), { once: true });
      return EMPTY;
    });
    const all = merge(
      ...consumers.map((consumer) => {
        const own = groups.pipe(
          filter((group) => this.#pending.get(group)?.waiting.has(consumer) === true),
          finalize(() => consumer.closeControl(this.reading.aborted)),
        );
        return consumer.run(own);
      }),
      begin,
    );
    return lastValueFrom(all, { defaultValue: undefined });
  }

  /**
   * What the source has now. A stream without end adds pchannels that new ones of these collections use; known ones stay as
   * they are. One that ends does not wait for the ticks of a pchannel that has no collection any more: it is read up to the
   * last one that there is.
   */
  follow(collections: readonly Collection[]): void {
    if (this.reading.aborted) return;
    if (this.#o.endless) return this.#open(selectedPchannels(this.#o.deps, collections), collections);
    this.#live = new Set(collections.flatMap(({ pchannels }) => pchannels));
    for (const [pchannel, own] of this.#following) if (!this.#live.has(pchannel)) this.#silence(pchannel, own);
  }

  async #silence(pchannel: string, own: Following): Promise<void> {
    if (own.silencing) return;
    own.silencing = true;
    try {
      await pause(LAST_TICKS_MS, this.reading);
      if (this.#live.has(pchannel)) return;
      const last = await this.#o.lastTick(pchannel, own.at, this.reading);
      own.last = last;
      this.#o.end.leave(pchannel, last);
      if (own.at.tick >= last) own.stop.abort();
    } catch (error) {
      if (this.reading.aborted) return;
      own.fault = error;
      own.stop.abort();
    } finally {
      own.silencing = false;
    }
  }

  /** Stops reading; what was read is still applied by {@link run}. */
  end(): void {
    this.#done.abort();
  }

  /** One sink is done with a group; with the last one its credit goes back. */
  acknowledge(consumer: TailConsumer, group: TickGroup): void {
    const pending = this.#pending.get(group);
    if (pending === undefined) return;
    pending.waiting.delete(consumer);
    if (pending.waiting.size > 0) return;
    this.#pending.delete(group);
    pending.reader.acknowledge(pending.bytes);
  }

  #open(pchannels: ReadonlySet<string>, collections: readonly Collection[]): void {
    const { deps, end, progress } = this.#o;
    const selected = collections.filter(({ dbName, name }) => deps.selects(dbName, name));
    const needs = this.#consumers.map(({ state }) => neededFrom(state, selected));
    for (const pchannel of pchannels) {
      if (this.#following.has(pchannel)) continue;
      const points = needs.map((need) => need.get(pchannel));
      if (points.every((point) => point === undefined)) {
        end.leave(pchannel);
        continue;
      }
      const at = { offset: firstOf(points), tick: 0n };
      this.#following.set(pchannel, {
        points,
        at,
        last: undefined,
        silencing: false,
        stop: new AbortController(),
        fault: undefined,
      });
      progress.channels([...this.#following.keys()]);
      this.#pchannels.next(pchannel);
    }
  }

  async *#groups(pchannel: string): AsyncGenerator<TickGroup> {
    const { deps, topicIds, progress, clock } = this.#o;
    const reader = this.#o.window.reader();
    const own = this.#following.get(pchannel)!;
    const { points } = own;
    const { offset } = own.at;
    const silence = new SilentTime();
    const begun = points.reduce<HybridTs | undefined>(
      (min, point) => point === undefined || (min !== undefined && min <= point.tick) ? min : point.tick,
      undefined,
    ) ?? 0n;
    const reading = AbortSignal.any([this.reading, own.stop.signal]);
    this.#consumers.forEach((consumer, i) => consumer.startsAt(pchannel, points[i] ?? { offset, tick: 0n }));
    const select = (event: LogEvent) =>
      event.kind === "block" || this.#consumers.some((consumer) => consumer.cares(event.collectionId));
    let tick = 0n;
    using unconfirmed = new Unconfirmed(deps.waits, pchannel);
    const vchannelOf = (id: bigint) => this.#o.vchannelsOf(id).find((vchannel) => pchannelOf(vchannel) === pchannel);
    try {
      const request = {
        pchannel,
        from: { offset, tick },
        passed: begun,
        topicId: topicIds.get(pchannel),
        select,
        gate: reader,
        records: this.#consumers.some(({ records }) => records),
        vchannelOf,
        identify: (id: string) => {
          topicIds.set(pchannel, id);
          for (const consumer of this.#consumers) consumer.identifies?.(pchannel, id);
        },
      };
      for await (const read of deps.follow(request, reading)) {
        // Each of those that read this has all up to where it began.
        const group = read.end === undefined || read.tick >= begun ? read : withTick(read, begun);
        progress.read(group);
        unconfirmed.see(group);
        clock.saw(group.tick);
        own.at = group.resume;
        const admitted = await this.#admit(group, reader);
        if (group.end !== undefined) {
          for (const consumer of this.#consumers) consumer.stands?.(group);
          const ts = admitted.last ? this.#o.end.ts : silence.upTo(group, clock.newest);
          if (ts !== undefined && ts > group.tick && group.end.waiting === undefined) {
            for (const consumer of this.#consumers) consumer.silent?.(pchannel, { tick: group.tick, ts });
          }
          if (admitted.last && group.end.waiting !== undefined) this.#warnUnconfirmed(pchannel, group.end.waiting);
          if (admitted.last || (own.last !== undefined && group.tick >= own.last)) return;
          continue;
        }
        const waiting = new Set(this.#consumers.filter((consumer) => consumer.needs(admitted.group)));
        reader.release(group.bytes);
        if (waiting.size === 0) reader.acknowledge(group.bytes);
        else {
          this.#pending.set(admitted.group, { waiting, reader, bytes: group.bytes });
          yield admitted.group;
        }
        if (admitted.last || (own.last !== undefined && group.tick >= own.last)) return;
        tick = admitted.group.tick;
      }
      if (!reading.aborted) throw endedEarly(pchannel, tick);
    } catch (error) {
      if (!reading.aborted) throw error;
    }
    // Nobody else may have said why this one ended.
    if (!this.reading.aborted && own.fault !== undefined) throw own.fault;
  }

  #warnUnconfirmed(pchannel: string, waiting: HybridTs): void {
    this.#o.deps.report.warn(
      `unconfirmed ${pchannel}`,
      `The log of ${pchannel} ends with records that no time tick confirms, the oldest of ${isoOfHybrid(waiting)}: ` +
        "the source does not run. They are not applied; a run after the source's next start brings them",
    );
  }

  /** A stream may wait here for the others; what ends the reading ends that, too. */
  async #admit(group: TickGroup, reader: ReaderWindow): Promise<Admitted> {
    const { deps, end } = this.#o;
    const others = () => {
      const names = [...end.open ?? []];
      return `${group.pchannel} is read as far as this run needs it; waits for ${names.slice(0, 4).join(", ")}${
        names.length > 4 ? ` and ${names.length - 4} more` : ""
      } to be read to the end that the log had when the run began`;
    };
    try {
      return await deps.waits.during({ component: "run" }, others, () => abortable(end.admit(group), this.reading));
    } catch (error) {
      reader.give(group.bytes);
      throw error;
    }
  }
}

function withTick(group: TickGroup, tick: HybridTs): TickGroup {
  return { ...group, tick, resume: { ...group.resume, tick } };
}

/** The smallest of them; there is one. */
function firstOf(points: readonly (ResumePoint | undefined)[]): bigint {
  return points.reduce<bigint | undefined>(
    (min, point) => point === undefined || (min !== undefined && min <= point.offset) ? min : point.offset,
    undefined,
  )!;
}

/** Only a log that was archived has an end. */
function endedEarly(pchannel: string, tick: bigint): TidemarkError {
  return new TidemarkError(
    "position_lost",
    `The archived log of ${pchannel} ends${
      tick > 0n ? ` at ${isoOfHybrid(tick)}` : ""
    }, before the moment that is asked for`,
    { hint: "Choose an earlier moment." },
  );
}
