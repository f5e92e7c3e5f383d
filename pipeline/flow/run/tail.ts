/**
 * The tail of a run: one stream of the log and one watch of the metadata for all sinks that take part. Who takes part may
 * change: the stream then ends, everything of it is acknowledged, and the next begins where the sinks are.
 */
import type { Collection, Snapshot } from "../../model/mod.ts";
import {
  CatalogWatch,
  lastTickBehind,
  type RunEnd,
  type SourceClock,
  type TailConsumer,
  type TailMember,
  TailStream,
  type Window,
} from "../tail/mod.ts";
import type { FlowDependencies } from "../dependencies.ts";
import type { RunProgress } from "../state/mod.ts";

export interface RunTailOptions {
  readonly deps: FlowDependencies;
  readonly snapshot: Snapshot;
  readonly end: RunEnd;
  /** False: new collections bring no new pchannels. */
  readonly endless: boolean;
  /** Collections that do not take part yet: nothing is read for them. */
  readonly later: (id: bigint) => boolean;
  readonly topicIds: Map<string, string>;
  readonly progress: Pick<RunProgress, "channels" | "read">;
  readonly window: Window;
  readonly clock: SourceClock;
  /** Something failed: nothing of the run may go on. */
  readonly failed: (error: unknown) => void;
  readonly reading: AbortSignal;
  readonly work: AbortSignal;
}

export class RunTail implements AsyncDisposable {
  readonly #o: RunTailOptions;
  readonly #watch: CatalogWatch;
  readonly #done = new AbortController();
  readonly #told = new Set<TailMember>();
  /** Of the watch and those who are told. */
  readonly #tasks: Promise<void>[] = [];
  readonly #broken = Promise.withResolvers<never>();
  #stream: TailStream | undefined;
  /** What the watch has told so far. */
  #known: readonly Collection[] | undefined;

  constructor(options: RunTailOptions) {
    this.#o = options;
    const { deps: { meta }, snapshot, reading } = options;
    this.#broken.promise.catch(() => {});
    this.#watch = new CatalogWatch({
      meta,
      snapshot,
      follow: (collections) => {
        this.#known = collections;
        this.#stream?.follow(this.#begun(collections));
      },
      signal: AbortSignal.any([reading, this.#done.signal]),
    });
  }

  /** Fires when the tail is over or no longer read. */
  get signal(): AbortSignal {
    return AbortSignal.any([this.#o.reading, this.#done.signal]);
  }

  /**
   * Reads `pchannels` for `members` up to the run's end, or until `until` resolves; all that was read is acknowledged and
   * durable when it resolves. `collections`: what the source has by now; those that nobody knows are read from their beginning.
   */
  async read(
    members: readonly TailMember[],
    pchannels: ReadonlySet<string>,
    collections: readonly Collection[],
    until?: Promise<unknown>,
  ): Promise<void> {
    const { deps, end, endless, topicIds, progress, window, clock, reading, failed, work } = this.#o;
    const stream = new TailStream({
      deps,
      end,
      endless,
      lastTick: (pchannel, from, signal) => lastTickBehind(deps, pchannel, from, signal),
      topicIds,
      progress,
      window,
      clock,
      vchannelsOf: (id) => members.map((member) => member.vchannelsOf(id)).find((found) => found !== undefined) ?? [],
      signal: reading,
    });
    const consumers = members.map((member) => {
      const consumer: TailConsumer = member.consume((group) => stream.acknowledge(consumer, group));
      return consumer;
    });
    this.#stream = stream;
    const read = stream.run(consumers, pchannels, this.#begun(collections));
    if (this.#known !== undefined) stream.follow(this.#begun(this.#known));
    this.#tell(members);
    const beside = members.map((member) => member.beside(stream.reading));
    const enough = until?.then(() => stream.end(), (error) => {
      // A stop ends `until` as well; what was read is still applied.
      if (!reading.aborted) throw error;
    });
    try {
      const others = [...beside, ...enough === undefined ? [] : [enough]].map((task) => task.then(() => read));
      await Promise.race([read, this.#broken.promise, ...others]);
      stream.end();
      await Promise.all([read, ...beside]);
    } catch (error) {
      // Whoever waits for a server must not keep this from ending.
      failed(error);
      stream.end();
      await Promise.allSettled([read, ...beside]);
      throw error;
    } finally {
      this.#stream = undefined;
    }
    work.throwIfAborted();
    await Promise.all(members.map((member) => member.settle()));
  }

  /** Some that were to come later have begun. */
  followAgain(): void {
    this.#stream?.follow(this.#begun(this.#known ?? this.#o.snapshot.catalog.collections));
  }

  /** Ends the watch. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#done.abort();
    await Promise.allSettled(this.#tasks);
  }

  #begun(collections: readonly Collection[]): Collection[] {
    return collections.filter(({ id }) => !this.#o.later(id));
  }

  #tell(members: readonly TailMember[]): void {
    for (const member of members) {
      if (this.#told.has(member)) this.#tasks.push(this.#watched(member.rejoined?.() ?? Promise.resolve()));
    }
    const fresh = members.filter((member) => !this.#told.has(member));
    const tasks = fresh.map((member) => this.#watch.tell((change) => member.changed(change), member.begun));
    if (this.#told.size === 0) tasks.push(this.#watch.run());
    for (const member of fresh) this.#told.add(member);
    this.#tasks.push(...tasks.map((task) => this.#watched(task)));
  }

  #watched(task: Promise<void>): Promise<void> {
    task.catch(this.#broken.reject);
    return task;
  }
}
