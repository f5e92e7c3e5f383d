/**
 * The log as one RxJS stream from the pchannels' async iterables to the sinks' lanes. The only place that subscribes.
 */
import { defer, EMPTY, finalize, from, lastValueFrom, merge, mergeMap, type Observable, share, Subject } from "rxjs";
import { TidemarkError } from "../errors.ts";
import { type Collection, isoOfHybrid, type LogEvent, type ResumePoint, type TickGroup } from "../model/mod.ts";
import type { FlowDependencies } from "./dependencies.ts";
import { pchannelOf } from "./pchannels.ts";
import type { RunEnd } from "./run_end.ts";
import type { RunProgress } from "./run_progress.ts";
import { type ReaderWindow, Window } from "./window.ts";

/** Number of pchannels followed at once; Milvus has 16 by default, 256 at most in old releases. */
const MAX_PCHANNELS = 4096;

/** One sink's side of the stream. */
export interface TailConsumer {
  /** Before the first group of a pchannel: from where it is read. */
  startsAt(pchannel: string, resume: ResumePoint): void;
  /** False for events that need not even be kept. */
  cares(collectionId: bigint): boolean;
  run(groups: Observable<TickGroup>): Observable<never>;
  /** The groups are over; what it adds of its own may end too. */
  closeControl(): void;
}

export interface TailStreamOptions {
  readonly deps: FlowDependencies;
  readonly end: RunEnd;
  /** False: the run ends with the pchannels it began with. */
  readonly endless: boolean;
  readonly topicIds: ReadonlyMap<string, string>;
  readonly progress: RunProgress;
  /** Where the state says that each pchannel starts. */
  readonly points: ReadonlyMap<string, ResumePoint>;
  /** The vchannels of a collection, as far as the run knows it. */
  readonly vchannelsOf: (collectionId: bigint) => readonly string[];
  /** Keep raw records in the groups. */
  readonly records: boolean;
  readonly windowBytes: number;
  readonly signal: AbortSignal;
}

/** Where a pchannel begins for collections that nothing is known of yet: at their own beginning. */
export function pointsOfCollections(
  deps: Pick<FlowDependencies, "selects">,
  collections: readonly Collection[],
): Map<string, bigint> {
  const points = new Map<string, bigint>();
  for (const collection of collections) {
    if (!deps.selects(collection.dbName, collection.name)) continue;
    for (const pchannel of collection.pchannels) {
      const offset = collection.startOffsets.get(pchannel) ?? 0n;
      const known = points.get(pchannel);
      if (known === undefined || offset < known) points.set(pchannel, offset);
    }
  }
  return points;
}

interface Pending {
  left: number;
  readonly reader: ReaderWindow;
  /** Credit of the group as it was read, before its end was cut off. */
  readonly bytes: number;
}

export class TailStream {
  readonly reading: AbortSignal;
  readonly #o: TailStreamOptions;
  readonly #window: Window;
  readonly #pending = new Map<TickGroup, Pending>();
  readonly #following = new Map<string, bigint>();
  readonly #pchannels = new Subject<string>();
  readonly #done = new AbortController();
  #tails: readonly TailConsumer[] = [];

  constructor(options: TailStreamOptions) {
    this.#o = options;
    this.#window = new Window(options.windowBytes);
    options.progress.window = this.#window;
    this.reading = AbortSignal.any([options.signal, this.#done.signal]);
  }

  /** Resolves when every stream ended and everything of it is acknowledged. */
  run(tails: readonly TailConsumer[], starts: ReadonlyMap<string, bigint>): Promise<void> {
    this.#tails = tails;
    const groups = this.#pchannels.pipe(mergeMap((pchannel) => from(this.#groups(pchannel)), MAX_PCHANNELS), share());
    const begin = defer(() => {
      this.#open(starts);
      if (!this.#o.endless || this.reading.aborted) this.#pchannels.complete();
      else this.reading.addEventListener("abort", () => this.#pchannels.complete(), { once: true });
      return EMPTY;
    });
    const all = merge(
      ...tails.map((tail) => tail.run(groups.pipe(finalize(() => tail.closeControl())))),
      begin,
    );
    return lastValueFrom(all, { defaultValue: undefined });
  }

  /** Adds pchannels that a new collection uses; known ones stay as they are. */
  follow(starts: ReadonlyMap<string, bigint>): void {
    if (this.#o.endless && !this.reading.aborted) this.#open(starts);
  }

  /** Stops reading; what was read is still applied by {@link run}. */
  end(): void {
    this.#done.abort();
  }

  /** One sink is done with a group; with the last one its credit goes back. */
  acknowledge(group: TickGroup): void {
    const pending = this.#pending.get(group);
    if (pending === undefined || --pending.left > 0) return;
    this.#pending.delete(group);
    pending.reader.acknowledge(pending.bytes);
  }

  #open(starts: ReadonlyMap<string, bigint>): void {
    for (const [pchannel, offset] of starts) {
      if (this.#following.has(pchannel)) continue;
      this.#following.set(pchannel, this.#o.points.get(pchannel)?.offset ?? offset);
      this.#o.progress.channels([...this.#following.keys()]);
      this.#pchannels.next(pchannel);
    }
  }

  async *#groups(pchannel: string): AsyncGenerator<TickGroup> {
    const { deps, end, topicIds, progress } = this.#o;
    const reader = this.#window.reader();
    const resume = { offset: this.#following.get(pchannel)!, tick: 0n };
    for (const tail of this.#tails) tail.startsAt(pchannel, resume);
    const select = (event: LogEvent) =>
      event.kind === "block" || this.#tails.some((tail) => tail.cares(event.collectionId));
    let tick = resume.tick;
    const vchannelOf = (id: bigint) => this.#o.vchannelsOf(id).find((vchannel) => pchannelOf(vchannel) === pchannel);
    try {
      const request = {
        pchannel,
        from: resume,
        topicId: topicIds.get(pchannel),
        select,
        gate: reader,
        records: this.#o.records,
        vchannelOf,
      };
      for await (const group of deps.follow(request, this.reading)) {
        progress.read(group);
        const admitted = await end.admit(group);
        reader.release(group.bytes);
        this.#pending.set(admitted.group, { left: this.#tails.length, reader, bytes: group.bytes });
        yield admitted.group;
        if (admitted.last) return;
        tick = admitted.group.tick;
      }
      if (!this.reading.aborted) throw endedEarly(pchannel, tick);
    } catch (error) {
      if (!this.reading.aborted) throw error;
    }
  }
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
