/** Which files of a segment hold which fields' rows. */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { FieldFiles, LogFile, Segment } from "../../pipeline/model/mod.ts";
import type { CollectionSchema, FieldSchema } from "../../pipeline/proto/gen/schema_pb.ts";
import { checkReadable } from "./insert.ts";

export const ROW_ID_FIELD = 0n;
export const TIMESTAMP_FIELD = 1n;
/** User fields begin here; smaller ids are Milvus' own. */
export const FIRST_USER_FIELD = 100n;

/** V1: a file holds one field. V2: a bare Parquet file holds the fields of a column group. */
export type StorageForm = "v1" | "v2";

/** Throws `unsupported` for manifests (V3) and versions not known. */
export function storageForm(segment: Segment): StorageForm {
  if (segment.manifestPath !== "") {
    throw new TidemarkError(
      "unsupported",
      `Segment ${segment.id} is kept by a manifest (storage V3), which cannot be read yet`,
      {
        hint:
          "Exclude its collection, or let the source write storage V2 (common.storage.useLoonFFI: false) and compact.",
      },
    );
  }
  if (segment.storageVersion <= 1n) return "v1";
  if (segment.storageVersion === 2n) return "v2";
  throw new TidemarkError(
    "unsupported",
    `Segment ${segment.id} has storage version ${segment.storageVersion}; known are 0 to 2`,
  );
}

/**
 * The fields to read, system fields left out, and whether timestamps are wanted. `all`: every field of the schema and the
 * timestamps. Throws `unsupported` for a field whose type cannot be read, `not_found` for an id that the schema lacks.
 */
export function wantedFields(
  schema: CollectionSchema,
  fieldIds: readonly bigint[] | "all",
): { readonly fields: readonly FieldSchema[]; readonly timestamps: boolean } {
  if (fieldIds === "all") {
    const fields = schema.fields.filter((field) => field.fieldID >= FIRST_USER_FIELD);
    fields.forEach(checkReadable);
    const struct = schema.structArrayFields[0];
    if (struct !== undefined) {
      throw new TidemarkError(
        "unsupported",
        `Field ${struct.name} is an array of structs, which cannot be read from files yet`,
        {
          hint: "Exclude its collection.",
        },
      );
    }
    return { fields, timestamps: true };
  }
  const fields: FieldSchema[] = [];
  for (const id of fieldIds) {
    if (id === TIMESTAMP_FIELD) continue;
    const field = schema.fields.find((candidate) => candidate.fieldID === id);
    if (field === undefined) throw new TidemarkError("not_found", `Collection ${schema.name} has no field of id ${id}`);
    checkReadable(field);
    fields.push(field);
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

/**
 * The column group that holds a field in storage V2, where metadata says: by `childFields`, or because the group is of that
 * field alone (its id is the field's).
 */
export function groupOf(segment: Segment, fieldId: bigint): FieldFiles | undefined {
  return segment.binlogs.find((group) => group.childFields.includes(fieldId)) ??
    segment.binlogs.find((group) =>
      group.childFields.length === 0 && group.fieldId === fieldId && fieldId >= FIRST_USER_FIELD
    );
}
