/**
 * What came later than an import's rows and is on the target already, or will be: the log's keys, those of later imports, and
 * truncations. Rows that it concerns are not to be loaded.
 */
import { keysOf, keysOfColumn } from "../../columns/mod.ts";
import { TidemarkError } from "../../errors.ts";
import {
  type Collection,
  type DeleteMark,
  type HybridTs,
  type Keys,
  type LogEvent,
  primaryKey,
  qualifiedName,
  type ResumePoint,
  type Segment,
  type Snapshot,
} from "../../model/mod.ts";
import { importedAt, importedSegments, type Lineage, startOfImport } from "../../transforms/mod.ts";
import type { FlowDependencies, RowSinkSetup } from "../dependencies.ts";
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

/** What the rows of an import have as timestamp: in files of before its commit (3.0) that of its start, effectively `ts`. */
export interface Stamps {
  readonly ts: HybridTs;
  has(ts: HybridTs | undefined): boolean;
}

export function stampsOf(segment: Segment, { rowsAt }: Pick<SourceImport, "rowsAt">): Stamps {
  if (rowsAt !== undefined) return { ts: rowsAt, has: (other) => other === rowsAt };
  const [ts, start] = [importedAt(segment), startOfImport(segment)];
  return { ts, has: (other) => other === ts || other === start };
}

/** Every key that the log inserted or deleted after `ts`, as delete marks; `all` where a truncation came after it. */
export async function touchedKeys(
  deps: FlowDependencies,
  job: LoadJob,
  segment: Segment,
  ts: HybridTs,
  snapshot: Snapshot,
  signal: AbortSignal,
): Promise<DeleteMark[] | "all"> {
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
      (event.kind === "insert" || event.kind === "delete" || isTruncation(event) ||
        (event.kind === "block" && event.predicate !== undefined)),
    // Where nothing is written, the lanes may stand at ticks that never reached the log.
    promised: end,
  }, signal);
  for await (const group of groups) {
    // Its first tick says whether the log still begins before the import.
    if (cut && group.tick > ts) throw logTooShort(job, pchannel);
    cut = false;
    for (const event of group.events) {
      if (event.ts <= ts || event.ts > end) continue;
      // The metadata may name its segments a while longer.
      if (isTruncation(event)) return "all";
      if (event.kind === "block") throw metByPredicate(event.reason, job);
      if (event.kind !== "insert" && event.kind !== "delete") continue;
      const keys = event.kind === "insert" ? keysOf(event.fieldsData, key, event.rows) : event.keys;
      marks.push({
        partitionId: event.partitionId,
        keys: copyOf(keys),
        timestamps: new BigUint64Array(keys.values.length).fill(event.ts),
      });
    }
    if (group.tick >= end) break;
  }
  return marks;
}

/**
 * Keys of rows of later imports that are on the target already: the newer row of a key is what counts, whichever job was done
 * first. Those that are still to be loaded take their keys themselves.
 */
export async function keysOfLater(
  { binlogs }: Pick<FlowDependencies, "binlogs">,
  { collection, own }: LoadJob,
  segment: Segment,
  ts: HybridTs,
  snapshot: Snapshot,
  lineage: Lineage,
  signal: AbortSignal,
): Promise<DeleteMark[]> {
  const key = primaryKey(collection.schema)!;
  const marks: DeleteMark[] = [];
  for (const other of importedSegments(snapshot, collection, lineage)) {
    const later = importedAt(other);
    if (other.vchannel !== segment.vchannel || later <= ts || own.importSegments?.includes(other.id) === false) {
      continue;
    }
    const stamps = stampsOf(other, {});
    for (const holder of lineage.holdersOf(other)) {
      for await (const batch of binlogs.rows(holder, collection.schema, [TIMESTAMP, key.fieldID], signal)) {
        const column = batch.columns.find(({ fieldId }) => fieldId === key.fieldID);
        const { timestamps } = batch;
        if (column === undefined || timestamps === undefined) continue;
        const all = copyOf(keysOfColumn(column));
        // Rows of the same segment that came otherwise are none of its.
        const times = timestamps.map((own) => stamps.has(own) ? later : 0n);
        marks.push({ partitionId: holder.partitionId, keys: all, timestamps: times });
      }
    }
  }
  return marks;
}

/** Keys may be views into what was fetched. */
function copyOf(keys: Keys): Keys {
  return keys.kind === "int64" ? { kind: "int64", values: BigInt64Array.from(keys.values) } : keys;
}

/** The field of the rows' times. */
const TIMESTAMP = 1n;

function isTruncation(event: LogEvent): boolean {
  return event.kind === "ddl" && event.operation === "truncate_collection";
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
