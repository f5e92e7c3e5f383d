/**
 * The base, or a step from one cut to the next: rows with ts <= cut of the live segments, less what the log or a delta file
 * deletes and less older copies of a key. Two passes over each vchannel: the key and timestamp columns first, to know which rows
 * are dead; then all columns of each segment, written as they come, or taken by the target's own bulk import. Memory is the
 * tables of the first pass (split by key hash when they would be too large) and a few batches.
 */
import { TidemarkError } from "../../errors.ts";
import {
  type ColumnBatch,
  type Cut,
  type DeleteMark,
  type Keys,
  partitionKey,
  primaryKey,
  qualifiedName,
  type RowRefusal,
  type Segment,
} from "../../model/mod.ts";
import { encodeColumn, keysOf, keysOfColumn } from "../../columns/mod.ts";
import { completeColumns, DeadRows, type DeadSegment, partsFor, readSchema, shardOf } from "../../transforms/mod.ts";
import { asAgreed } from "../agreed.ts";
import type { FlowDependencies } from "../dependencies.ts";
import type { BaseJob, BaseProgress, BaseRows } from "./job.ts";
import type { Slots } from "./slots.ts";
import { type FoundSegment, importSegments } from "../imports/mod.ts";
import { keepRefused, refusedWhole, segmentOrigin } from "../refusals/mod.ts";

export async function copyBase(
  deps: FlowDependencies,
  job: BaseJob,
  progress: BaseProgress,
  slots: Slots,
  signal: AbortSignal,
): Promise<BaseRows> {
  const { own } = job;
  const { found, gone } = await findDead(deps, job, signal);
  await removeGone(deps, job, gone, progress, signal);
  const todo = job.segments.filter((segment) => !own.segmentsDone.includes(segment.id));
  const imported = await importSegments(deps, job, todo, found, progress, signal);
  const results = await Promise.allSettled(todo.map((segment) =>
    slots.run(async () => {
      signal.throwIfAborted();
      await copySegment(deps, job, segment, found.get(segment.id), imported.get(segment.id), progress, signal);
    })
  ));
  for (const result of results) if (result.status === "rejected") throw result.reason;
  const byPartition = new Map<bigint, bigint>();
  for (const { id, partitionId } of job.segments) {
    const { rows, dead } = found.get(id) ?? { rows: 0, dead: [] };
    byPartition.set(partitionId, (byPartition.get(partitionId) ?? 0n) + BigInt(rows - dead.length));
  }
  return { byPartition, imported: own.importUnits.length > 0 };
}

/** Keys that are to be removed of one partition; undefined: of all. */
interface Gone {
  readonly partitionId: bigint | undefined;
  readonly keys: Keys;
}

interface Dead {
  readonly found: Map<bigint, FoundSegment>;
  readonly gone: readonly Gone[];
}

async function findDead(deps: FlowDependencies, job: BaseJob, signal: AbortSignal): Promise<Dead> {
  const { collection, own, cuts } = job;
  const deltaMarks = await readDeltaFiles(deps, job, signal);
  const all: Dead & { readonly gone: Gone[] } = { found: new Map(), gone: [] };
  const byChannel = Map.groupBy(job.segments, (segment) => segment.vchannel);
  for (const [vchannel, segments] of byChannel) {
    if (cuts.some((item) => item.vchannel === vchannel)) continue;
    throw new TidemarkError(
      "damaged",
      `Segment ${segments[0]!.id} of ${
        qualifiedName(collection)
      } names the channel ${vchannel}, which the collection does not have`,
    );
  }
  for (const cut of cuts) {
    const { vchannel } = cut;
    const segments = byChannel.get(vchannel) ?? [];
    const marks = [...job.logDeletes.get(vchannel) ?? [], ...deltaMarks.get(vchannel) ?? []];
    const { found, gone } = await findDeadRows(deps, job, cut, segments, marks, signal);
    for (const [id, rows] of found) {
      all.found.set(id, rows);
      own.duplicates += BigInt(rows.counts.duplicates);
    }
    all.gone.push(...gone);
  }
  return all;
}

/** All removals are done before the first write: a key that goes from all partitions may come anew in one of them. */
async function removeGone(
  deps: FlowDependencies,
  { collection, own, setup }: BaseJob,
  gone: readonly Gone[],
  progress: BaseProgress,
  signal: AbortSignal,
): Promise<void> {
  const names = new Map(collection.partitions.map(({ id, name }) => [id, name]));
  const { batchRows } = deps.limits;
  for (const { partitionId, keys } of gone) {
    const partition = partitionId === undefined ? undefined : names.get(partitionId);
    // A partition that the source has dropped takes its rows along.
    if (partitionId !== undefined && partition === undefined) continue;
    for (let from = 0; from < keys.values.length; from += batchRows) {
      signal.throwIfAborted();
      const some = sliceOf(keys, from, from + batchRows);
      const about = { collectionId: collection.id, target: own.target, partition };
      await setup.sink.remove({ ...about, keys: some }, signal);
      own.refusedRows.supersede(partitionId, some);
      progress.removed?.(some.values.length);
      deps.crash("mid_segment");
    }
  }
}

function sliceOf(keys: Keys, from: number, to: number): Keys {
  return keys.kind === "int64"
    ? { kind: "int64", values: BigInt64Array.from(keys.values.slice(from, to)) }
    : { kind: "varchar", values: keys.values.slice(from, to) };
}

function keysAt(keys: Keys, at: readonly number[]): Keys {
  return keys.kind === "int64"
    ? { kind: "int64", values: BigInt64Array.from(at.map((i) => keys.values[i]!)) }
    : { kind: "varchar", values: at.map((i) => keys.values[i]!) };
}

/** All deletes in the job's delta files, by the vchannels of the collection: a delta file's segment says which channel it is of. */
export async function readDeltaFiles(
  deps: FlowDependencies,
  job: BaseJob,
  signal: AbortSignal,
): Promise<Map<string, DeleteMark[]>> {
  const marks = new Map<string, DeleteMark[]>();
  for (const file of job.deltaFiles) {
    // delta_log/<collection>/<partition>/<segment>/<log>, or insert_log/…/<segment>/_delta/<log>.
    const segmentId = BigInt(/\/(\d+)\/(?:_delta\/)?\d+$/.exec(file.path)?.[1] ?? -1);
    const channel = job.channelOfSegment.get(segmentId);
    for await (const mark of deps.binlogs.deletes(file, signal)) {
      for (const [vchannel, own] of channel === undefined ? channelsOf(mark, job) : [[channel, mark] as const]) {
        const list = marks.get(vchannel);
        if (list === undefined) marks.set(vchannel, [own]);
        else list.push(own);
      }
    }
  }
  return marks;
}

/**
 * Where the segment is forgotten. A key lives in one vchannel, so in the others its deletes leave rows as they are; but a step
 * removes by them, and must know: the key says it.
 */
function channelsOf(mark: DeleteMark, { after, collection, cuts }: BaseJob): (readonly [string, DeleteMark])[] {
  if (after === undefined || cuts.length === 1) return cuts.map(({ vchannel }) => [vchannel, mark]);
  const { vchannels } = collection;
  const keys: ArrayLike<bigint | string> = mark.keys.values;
  const at = Map.groupBy(Array.from(keys, (_, i) => i), (i) => shardOf(keys[i]!, vchannels.length));
  return [...at].map(([shard, own]) => [vchannels[shard]!, {
    ...mark,
    keys: keysAt(mark.keys, own),
    timestamps: own.map((i) => mark.timestamps[i]!),
  }]);
}

async function findDeadRows(
  deps: FlowDependencies,
  { collection, after }: BaseJob,
  cut: Cut,
  segments: readonly Segment[],
  marks: readonly DeleteMark[],
  signal: AbortSignal,
): Promise<Dead> {
  const partitions = collection.partitions.map(({ id }) => id);
  const gone: Gone[] = [];
  const afterTs = after?.get(cut.vchannel);
  const key = primaryKey(collection.schema);
  if (key === undefined) {
    throw new TidemarkError("damaged", `Collection ${qualifiedName(collection)} has no primary key`);
  }
  const rows = segments.reduce((sum, segment) => sum + Number(segment.rows), 0);
  const deletes = marks.reduce((sum, mark) => sum + mark.keys.values.length, 0);
  const parts = partsFor(rows, deletes, deps.limits.baseMemoryBytes);
  const all = new Map<bigint, FoundSegment>();
  const counted = new Map<bigint, number>();
  for (let part = 0; part < parts; part++) {
    const finder = new DeadRows({
      cutTs: cut.ts,
      deletesUpTo: cut.ts,
      partitions: partitionKey(collection.schema) === undefined ? "scoped" : "any",
      part,
      parts,
      ...(afterTs === undefined ? {} : { afterTs }),
    });
    for (const mark of marks) finder.addDeletes(mark);
    for (const segment of segments) {
      for await (const batch of deps.binlogs.rows(segment, collection.schema, [1n, key.fieldID], signal)) {
        if (part === 0) counted.set(segment.id, (counted.get(segment.id) ?? 0) + batch.rows);
        finder.addRows(
          segment.id,
          segment.partitionId,
          batch.firstRow,
          keysIn(batch, key.fieldID, segment),
          timestampsOf(batch, segment),
        );
      }
    }
    for (const [id, found] of finder.finish()) {
      const before = all.get(id);
      all.set(id, { ...before === undefined ? found : mergeDead(before, found), rows: counted.get(id) ?? 0 });
    }
    if (afterTs === undefined) continue;
    for (const mark of marks) {
      for (const { partitionId, keys } of finder.removals(mark, partitions)) {
        gone.push({ partitionId, keys: keysAt(mark.keys, keys) });
      }
    }
  }
  return { found: all, gone };
}

function mergeDead(a: DeadSegment, b: DeadSegment): DeadSegment {
  const dead = new Uint32Array(a.dead.length + b.dead.length);
  dead.set(a.dead);
  dead.set(b.dead, a.dead.length);
  dead.sort();
  return {
    dead,
    counts: {
      later: a.counts.later + b.counts.later,
      deleted: a.counts.deleted + b.counts.deleted,
      duplicates: a.counts.duplicates + b.counts.duplicates,
    },
  };
}

function keysIn(batch: ColumnBatch, fieldId: bigint, segment: Segment) {
  const column = batch.columns.find((item) => item.fieldId === fieldId);
  if (column === undefined) throw new TidemarkError("damaged", `Segment ${segment.id} has no files of its primary key`);
  return keysOfColumn(column);
}

function timestampsOf(batch: ColumnBatch, segment: Segment): BigUint64Array {
  if (batch.timestamps === undefined) {
    throw new TidemarkError("damaged", `Segment ${segment.id} has no files of its Timestamp field`);
  }
  return batch.timestamps;
}

/** `rest`: of an imported segment, the rows that the import left out though they live. */
async function copySegment(
  deps: FlowDependencies,
  job: BaseJob,
  segment: Segment,
  found: FoundSegment | undefined,
  rest: Uint32Array | undefined,
  progress: BaseProgress,
  signal: AbortSignal,
): Promise<void> {
  const { collection, own, setup } = job;
  const partition = collection.partitions.find((item) => item.id === segment.partitionId);
  if (partition === undefined) return;
  const gone = found?.dead ?? new Uint32Array();
  const count = rest?.length ?? (found?.rows ?? 0) - gone.length;
  progress.planned(segment.id, count);
  if (count === 0) return await progress.segmentDone(segment.id);
  const schema = readSchema(collection.schema, own.agreed);
  const isWritten = rest === undefined ? notIn(gone) : isIn(rest);
  // Rows that a run before this one may have written must not be inserted twice.
  const mode = job.resumed || setup.onExisting === "merge" ? "upsert" : "insert";
  await progress.segmentBegun(segment.id);
  let writing: Promise<void> | undefined;
  try {
    for await (const batch of deps.binlogs.rows(segment, schema, "all", signal)) {
      const keep: number[] = [];
      for (let row = 0; row < batch.rows; row++) {
        if (isWritten(batch.firstRow + row)) keep.push(row);
      }
      if (keep.length === 0) continue;
      const columns = completeColumns(schema, batch, segment);
      const rows = keep.length;
      const selection = rows === batch.rows ? undefined : Uint32Array.from(keep);
      const fieldsData = columns.map((column) => encodeColumn(column, selection));
      const bytes = fieldsData.reduce((sum, item) => sum + item.length, 0);
      // One batch is written while the next is read and encoded.
      if (writing !== undefined) await writing;
      signal.throwIfAborted();
      const write = async () => {
        const { name } = partition;
        const refused = await writeRows(deps, job, segment, { batch, name, mode, rows, fieldsData, selection }, signal);
        if (job.after === undefined) own.rows += BigInt(rows - refused);
        progress.written(rows, bytes);
        deps.crash("mid_segment");
      };
      writing = write();
      writing.catch(() => {});
    }
    await writing;
  } catch (error) {
    // What is under way must have ended before anybody writes these keys again: landing later it would win over them.
    await writing?.catch(() => {});
    throw error;
  }
  await progress.segmentDone(segment.id);
  deps.crash("between_segments");
}

/** Returns how many rows the target refused; they are kept by the policy. */
async function writeRows(
  deps: FlowDependencies,
  { collection, own, setup }: BaseJob,
  segment: Segment,
  { batch, name, mode, rows, fieldsData, selection }: {
    readonly batch: ColumnBatch;
    readonly name: string;
    readonly mode: "insert" | "upsert";
    readonly rows: number;
    readonly fieldsData: readonly Uint8Array[];
    readonly selection: Uint32Array | undefined;
  },
  signal: AbortSignal,
): Promise<number> {
  const refusals: RowRefusal[] = [];
  const refused = (rows: readonly RowRefusal[]) => void refusals.push(...rows);
  const about = { collectionId: collection.id, target: own.target, partition: name };
  const why = own.partitionsRefused.get(name);
  const sent = { ...about, mode, rows, fieldsData: asAgreed(own, fieldsData, rows), refused };
  if (why === undefined) await setup.sink.write(sent, signal);
  else refused(refusedWhole(why, rows));
  if (own.refusedRows.size > 0) {
    own.refusedRows.supersede(segment.partitionId, keysOf(fieldsData, primaryKey(collection.schema)!, rows));
  }
  if (refusals.length === 0) return 0;
  await keepRefused(deps, {
    sink: setup.sink.name,
    own,
    key: primaryKey(collection.schema)!,
    hasPartitionKey: partitionKey(collection.schema) !== undefined,
    partitionId: segment.partitionId,
    partition: name,
    rows,
    fieldsData,
    refusals,
    origin: segmentOrigin(segment, batch, selection),
  });
  return refusals.length;
}

/** Membership in ascending row indexes, asked for in ascending order. */
function isIn(rows: Uint32Array): (row: number) => boolean {
  let next = 0;
  return (row) => {
    while (next < rows.length && rows[next]! < row) next++;
    return rows[next] === row;
  };
}

function notIn(rows: Uint32Array): (row: number) => boolean {
  const has = isIn(rows);
  return (row) => !has(row);
}
