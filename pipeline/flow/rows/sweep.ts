/**
 * What to do where the files no longer say which rows were deleted: the target's keys are read, and what the source's files have
 * no row of is removed. Keys that a file deletes after the cut are spared: the step that passes that moment settles them.
 */
import { keysOf, keysOfColumn } from "../../columns/mod.ts";
import { TidemarkError } from "../../errors.ts";
import { type Cut, type DeleteMark, type Keys, partitionKey, primaryKey, qualifiedName } from "../../model/mod.ts";
import { DeadRows, partsFor } from "../../transforms/mod.ts";
import { type BaseJob, readDeltaFiles } from "../base/mod.ts";
import type { FlowDependencies } from "../dependencies.ts";

/**
 * `job`: of the step, with all live segments and every delta file. Returns how many keys were removed. Throws `position_lost`,
 * with `why`, where the target's rows cannot be told from those of others, or cannot be read.
 */
export async function sweep(
  deps: FlowDependencies,
  job: BaseJob,
  why: string,
  signal: AbortSignal,
): Promise<number> {
  const { own, setup } = job;
  const { sink } = setup;
  const there = await sink.state(own.target, signal);
  if (setup.onExisting === "merge" && !own.made.has("collection")) throw lost(job, why, "it also has rows of others");
  if (!there.loaded) throw lost(job, why, "it is not loaded");
  const marks = await readDeltaFiles(deps, job, signal);
  const rows = job.segments.reduce((sum, segment) => sum + Number(segment.rows), 0);
  const deletes = [...marks.values()].flat().reduce((sum, mark) => sum + mark.keys.values.length, 0);
  const parts = partsFor(rows, deletes, deps.limits.baseMemoryBytes);
  let removed = 0;
  for (let part = 0; part < parts; part++) {
    const alive: DeadRows[] = [];
    for (const cut of job.cuts) {
      alive.push(await aliveRows(deps, job, cut, marks.get(cut.vchannel) ?? [], { part, parts }, signal));
    }
    removed += await removeOthers(job, alive, signal);
  }
  return removed;
}

/**
 * Keys with a row at the cut, and keys with a later delete: that may be what purged their row. Its file cannot have been collected
 * before the checkpoint passes it.
 */
async function aliveRows(
  deps: FlowDependencies,
  { collection, segments }: BaseJob,
  { vchannel, ts: cutTs }: Cut,
  marks: readonly DeleteMark[],
  parts: { readonly part: number; readonly parts: number },
  signal: AbortSignal,
): Promise<DeadRows> {
  const key = primaryKey(collection.schema)!;
  const alive = new DeadRows({
    cutTs,
    deletesUpTo: cutTs,
    partitions: partitionKey(collection.schema) === undefined ? "scoped" : "any",
    ...parts,
  });
  for (const mark of marks) alive.addDeletes(mark);
  for (const segment of segments) {
    if (segment.vchannel !== vchannel) continue;
    for await (const batch of deps.binlogs.rows(segment, collection.schema, [1n, key.fieldID], signal)) {
      const column = batch.columns.find(({ fieldId }) => fieldId === key.fieldID);
      if (column === undefined || batch.timestamps === undefined) {
        throw new TidemarkError("damaged", `Segment ${segment.id} has no files of its primary key or Timestamp field`);
      }
      alive.addRows(segment.id, segment.partitionId, batch.firstRow, keysOfColumn(column), batch.timestamps);
    }
  }
  for (const mark of marks) {
    const later = keysWhere(mark.keys, (i) => mark.timestamps[i]! > cutTs);
    if (later.values.length === 0) continue;
    const ids = mark.partitionId === -1n ? collection.partitions.map(({ id }) => id) : [mark.partitionId];
    // As rows that nothing up to the cut deletes.
    const last = new BigUint64Array(later.values.length).fill(cutTs);
    for (const id of ids) alive.addRows(-id, id, 0, later, last);
  }
  return alive;
}

function keysWhere(keys: Keys, wanted: (index: number) => boolean): Keys {
  return keys.kind === "int64"
    ? { kind: "int64", values: BigInt64Array.from(keys.values).filter((_, i) => wanted(i)) }
    : { kind: "varchar", values: keys.values.filter((_, i) => wanted(i)) };
}

async function removeOthers(
  { collection, own, setup: { sink } }: BaseJob,
  alive: readonly DeadRows[],
  signal: AbortSignal,
): Promise<number> {
  const key = primaryKey(collection.schema)!;
  const named = { fieldID: -1n, name: key.name, dataType: key.dataType };
  const partitions = partitionKey(collection.schema) === undefined ? collection.partitions : [undefined];
  let removed = 0;
  for (const partition of partitions) {
    const id = partition?.id ?? -1n;
    const gone: Keys[] = [];
    const selection = partition === undefined ? {} : { partition: partition.name };
    const wanted = { source: collection, target: own.target };
    for await (const page of sink.read(wanted, { ...selection, outputFields: [key.name] }, signal)) {
      const keys = keysOf(page.fieldsData, named, page.rows);
      const lifeless = alive.map((rows) => new Set(rows.lifeless(id, keys)));
      const some = keysWhere(keys, (i) => lifeless.every((own) => own.has(i)));
      if (some.values.length > 0) gone.push(some);
    }
    // Not while its pages are read.
    for (const keys of gone) {
      await sink.remove({ collectionId: collection.id, target: own.target, partition: partition?.name, keys }, signal);
      own.refusedRows.supersede(partition?.id, keys);
      removed += keys.values.length;
    }
  }
  return removed;
}

function lost({ collection, own, setup }: BaseJob, why: string, but: string): TidemarkError {
  const target = `${own.target.db}.${own.target.name} on ${setup.sink.name}`;
  return new TidemarkError(
    "position_lost",
    `The files no longer tell which rows of ${qualifiedName(collection)} were deleted since the last step: ${why}. ` +
      `What ${target} has too much could be found by its keys, but ${but}`,
    {
      hint: "Load it there, or set on_position_lost: resnapshot to copy the collection afresh. " +
        "It does not come to this where steps are more frequent than the source's garbage collection (dataCoord.gc).",
    },
  );
}
