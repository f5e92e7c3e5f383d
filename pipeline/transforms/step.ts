/**
 * A step: from one cut to a later one by files alone, without a log.
 *
 * **What the files of a snapshot are complete to.** A vchannel's checkpoint is the last tick before the oldest row or delete that
 * is not written to a file yet. So at the revision at which it is read,
 *
 * 1. every row with ts <= checkpoint is in an insert file of a live segment (a growing one's partial files included), or a
 *    compaction has purged it by a delete or by its time to live;
 * 2. every delete with ts <= checkpoint of a row that there was is in a delta file, named or not: beside its segment, or in an
 *    L0 segment. A compaction that has applied it drops its inputs, whose files stay until they are collected
 *    (`forgottenSegment` says where that happened).
 *
 * What is later than the checkpoint may be in files as well, but not all of it: growing segments are buffers beyond it. The cut
 * is the checkpoint, as for a copy with a log.
 *
 * **What a step does.** The target holds, of each partition and key, the newest row with ts <= `after` that no delete with ts <=
 * `after` is later than. With W = (after, cut], for a key and partition: let D be the latest delete in W and R the newest row in
 * W that no delete in W is later than. If there is an R it is the state at the cut: it replaces whatever is there. If there is none and
 * there is a D, then all rows up to D are gone, and no later one is alive: the key is removed. If there is neither, nothing happened.
 * Rows and deletes outside W are not needed, so only files that reach into W are read; the order of requests does not matter but
 * for removals from all partitions, which go first. Doing a step again, or a longer one from the same `after`, gives the same state:
 * what a killed step wrote is a row in W, which the longer one replaces, removes or writes again.
 *
 * **Where the result is early.** A compaction purges rows by deletes that are persisted, also such as are later than the cut. A
 * row of W that was purged so does not appear: it was deleted or replaced later, and the step that passes that moment brings it.
 * A row that is on the target stays until then.
 *
 * **Imports** appear late: their rows have a time that the cut may have passed. The window of their channels then begins before them.
 */
import type { Collection, Cut, HybridTs, Segment, Snapshot } from "../model/mod.ts";
import { liveSegments, makeCuts } from "./cut.ts";
import { earliestRowTs, latestRowTs, latestTs } from "./time_range.ts";

/** Where a copy stands. */
export interface StepStart {
  /** vchannel -> its last cut. */
  readonly cuts: ReadonlyMap<string, HybridTs>;
  /** Segments whose rows up to there were seen. */
  readonly segments: ReadonlySet<bigint>;
}

export interface StepPlan {
  /** To where; never before the last cut. */
  readonly cuts: readonly Cut[];
  /** vchannel -> the window's beginning, exclusive. */
  readonly after: ReadonlyMap<string, HybridTs>;
  /** Whether any channel's window is not empty. */
  readonly moves: boolean;
  /** Live segments that may hold rows in the windows. */
  readonly segments: readonly Segment[];
  /** All live segments. */
  readonly live: readonly Segment[];
  /**
   * Dropped segments with deletes later than the cuts. A compaction may have applied them already; until a cut has passed them,
   * their files are what tells of them.
   */
  readonly unsettled: readonly bigint[];
}

/**
 * Throws as `makeCuts` does.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { FakeSource } from "../../tests/fakes/source.ts";
 * import { planStep } from "./step.ts";
 *
 * const source = new FakeSource(["dml_0"]);
 * const books = source.create("books", "dml_0");
 * const taken = await source.meta.snapshot(AbortSignal.timeout(1000));
 * const vchannel = books.vchannels[0]!;
 * const plan = planStep(taken, books, { cuts: new Map([[vchannel, books.createTs]]), segments: new Set() });
 * assert.deepEqual([plan.moves, plan.after.get(vchannel)], [false, books.createTs]);
 * ```
 */
export function planStep(snapshot: Snapshot, collection: Collection, start: StepStart): StepPlan {
  const after = new Map<string, HybridTs>();
  const cuts = makeCuts(snapshot, [collection]).map((cut) => {
    const last = start.cuts.get(cut.vchannel) ?? 0n;
    after.set(cut.vchannel, last);
    return cut.ts < last ? { ...cut, ts: last } : cut;
  });
  const live = liveSegments(snapshot, collection);
  widen(snapshot, live, start.segments, after);
  const moving = new Set(cuts.filter(({ vchannel, ts }) => ts > after.get(vchannel)!).map(({ vchannel }) => vchannel));
  const segments = live.filter((segment) =>
    moving.has(segment.vchannel) &&
    // Of one that is new, not even what its metadata says of times is taken for granted.
    (!start.segments.has(segment.id) || latestRowTs(segment) > after.get(segment.vchannel)!)
  );
  const cutOf = new Map(cuts.map(({ vchannel, ts }) => [vchannel, ts]));
  const unsettled = snapshot.segments.filter((segment) =>
    segment.collectionId === collection.id && segment.state === "dropped" &&
    lastWord(segment) > (cutOf.get(segment.vchannel) ?? 0n)
  ).map(({ id }) => id);
  return { cuts, after, moves: moving.size > 0, segments, live, unsettled };
}

/**
 * By what a checkpoint promises, every row up to the last cut was in a segment that was live then. What came since holds later
 * ones, or what compactions put together of segments that were seen; rows of before are an import's, and the window of their
 * channel is widened to them. The tasks of imports say nothing: they are removed from the metadata some time after.
 */
function widen(
  snapshot: Snapshot,
  live: readonly Segment[],
  seen: ReadonlySet<bigint>,
  after: Map<string, HybridTs>,
): void {
  const byId = new Map(snapshot.segments.map((segment) => [segment.id, segment]));
  const visited = new Set<bigint>();
  const visit = (segment: Segment, vchannel: string) => {
    if (seen.has(segment.id) || visited.has(segment.id)) return;
    visited.add(segment.id);
    if (segment.compactionFrom.length === 0) return lower(after, vchannel, oldestRow(segment));
    for (const id of segment.compactionFrom) {
      if (seen.has(id)) continue;
      const source = byId.get(id);
      // It came and went unseen: nobody knows what it held.
      if (source === undefined) lower(after, vchannel, 0n);
      else visit(source, vchannel);
    }
  };
  for (const segment of live) visit(segment, segment.vchannel);
}

/** Nothing in its files is later. */
function lastWord(segment: Segment): HybridTs {
  const [latest, position] = [latestTs(segment), segment.dmlPosition?.ts ?? 0n];
  return latest > position ? latest : position;
}

/** No row is older; 0 where metadata does not say. */
function oldestRow(segment: Segment): HybridTs {
  const { commitTimestamp, startPosition } = segment;
  const said = earliestRowTs(segment);
  const oldest = said > 0n ? said : startPosition?.ts ?? 0n;
  return commitTimestamp > oldest ? commitTimestamp : oldest;
}

/** So that the window holds `ts`. */
function lower(after: Map<string, HybridTs>, vchannel: string, ts: HybridTs): void {
  const before = ts > 0n ? ts - 1n : 0n;
  if (before < (after.get(vchannel) ?? 0n)) after.set(vchannel, before);
}
