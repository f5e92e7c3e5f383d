/**
 * Bulk imports never pass through the log, so the base must hold them whole or not at all. A snapshot that an import
 * blocks is read again a little later.
 */
import { type Collection, qualifiedName, type Segment, type Snapshot } from "../model/mod.ts";
import { completeTo } from "./cut.ts";
import { Lineage } from "./segment_lineage.ts";
import { importedAt, importedSegments } from "./imported.ts";

export interface ImportBlock {
  readonly collectionId: bigint;
  /** Of a forgotten import the segment that tells of it. */
  readonly taskId: bigint;
  /**
   * `running`: the task is not completed: its segments become visible one by one, half of it may be there;
   * `ahead`: its rows are later than their channel's checkpoint: neither base nor tail would bring them.
   */
  readonly reason: "running" | "ahead";
  /** A sentence for people. */
  readonly detail: string;
}

/**
 * What of `collections`' imports keeps this snapshot from being used; empty = nothing.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { FakeSource } from "../../tests/fakes/source.ts";
 * import { importGate } from "./import_gate.ts";
 *
 * const source = new FakeSource(["dml_0"]);
 * const books = source.create("books", "dml_0");
 * const taken = await source.meta.snapshot(AbortSignal.timeout(1000));
 * const task = { id: 9n, collectionId: books.id, state: "persisted", segmentIds: [], rows: 1n } as const;
 * assert.equal(importGate({ ...taken, imports: [task] }, [books])[0]?.reason, "running");
 * assert.deepEqual(importGate({ ...taken, imports: [{ ...task, state: "completed" }] }, [books]), []);
 * ```
 */
export function importGate(snapshot: Snapshot, collections: readonly Collection[]): ImportBlock[] {
  const byId = new Map(collections.map((collection) => [collection.id, collection]));
  const segments = new Map(snapshot.segments.map((segment) => [segment.id, segment]));
  const blocks: ImportBlock[] = [];
  for (const task of snapshot.imports) {
    const collection = byId.get(task.collectionId);
    if (collection === undefined || task.state === "failed") continue;
    const block = { collectionId: collection.id, taskId: task.id };
    if (task.state !== "completed") {
      const detail = `Import ${task.id} into ${qualifiedName(collection)} is not completed yet (${task.state})`;
      blocks.push({ ...block, reason: "running", detail });
      continue;
    }
    const ahead = task.segmentIds.map((id) => segments.get(id)).find((segment) =>
      isAhead(snapshot, collection, segment)
    );
    if (ahead !== undefined) {
      const detail = `The rows of import ${task.id} into ${
        qualifiedName(collection)
      } (segment ${ahead.id}) are later than the checkpoint of ${ahead.vchannel}`;
      blocks.push({ ...block, reason: "ahead", detail });
    }
  }
  const named = new Set(snapshot.imports.flatMap(({ segmentIds }) => segmentIds));
  const lineage = new Lineage(snapshot.segments);
  for (const collection of collections) {
    // Of an import that the source has forgotten the segments are left.
    const ahead = importedSegments(snapshot, collection, lineage).find((segment) =>
      !named.has(segment.id) && isAhead(snapshot, collection, segment)
    );
    if (ahead === undefined) continue;
    const detail = `The rows that an import brought into ${
      qualifiedName(collection)
    } (segment ${ahead.id}) are later than the checkpoint of ${ahead.vchannel}`;
    blocks.push({ collectionId: collection.id, taskId: ahead.id, reason: "ahead", detail });
  }
  return blocks;
}

/**
 * All rows of an import's segment have one timestamp: its start position's. Where a compaction replaced the segment, its
 * own record, now Dropped, still says it; where that is collected too, the checkpoint has long passed.
 */
function isAhead(snapshot: Snapshot, collection: Collection, segment: Segment | undefined): boolean {
  if (segment === undefined) return false;
  const checkpoint = snapshot.checkpoints.get(segment.vchannel);
  const cut = checkpoint === undefined ? collection.createTs : completeTo(checkpoint);
  const [rows, start] = [importedAt(segment), segment.startPosition?.ts ?? 0n];
  return (rows > start ? rows : start) > cut;
}
