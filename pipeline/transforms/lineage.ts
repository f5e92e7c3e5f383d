/**
 * Whether the deletes of what has been copied can all still be read.
 *
 * A delete of a row is written beside the segment that holds the row, or in an L0 segment from which a compaction takes it there.
 * It goes from the files in one way only: a compaction applies it, its inputs are dropped, and the garbage collection removes
 * them. So where every segment through which the copied rows may have passed is still in the metadata with its delta files,
 * every delete of them can be read; where one is not, a delete may have gone with it.
 */
import type { Collection, LogFile, Segment, Snapshot } from "../model/mod.ts";

/**
 * `known`: segments that held rows of the copy at its last cut. `exists`: whether the store has a file. Returns a sentence
 * about the first segment that is forgotten, undefined where none is.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { FakeSource } from "../../tests/fakes/source.ts";
 * import { forgottenSegment } from "./lineage.ts";
 *
 * const source = new FakeSource(["dml_0"]);
 * const books = source.create("books", "dml_0");
 * const taken = await source.meta.snapshot(AbortSignal.timeout(1000));
 * assert.equal(forgottenSegment(taken, books, new Set(), () => true), undefined);
 * assert.match(forgottenSegment(taken, books, new Set([7n]), () => true)!, /segment 7 is not in the metadata any more/);
 * ```
 */
export function forgottenSegment(
  snapshot: Snapshot,
  collection: Collection,
  known: ReadonlySet<bigint>,
  exists: (file: LogFile) => boolean,
): string | undefined {
  const all = snapshot.segments.filter(({ collectionId }) => collectionId === collection.id);
  const byId = new Map(all.map((segment) => [segment.id, segment]));
  const children = new Map<bigint, Segment[]>();
  for (const segment of all) {
    for (const id of segment.compactionFrom) {
      const list = children.get(id);
      if (list === undefined) children.set(id, [segment]);
      else list.push(segment);
    }
  }
  const partitions = new Set(collection.partitions.map(({ id }) => id));
  const seen = new Set<bigint>();

  const lostFile = (segment: Segment) =>
    segment.deltalogs.flatMap(({ files }) => files).find((file) => !exists(file))?.path;

  /** From a segment to those that its rows went to. */
  const down = (id: bigint): string | undefined => {
    if (seen.has(id)) return undefined;
    seen.add(id);
    const segment = byId.get(id);
    if (segment === undefined) return `segment ${id} is not in the metadata any more`;
    if (segment.state !== "dropped" || !partitions.has(segment.partitionId)) return undefined;
    const truncated = collection.truncated?.get(segment.vchannel) ?? 0n;
    if (truncated > 0n && (segment.dmlPosition?.ts ?? 0n) <= truncated) return undefined;
    const lost = lostFile(segment);
    if (lost !== undefined) return `the file ${lost} of the dropped segment ${id} is not there any more`;
    const next = children.get(id) ?? [];
    if (next.length === 0) {
      const empty = !segment.compacted && segment.binlogs.every(({ files }) => files.length === 0);
      return empty ? undefined : `nothing in the metadata says what became of segment ${id}`;
    }
    for (const child of next) {
      const found = down(child.id);
      if (found !== undefined) return found;
    }
    return undefined;
  };

  /** From a segment that came since to those that its rows are from. */
  const up = (segment: Segment): string | undefined => {
    for (const id of segment.compactionFrom) {
      if (known.has(id) || seen.has(id)) continue;
      seen.add(id);
      const source = byId.get(id);
      if (source === undefined) return `segment ${id} came and went unseen, into segment ${segment.id}`;
      const lost = lostFile(source);
      const found = lost === undefined ? up(source) : `the file ${lost} of segment ${id} is not there any more`;
      if (found !== undefined) return found;
    }
    return undefined;
  };

  for (const id of known) {
    const found = down(id);
    if (found !== undefined) return found;
  }
  for (const segment of all) {
    if (segment.class !== "rows" || known.has(segment.id)) continue;
    const found = up(segment);
    if (found !== undefined) return found;
  }
  return undefined;
}
