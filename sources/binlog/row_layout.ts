/** Which files of a segment hold which fields' rows. */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { LogFile, Segment } from "../../pipeline/model/mod.ts";
import { create } from "@bufbuild/protobuf";
import {
  type CollectionSchema,
  DataType,
  type FieldSchema,
  FieldSchemaSchema,
} from "../../pipeline/proto/gen/schema_pb.ts";
import { checkReadable } from "./insert.ts";

export const ROW_ID_FIELD = 0n;
export const TIMESTAMP_FIELD = 1n;
/** User fields begin here; smaller ids are Milvus' own. */
export const FIRST_USER_FIELD = 100n;

/**
 * `v1`: a file holds one field. `v2`: a bare Parquet file holds the fields of a column group. `v3`: so it does, and a manifest
 * names the files.
 */
export type StorageForm = "v1" | "v2" | "v3";

/** A manifest decides, whatever the version says: 2.6 leaves 2 beside it. Throws `unsupported` for versions not known. */
export function storageForm(segment: Segment): StorageForm {
  if (segment.manifestPath !== "") return "v3";
  if (segment.storageVersion <= 1n) return "v1";
  if (segment.storageVersion === 2n) return "v2";
  throw new TidemarkError(
    "unsupported",
    segment.storageVersion === 3n
      ? `Segment ${segment.id} has storage version 3 and no manifest`
      : `Segment ${segment.id} has storage version ${segment.storageVersion}; known are 0 to 3`,
  );
}

/** A file's rows, all or some of them. */
export interface RowFile {
  readonly file: LogFile;
  /** Rows [start, end) of the file; `end` undefined: to its last. Undefined: all. */
  readonly rows?: { readonly start: number; readonly end: number | undefined };
}

/**
 * Files that hold the same fields, in row order. Groups of a segment are joined by running row number: neither row groups nor
 * (V3, backfilled V2) files end at the same rows in all of them.
 */
export interface ColumnGroup {
  readonly name: string;
  /** What metadata or the manifest says is in it, which wins over the file; undefined: the files say it. */
  readonly fields: readonly bigint[] | undefined;
  readonly files: readonly RowFile[];
}

/**
 * The groups of a V2 segment. `childFields` wins over the file: a backfill moves a field to a new group and leaves its old
 * column where it is. 2.6.0 and 2.6.1 did not write them.
 */
export function groupsV2(segment: Segment): ColumnGroup[] {
  return segment.binlogs.map(({ fieldId, childFields, files }) => ({
    name: `column group ${fieldId}`,
    fields: childFields.length > 0 ? childFields : undefined,
    files: files.map((file) => ({ file })),
  }));
}

/** A field to read, and whether it is of an array of structs: those came to be without a value of their own. */
export interface WantedField {
  readonly field: FieldSchema;
  readonly inStruct: boolean;
}

/** User fields of a schema; those of struct arrays flattened, as they are stored: `outer[sub]`. */
export function userFields(schema: CollectionSchema): WantedField[] {
  return [
    ...schema.fields.filter((field) => field.fieldID >= FIRST_USER_FIELD).map((field) => ({ field, inStruct: false })),
    ...schema.structArrayFields.flatMap(({ fields }) => fields.map((field) => ({ field, inStruct: true }))),
  ];
}

/** Milvus' own numbers of rows. They mean nothing to users, and later versions may leave them out: then they are null. */
const ROW_ID: WantedField = {
  field: create(FieldSchemaSchema, {
    fieldID: ROW_ID_FIELD,
    name: "RowID",
    dataType: DataType.Int64,
    nullable: true,
  }),
  inStruct: false,
};

/**
 * The fields to read and whether timestamps are wanted. `all`: every field of the schema and the timestamps; row ids only
 * where they are named. Throws `unsupported` for a field whose type cannot be read, `not_found` for an id that the schema lacks.
 */
export function wantedFields(
  schema: CollectionSchema,
  fieldIds: readonly bigint[] | "all",
): { readonly fields: readonly WantedField[]; readonly timestamps: boolean } {
  const known = userFields(schema);
  if (fieldIds === "all") {
    known.forEach(({ field }) => checkReadable(field));
    return { fields: known, timestamps: true };
  }
  const fields: WantedField[] = [];
  for (const id of fieldIds) {
    if (id === TIMESTAMP_FIELD) continue;
    if (id === ROW_ID_FIELD) {
      fields.push(ROW_ID);
      continue;
    }
    const wanted = known.find(({ field }) => field.fieldID === id);
    if (wanted === undefined) {
      throw new TidemarkError("not_found", `Collection ${schema.name} has no field of id ${id}`);
    }
    checkReadable(wanted.field);
    fields.push(wanted);
  }
  return { fields, timestamps: fieldIds.includes(TIMESTAMP_FIELD) };
}

/** The files of one field in storage V1. */
export interface FieldLayout {
  readonly files: readonly LogFile[];
  /** Sets of files, from the first on, that were written before the field was added. */
  readonly lead: number;
}

/** The n-th file of every field covers the same rows: the field with most files says how many sets there are. */
export function countSets(segment: Segment): number {
  return segment.binlogs.reduce((most, group) => Math.max(most, group.files.length), 0);
}

/** Undefined: the field has no file, it was added after the segment was written. */
export function layoutV1(segment: Segment, fieldId: bigint): FieldLayout | undefined {
  const files = filesOf(segment, fieldId);
  if (files.length === 0) return undefined;
  return { files, lead: countSets(segment) - files.length };
}

/** Rows of the first `count` sets, as metadata has them; undefined where it does not say. */
export function entriesOfSets(segment: Segment, count: number): number[] | undefined {
  const sets = countSets(segment);
  const full = segment.binlogs.find((group) => group.files.length === sets);
  const entries = full?.files.slice(0, count).map((file) => file.entries) ?? [];
  return entries.every((number) => number > 0n) ? entries.map(Number) : undefined;
}

function filesOf(segment: Segment, fieldId: bigint): readonly LogFile[] {
  return segment.binlogs.find((group) => group.fieldId === fieldId)?.files ?? [];
}
