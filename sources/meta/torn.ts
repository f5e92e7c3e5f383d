/**
 * Signs that metadata was read in the middle of a change. Milvus cuts what belongs together into several transactions when
 * it is much, so even a read at one revision can show half of a compaction or of a flush.
 */
import type { Collection, FieldFiles } from "../../pipeline/model/mod.ts";
import type { FieldSchema } from "../../pipeline/proto/gen/schema_pb.ts";
import { entriesOf } from "./segment_files.ts";
import type { SegmentReading } from "./segments.ts";
import { plural } from "../../pipeline/units/mod.ts";

export interface TornSign {
  readonly segmentId: bigint;
  /** What is there and what is missing. */
  readonly what: string;
  /** Reading on would lose or double rows. Otherwise the files are believed when reading again does not change it. */
  readonly fatal: boolean;
}

/** A child that is missing longer than this after its source was dropped does not come any more. */
const RECENT_MS = 60_000;
/** SegmentLevel.L0. */
const L0 = 1;
const TIMESTAMP_FIELD = 1n;
const LOGICAL_BITS = 18n;

/** `nowMs`: the time of reading by the source's clock. Only segments of live collections and partitions count. */
export function findTorn(
  segments: readonly SegmentReading[],
  collections: ReadonlyMap<bigint, Collection>,
  nowMs: number,
): TornSign[] {
  const byId = new Map(segments.map((segment) => [segment.id, segment]));
  const named = new Set(segments.flatMap((segment) => segment.compactionFrom));
  const signs: TornSign[] = [];
  for (const segment of segments) {
    const collection = collections.get(segment.collectionId);
    if (collection === undefined) continue;
    if (segment.state === "dropped") {
      if (lacksChild(segment, named, nowMs)) {
        signs.push({ segmentId: segment.id, what: missingChild(nowMs), fatal: true });
      }
      continue;
    }
    const half = halfDropped(segment, byId);
    if (half !== undefined) signs.push({ segmentId: segment.id, what: half, fatal: true });
    const empty = segment.deltalogs.length === 0 && segment.manifestPath === "" && !segment.predicates;
    if (segment.class === "deletes" && empty) {
      signs.push({ segmentId: segment.id, what: "is L0 and lacks the key of its delta logs", fatal: true });
    }
    if (segment.class === "rows" && segment.manifestPath === "") {
      signs.push(...filesDisagree(segment, collection, nowMs));
    }
  }
  return signs;
}

function lacksChild(segment: SegmentReading, named: ReadonlySet<bigint>, nowMs: number): boolean {
  // A compaction of L0 writes to segments that exist, it has no child; without rows there is nothing to miss.
  if (!segment.compacted || segment.level === L0 || segment.rows === 0n || named.has(segment.id)) return false;
  return nowMs - Number(segment.droppedAt / 1_000_000n) < RECENT_MS;
}

function missingChild(nowMs: number): string {
  return "is Dropped with compacted=true, dropped_at is recent " +
    `(use ${Math.floor(nowMs / 1000)} s as the time of reading) and no segment lists it in compactionFrom`;
}

/** Sources are dropped together: one that is and one that is not means half of it was read. */
function halfDropped(segment: SegmentReading, byId: ReadonlyMap<bigint, SegmentReading>): string | undefined {
  const sources = segment.compactionFrom.flatMap((id) => byId.get(id) ?? []);
  const dropped = sources.find((source) => source.state === "dropped");
  const alive = sources.find((source) => source.state !== "dropped");
  if (dropped === undefined || alive === undefined) return undefined;
  return `is compacted from ${dropped.id}, which is Dropped, and ${alive.id}, which is not`;
}

function filesDisagree(segment: SegmentReading, collection: Collection, nowMs: number): TornSign[] {
  const sign = (what: string, fatal: boolean): TornSign => ({ segmentId: segment.id, what, fatal });
  const partial = segment.state === "growing" || segment.state === "sealed";
  const state = segment.state[0]!.toUpperCase() + segment.state.slice(1);
  if (segment.binlogs.length === 0) {
    return segment.rows > 0n && !partial
      ? [sign(`is ${state} with ${segment.rows} ${plural(segment.rows, "row")} and has no binlog key`, true)]
      : [];
  }
  const packed = segment.storageVersion >= 2n;
  const pk = collection.schema.fields.find((field) => field.isPrimaryKey)?.fieldID;
  if (!packed) {
    const needed = [0n, TIMESTAMP_FIELD, ...(pk === undefined ? [] : [pk])];
    const missing = needed.filter((id) => !segment.binlogs.some(({ fieldId }) => fieldId === id));
    if (missing.length > 0) {
      return missing.map((id) => sign(`is ${state} and lacks the binlog key of field ${id}`, true));
    }
  }
  const reference = segment.binlogs.find(({ fieldId }) => fieldId === (packed ? 0n : TIMESTAMP_FIELD)) ??
    segment.binlogs[0]!;
  const rows = entriesOf(reference);
  const signs = segment.binlogs.flatMap((field) => {
    const entries = entriesOf(field);
    if (entries === rows || entries < rows && mayBeLate(field, collection.schema.fields)) return [];
    return [
      sign(
        `has ${entries} rows in the binlogs of field ${field.fieldId} but ${rows} in those of ${reference.fieldId}`,
        true,
      ),
    ];
  });
  if (segment.state === "flushed" && rows !== segment.rows && signs.length === 0) {
    signs.push(
      sign(`is Flushed with ${segment.rows} ${plural(segment.rows, "row")} but its binlogs hold ${rows}`, false),
    );
  }
  const lacking = isNew(segment.id, nowMs) ? fieldsWithoutFiles(segment, collection.schema.fields) : [];
  // Rows of before a field was added have none for good. A segment that is being made may just lack them yet.
  if (lacking.length > 0) signs.push(sign(`is new and lacks the binlog keys of fields ${lacking.join(", ")}`, false));
  return signs;
}

/** Ids are timestamps of the source's clock. */
function isNew(id: bigint, nowMs: number): boolean {
  return Math.abs(nowMs - Number(id >> LOGICAL_BITS)) < RECENT_MS;
}

/** Their values would be taken for null, or for the default. */
function fieldsWithoutFiles(
  { binlogs, storageVersion }: SegmentReading,
  fields: readonly FieldSchema[],
): bigint[] {
  const packed = storageVersion >= 2n;
  // Of a group that does not say its fields nobody knows which they are.
  if (packed && binlogs.some(({ childFields }) => childFields.length === 0)) return [];
  const there = new Set(binlogs.flatMap(({ fieldId, childFields }) => packed ? childFields : [fieldId]));
  return fields.map(({ fieldID }) => fieldID).filter((id) => !there.has(id));
}

/** Fields that were added to the schema after rows were written have fewer rows. */
function mayBeLate(files: FieldFiles, fields: readonly FieldSchema[]): boolean {
  const ids = files.childFields.length > 0 ? files.childFields : [files.fieldId];
  return ids.every((id) => {
    const field = fields.find((candidate) => candidate.fieldID === id);
    return field === undefined || field.nullable || field.defaultValue !== undefined;
  });
}
