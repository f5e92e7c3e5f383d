/**
 * An import that finished while the tail runs, or while no run was there. Its rows never pass through the log: they are in
 * segments, all of one task's with one timestamp T. The lanes stand at T or behind it, so keys that the log touched after T,
 * up to where they stand, are left out: what the log did to them is on the target already. To load the rows of a segment that
 * are there already changes nothing, for the same reason: they are as they were at T, and untouched since.
 */
import { encodeColumn, keysOf, keysOfColumn } from "../../columns/mod.ts";
import { TidemarkError } from "../../errors.ts";
import {
  type Collection,
  type DeleteMark,
  type HybridTs,
  partitionKey,
  primaryKey,
  qualifiedName,
  type ResumePoint,
  type RowRefusal,
  type Segment,
  type Snapshot,
} from "../../model/mod.ts";
import { completeColumns, DeadRows, importedAt, Lineage, readSchema, startOfImport } from "../../transforms/mod.ts";
import type { FlowDependencies, RowSinkSetup } from "../dependencies.ts";
import { asAgreed } from "../agreed.ts";
import { keepRefused, segmentOrigin } from "../refusals/mod.ts";
import type { CollectionState } from "../state/mod.ts";
import type { SourceImport } from "./source_import.ts";

export interface LoadJob {
  readonly task: SourceImport;
  readonly collection: Collection;
  readonly own: CollectionState;
  readonly setup: RowSinkSetup;
  /** pchannel -> tick up to which the log is applied. */
  readonly upTo: ReadonlyMap<string, HybridTs>;
  /** pchannel -> a place in the log that the sink knows from before the import. */
  readonly from: ReadonlyMap<string, ResumePoint>;
}

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

/** What the rows of an import have as timestamp: in files of before its commit (3.0) that of its start, effectively `ts`. */
interface Stamps {
  readonly ts: HybridTs;
  has(ts: HybridTs | undefined): boolean;
}

function stampsOf(segment: Segment, { rowsAt }: SourceImport): Stamps {
  if (rowsAt !== undefined) return { ts: rowsAt, has: (other) => other === rowsAt };
  const [ts, start] = [importedAt(segment), startOfImport(segment)];
  return { ts, has: (other) => other === ts || other === start };
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

/** Every key that the log inserted or deleted after `ts`, as delete marks. */
async function touchedKeys(
  deps: FlowDependencies,
  job: LoadJob,
  segment: Segment,
  ts: HybridTs,
  snapshot: Snapshot,
  signal: AbortSignal,
): Promise<DeleteMark[]> {
  const { collection, upTo } = job;
  const key = primaryKey(collection.schema)!;
  const channel = collection.vchannels.indexOf(segment.vchannel);
  const pchannel = collection.pchannels[channel];
  const end = pchannel === undefined ? undefined : upTo.get(pchannel);
  const known = offsetBefore(snapshot, collection, segment.vchannel, pchannel, ts);
  if (pchannel === undefined || end === undefined || end <= ts || known === undefined) return [];
  const own = job.from.get(pchannel);
  const offset = own !== undefined && own.tick <= ts && own.offset > known ? own.offset : known;
  const marks: DeleteMark[] = [];
  const bounds = await deps.log.bounds(pchannel, signal);
  let cut = offset < bounds.earliest;
  const groups = deps.follow({
    pchannel,
    // Ticks of before the import are wanted only to see that the log has them.
    from: cut ? { offset: bounds.earliest, tick: 0n } : { offset, tick: ts },
    topicId: bounds.topicId,
    select: (event) =>
      event.vchannel === segment.vchannel &&
      (event.kind === "insert" || event.kind === "delete" || (event.kind === "block" && event.predicate !== undefined)),
    // Where nothing is written, the lanes may stand at ticks that never reached the log.
    promised: end,
  }, signal);
  for await (const group of groups) {
    // Its first tick says whether the log still begins before the import.
    if (cut && group.tick > ts) throw logTooShort(job, pchannel);
    cut = false;
    for (const event of group.events) {
      if (event.ts <= ts || event.ts > end) continue;
      if (event.kind === "block") throw metByPredicate(event.reason, job);
      if (event.kind !== "insert" && event.kind !== "delete") continue;
      const keys = event.kind === "insert" ? keysOf(event.fieldsData, key, event.rows) : event.keys;
      marks.push({
        partitionId: event.partitionId,
        keys: keys.kind === "int64" ? { kind: "int64", values: BigInt64Array.from(keys.values) } : keys,
        timestamps: new BigUint64Array(keys.values.length).fill(event.ts),
      });
    }
    if (group.tick >= end) break;
  }
  return marks;
}

function metByPredicate(reason: string, { task, collection }: LoadJob): TidemarkError {
  return new TidemarkError(
    "unsupported",
    `Import ${task.id} into ${
      qualifiedName(collection)
    } is older than a delete by predicate that is applied already, ` +
      `and nobody knows which of its rows that would have met. ${reason}`,
    { hint: "Take a fresh copy of this collection (remove it from the state, on_existing: replace)." },
  );
}

function logTooShort({ task, collection }: LoadJob, pchannel: string): TidemarkError {
  return new TidemarkError(
    "not_found",
    `Import ${task.id} into ${
      qualifiedName(collection)
    } is older than what the log of ${pchannel} still holds, so nobody knows which of its rows were deleted or replaced since`,
    { hint: "Take a fresh copy of this collection (remove it from the state, on_existing: replace)." },
  );
}

/**
 * The latest known offset on the vchannel from which nothing later than `ts` can have been missed. The start position of an
 * imported segment does not serve: its offset is where the log stood when the segment was saved, later than its timestamp.
 */
function offsetBefore(
  snapshot: Snapshot,
  collection: Collection,
  vchannel: string,
  pchannel: string | undefined,
  ts: HybridTs,
): bigint | undefined {
  if (pchannel === undefined) return undefined;
  const imported = new Set(snapshot.imports.flatMap((task) => task.segmentIds));
  let offset = collection.startOffsets.get(pchannel) ?? 0n;
  const consider = (position: Segment["startPosition"]): void => {
    if (position?.offset !== undefined && position.ts <= ts && position.offset > offset) offset = position.offset;
  };
  consider(snapshot.checkpoints.get(vchannel));
  for (const other of snapshot.segments) {
    if (other.vchannel !== vchannel || imported.has(other.id) || other.imported === true) continue;
    // A compaction's child may have the position of an imported one.
    if (other.compactionFrom.length > 0) continue;
    consider(other.startPosition);
  }
  return offset;
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
