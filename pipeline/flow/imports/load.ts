/**
 * An import that finished while the tail runs, or while no run was there. Its rows never pass through the log: they are in
 * segments, all of one task's with one timestamp T. The lanes stand at T or behind it, so keys that the log touched after T,
 * up to where they stand, are left out: what the log did to them is on the target already. To load the rows of a segment that
 * are there already changes nothing, for the same reason: they are as they were at T, and untouched since.
 */
import { encodeColumn, keysOfColumn } from "../../columns/mod.ts";
import { TidemarkError } from "../../errors.ts";
import {
  type DeleteMark,
  partitionKey,
  primaryKey,
  qualifiedName,
  type RowRefusal,
  type Segment,
} from "../../model/mod.ts";
import { completeColumns, DeadRows, Lineage, readSchema } from "../../transforms/mod.ts";
import type { FlowDependencies } from "../dependencies.ts";
import { asAgreed } from "../agreed.ts";
import { keepRefused, segmentOrigin } from "../refusals/mod.ts";
import { keysOfLater, type LoadJob, type Stamps, stampsOf, touchedKeys } from "./touched.ts";

/** Returns the number of rows written. Throws `not_found` where the source has forgotten what it needs. */
export async function loadImport(deps: FlowDependencies, job: LoadJob, signal: AbortSignal): Promise<number> {
  const { task } = job;
  const snapshot = await deps.meta.snapshot(signal);
  const byId = new Map(snapshot.segments.map((segment) => [segment.id, segment]));
  const lineage = new Lineage(snapshot.segments);
  let rows = 0;
  const loaded = new Set<string>();
  for (const id of task.segmentIds) {
    const imported = byId.get(id);
    if (imported === undefined) {
      // An import that sorts names what it sorted and what came of it; the latter has all rows.
      if (task.segmentIds.some((other) => byId.get(other)?.compactionFrom.includes(id) === true)) continue;
      throw forgotten(id, job);
    }
    const stamps = stampsOf(imported, task);
    const holders = lineage.holdersOf(imported);
    if (holders.length === 0) continue;
    const touched = await touchedKeys(deps, job, imported, stamps.ts, snapshot, signal);
    deps.crash("inside_import");
    if (touched === "all") continue;
    touched.push(...await keysOfLater(deps, job, imported, stamps.ts, snapshot, lineage, signal));
    for (const holder of holders) {
      const name = `${holder.id}/${stamps.ts}`;
      if (loaded.has(name)) continue;
      loaded.add(name);
      const { written, found } = await loadSegment(deps, job, holder, stamps, touched, signal);
      if (holder === imported && task.rowsAt === undefined && found < Number(imported.rows)) {
        throw strangers(imported, found, job);
      }
      rows += written;
    }
  }
  return rows;
}

function forgotten(id: bigint, { task, collection }: LoadJob): TidemarkError {
  return new TidemarkError(
    "not_found",
    `Segment ${id} of import ${task.id} into ${qualifiedName(collection)} is not in the metadata any more`,
    {
      hint:
        "It was collected before it could be read. Take a fresh copy of this collection (remove it from the state, on_existing: replace).",
    },
  );
}

function strangers(segment: Segment, found: number, { task, collection }: LoadJob): TidemarkError {
  return new TidemarkError(
    "damaged",
    `Import ${task.id} into ${
      qualifiedName(collection)
    }: of the ${segment.rows} rows of segment ${segment.id} only ${found} have the import's timestamp`,
    { hint: "Take a fresh copy of this collection: a base does not tell an import's rows from others by their time." },
  );
}

async function loadSegment(
  deps: FlowDependencies,
  job: LoadJob,
  segment: Segment,
  stamps: Stamps,
  touched: readonly DeleteMark[],
  signal: AbortSignal,
): Promise<{ readonly written: number; readonly found: number }> {
  const { collection, own, setup } = job;
  const key = primaryKey(collection.schema)!;
  const partition = collection.partitions.find((item) => item.id === segment.partitionId);
  if (partition === undefined) return { written: 0, found: Number(segment.rows) };
  const finder = new DeadRows({
    cutTs: stamps.ts,
    partitions: partitionKey(collection.schema) === undefined ? "scoped" : "any",
    part: 0,
    parts: 1,
  });
  for (const mark of touched) finder.addDeletes(mark);
  for await (const batch of deps.binlogs.rows(segment, collection.schema, [1n, key.fieldID], signal)) {
    const column = batch.columns.find((item) => item.fieldId === key.fieldID);
    if (column === undefined || batch.timestamps === undefined) continue;
    finder.addRows(segment.id, segment.partitionId, batch.firstRow, keysOfColumn(column), batch.timestamps);
  }
  const dead = finder.finish().get(segment.id)?.dead ?? new Uint32Array();
  const gone = new Set(dead);
  let rows = 0;
  let found = 0;
  const schema = readSchema(collection.schema, own.agreed);
  for await (const batch of deps.binlogs.rows(segment, schema, "all", signal)) {
    const keep = [];
    for (let row = 0; row < batch.rows; row++) {
      if (!stamps.has(batch.timestamps?.[row])) continue;
      found++;
      if (!gone.has(batch.firstRow + row)) keep.push(row);
    }
    if (keep.length === 0) continue;
    const columns = completeColumns(schema, batch, segment);
    const selection = Uint32Array.from(keep);
    const fieldsData = columns.map((column) => encodeColumn(column, selection));
    const refusals: RowRefusal[] = [];
    await setup.sink.write({
      collectionId: collection.id,
      target: own.target,
      partition: partition.name,
      mode: "upsert",
      rows: keep.length,
      fieldsData: asAgreed(own, fieldsData, keep.length),
      refused: (refused) => void refusals.push(...refused),
    }, signal);
    rows += keep.length - refusals.length;
    if (refusals.length === 0) continue;
    await keepRefused(deps, {
      sink: setup.sink.name,
      own,
      key,
      hasPartitionKey: partitionKey(collection.schema) !== undefined,
      partitionId: segment.partitionId,
      partition: partition.name,
      rows: keep.length,
      fieldsData,
      refusals,
      origin: segmentOrigin(segment, batch, selection),
    });
  }
  return { written: rows, found };
}
