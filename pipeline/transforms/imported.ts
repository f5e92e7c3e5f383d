/** Which of the source's segments bulk imports filled, and from when on their rows count. */
import type { Collection, HybridTs, ImportTask, Segment, Snapshot } from "../model/mod.ts";
import { Lineage } from "./segment_lineage.ts";
import { earliestRowTs, latestRowTs } from "./time_range.ts";

/**
 * From when on the rows of a segment that an import filled count: all have one time, its start position's, and from 3.0 on
 * that of the commit if it is later.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import type { Segment } from "../model/mod.ts";
 * import { importedAt } from "./imported.ts";
 *
 * const binlogs = [{ fieldId: 1n, childFields: [], files: [{ tsFrom: 7n, tsTo: 7n }] }];
 * const segment = { manifestPath: "", binlogs, deltalogs: [], commitTimestamp: 9n } as unknown as Segment;
 * assert.equal(importedAt(segment), 9n);
 * ```
 */
export function importedAt(segment: Segment): HybridTs {
  const { commitTimestamp } = segment;
  const start = startOfImport(segment);
  return commitTimestamp > start ? commitTimestamp : start;
}

/**
 * The time that its rows have in the files.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import type { Segment } from "../model/mod.ts";
 * import { startOfImport } from "./imported.ts";
 *
 * const binlogs = [{ fieldId: 1n, childFields: [], files: [{ tsFrom: 7n, tsTo: 7n }] }];
 * const segment = { manifestPath: "", binlogs, deltalogs: [], commitTimestamp: 9n } as unknown as Segment;
 * assert.equal(startOfImport(segment), 7n);
 * ```
 */
export function startOfImport(segment: Segment): HybridTs {
  const [earliest, latest] = [earliestRowTs(segment), latestRowTs({ ...segment, commitTimestamp: 0n })];
  // Where the files agree on one, that is it: positions are the channel's in some releases.
  return earliest > 0n && earliest === latest ? earliest : segment.startPosition?.ts ?? 0n;
}

/**
 * The segments that imports filled and whose rows count by now: live, or the metadata still says what became of them. In the
 * order of their ids.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import type { Collection, Segment } from "../model/mod.ts";
 * import { importedSegments } from "./imported.ts";
 *
 * // What counts of segments here.
 * const of = { collectionId: 4n, compactionFrom: [] as bigint[] };
 * const segments = [
 *   { ...of, id: 1n, class: "none", imported: true },
 *   { ...of, id: 2n, class: "rows", compactionFrom: [1n] },
 *   { ...of, id: 3n, class: "rows" },
 * ] as unknown as Segment[];
 * assert.deepEqual(importedSegments({ segments }, { id: 4n } as Collection).map(({ id }) => id), [1n]);
 * ```
 */
export function importedSegments(
  { segments }: Pick<Snapshot, "segments">,
  { id }: Collection,
  lineage: Lineage = new Lineage(segments),
): Segment[] {
  return segments.filter((segment) =>
    segment.collectionId === id && segment.imported === true && lineage.holdersOf(segment).length > 0
  ).sort((a, b) => a.id < b.id ? -1 : 1);
}

/**
 * Of a collection's imports that are completed, those whose rows a base has that ends at `cuts` (vchannel -> ts): with the ids of
 * the segments that imports filled. What is later than its cut must still be brought.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { FakeSource } from "../../tests/fakes/source.ts";
 * import { importsInBase } from "./imported.ts";
 *
 * const source = new FakeSource(["dml_0"]);
 * const books = source.create("books", "dml_0");
 * const taken = await source.meta.snapshot(AbortSignal.timeout(1000));
 * const task = { id: 9n, collectionId: books.id, state: "completed", segmentIds: [], rows: 1n } as const;
 * assert.deepEqual(importsInBase({ ...taken, imports: [task] }, books, new Map()), { tasks: [9n], segments: [] });
 * ```
 */
export function importsInBase(
  snapshot: Snapshot,
  collection: Collection,
  cuts: ReadonlyMap<string, HybridTs>,
): { readonly tasks: bigint[]; readonly segments: bigint[] } {
  const byId = new Map(snapshot.segments.map((segment) => [segment.id, segment]));
  const isIn = (segment: Segment) => importedAt(segment) <= (cuts.get(segment.vchannel) ?? 0n);
  const has = (task: ImportTask) =>
    task.segmentIds.every((id) => {
      const segment = byId.get(id);
      // What became of it may have rows of others, too: its own record is what says the time.
      return segment === undefined || segment.compactionFrom.length > 0 || isIn(segment);
    });
  return {
    tasks: snapshot.imports
      .filter((task) => task.collectionId === collection.id && task.state === "completed" && has(task))
      .map(({ id }) => id),
    segments: importedSegments(snapshot, collection).filter(isIn).map(({ id }) => id),
  };
}
