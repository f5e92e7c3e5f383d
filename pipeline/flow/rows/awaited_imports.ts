/**
 * Imports of the source that are complete and not on the target yet. Their rows count from a time T on: what the log holds of
 * before T must be applied first, since it would replace or delete them; what it holds of after T the loading leaves to it.
 */
import { after, type HybridTs, qualifiedName, type ResumePoint, type Snapshot } from "../../model/mod.ts";
import { importTimes, type SourceImport } from "../imports/mod.ts";
import { pchannelOf } from "../tail/mod.ts";
import type { TailShared } from "./tail_shared.ts";
import type { RowTailOptions } from "./tail_options.ts";

interface Awaited {
  readonly task: SourceImport;
  /** pchannel -> T there. */
  readonly times: ReadonlyMap<string, HybridTs>;
  /** pchannel -> how far the log was applied when it was announced. */
  readonly from: ReadonlyMap<string, ResumePoint>;
}

/** Where the lanes ended. */
export interface RowsEnd {
  /** The moment up to which everything is on the target; undefined where the log had none. */
  readonly ts: HybridTs | undefined;
  /** Nothing later may be there. */
  readonly exact: boolean;
}

export class AwaitedImports {
  readonly #o: RowTailOptions;
  readonly #shared: TailShared;
  /** Collection -> imports that completed before it was there. */
  readonly #early = new Map<bigint, SourceImport[]>();
  readonly #awaited = new Map<bigint, Awaited>();

  constructor(options: RowTailOptions, shared: TailShared) {
    this.#o = options;
    this.#shared = shared;
  }

  /** `taken`: a snapshot that knows their segments. */
  async announce(tasks: readonly SourceImport[], taken?: Snapshot): Promise<void> {
    const { deps, state, targets, signal } = this.#o;
    let snapshot = taken;
    for (const task of tasks) {
      const { id, collectionId } = task;
      if (task.state !== "completed" || this.#awaited.has(id)) continue;
      const own = state.collections.get(collectionId);
      if (own === undefined) {
        const early = this.#early.get(collectionId) ?? [];
        if (!early.some((other) => other.id === id)) this.#early.set(collectionId, [...early, task]);
        continue;
      }
      if (own.phase !== "tail" || own.importsDone.includes(id)) continue;
      const collection = targets.live(collectionId);
      if (collection === undefined) continue;
      const { rowsAt: ts, segmentIds, rows } = task;
      if (ts !== undefined && !own.importsFound.some((found) => found.ts === ts)) {
        own.importsFound.push({ ts, segmentIds, rows });
        this.#o.changed();
      }
      snapshot ??= await deps.meta.snapshot(signal);
      const times = importTimes(snapshot, collection, task);
      this.#awaited.set(id, { task, times, from: this.#enteredTo(collection.vchannels) });
    }
    this.release();
  }

  /** A collection is there for which imports may have completed before. */
  async isThere(collectionId: bigint): Promise<void> {
    const early = this.#early.get(collectionId);
    if (early === undefined) return;
    this.#early.delete(collectionId);
    await this.announce(early);
  }

  /** Hands those on to the lanes whose time has come. */
  release(): void {
    const { targets } = this.#o;
    for (const [id, { task, times, from }] of this.#awaited) {
      const collection = targets.live(task.collectionId);
      if (collection === undefined) {
        this.#awaited.delete(id);
        continue;
      }
      const upTo = this.#enteredTo(collection.vchannels);
      const isDue = [...times].every(([pchannel, ts]) =>
        ts <= (upTo.get(pchannel)?.tick ?? 0n) || ts <= (this.#shared.silentTo.get(pchannel) ?? 0n)
      );
      if (!isDue || this.#shared.barriers.isHalfway(`${task.collectionId}:`, collection.vchannels)) continue;
      this.#awaited.delete(id);
      // All of the collection's lanes get it in one turn: the same changes lie before it and behind it for each.
      for (const vchannel of collection.vchannels) {
        this.#shared.announce({ kind: "import", vchannel, ticket: undefined, task, upTo: ticksOf(upTo), from });
      }
    }
  }

  /** The lanes are over: brings those of `tasks` that are not there and whose time the run has reached. */
  async rest(tasks: readonly SourceImport[], end: RowsEnd): Promise<void> {
    const { deps, state, targets, signal } = this.#o;
    let snapshot: Snapshot | undefined;
    for (const task of tasks) {
      const own = state.collections.get(task.collectionId);
      if (own === undefined || own.phase !== "tail" || own.importsDone.includes(task.id)) continue;
      const collection = targets.live(own.id);
      if (this.#shared.notCarried.has(own.id) || collection === undefined) continue;
      snapshot ??= await deps.meta.snapshot(signal);
      const from = this.#enteredTo(collection.vchannels);
      const times = importTimes(snapshot, collection, task);
      if (!await this.#isReached(times, from, end)) {
        deps.report.info(
          `Import ${task.id} of ${qualifiedName(collection)} is later than where this run ends: the next one brings it`,
        );
        continue;
      }
      const { db, name } = own.source;
      await this.#shared.guard(own.id, `${db}.${name}`, () => this.#shared.load({ task, upTo: ticksOf(from), from }));
    }
  }

  async #isReached(
    times: ReadonlyMap<string, HybridTs>,
    from: ReadonlyMap<string, ResumePoint>,
    { ts: ended = 0n, exact }: RowsEnd,
  ): Promise<boolean> {
    const { deps: { log }, signal } = this.#o;
    for (const [pchannel, ts] of times) {
      const place = from.get(pchannel);
      if (ts <= ended || (!exact && ts <= (place?.tick ?? 0n))) continue;
      // Where the log has nothing more, nothing of before the import is still to come.
      if (exact || place === undefined || after(place.offset) < (await log.bounds(pchannel, signal)).latest) {
        return false;
      }
    }
    return true;
  }

  #enteredTo(vchannels: readonly string[]): Map<string, ResumePoint> {
    return new Map(vchannels.map((vchannel) => [pchannelOf(vchannel), this.#shared.enteredTo(vchannel)]));
  }
}

function ticksOf(places: ReadonlyMap<string, ResumePoint>): Map<string, HybridTs> {
  return new Map([...places].map(([pchannel, { tick }]) => [pchannel, tick]));
}
