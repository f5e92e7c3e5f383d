/** A field added after a segment was written has no files there: its rows get the field's default, or null. */
import { TidemarkError } from "../errors.ts";
import type { Column, ColumnBatch, Segment } from "../model/mod.ts";
import { type CollectionSchema, DataType, type FieldSchema } from "../proto/gen/schema_pb.ts";

/**
 * User columns of a batch in schema order, absent ones filled, function outputs and system fields left out.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { create } from "@bufbuild/protobuf";
 * import type { Segment } from "../model/mod.ts";
 * import { CollectionSchemaSchema, DataType } from "../proto/gen/schema_pb.ts";
 * import { completeColumns } from "./complete_columns.ts";
 *
 * const schema = create(CollectionSchemaSchema, {
 *   fields: [{ fieldID: 101n, name: "note", dataType: DataType.VarChar, nullable: true }],
 * });
 * const segment = { id: 7n, storageVersion: 0n, binlogs: [] } as unknown as Segment;
 * const batch = { firstRow: 0, rows: 2, columns: [], timestamps: undefined };
 * const [note] = completeColumns(schema, batch, segment);
 * assert.deepEqual([...note!.valid!], [0, 0], "two nulls");
 * ```
 */
export function completeColumns(schema: CollectionSchema, batch: ColumnBatch, segment: Segment): Column[] {
  const columns: Column[] = [];
  for (const field of schema.fields) {
    if (field.fieldID < 100n || field.isFunctionOutput) continue;
    // A reader gives nulls for a field without files; what stands for them is the schema's business.
    const column = hasFiles(segment, field.fieldID)
      ? batch.columns.find((item) => item.fieldId === field.fieldID)
      : undefined;
    columns.push(column ?? absent(field, batch.rows, segment));
  }
  return columns;
}

function hasFiles(segment: Segment, fieldId: bigint): boolean {
  // Column groups of storage V2 do not always say what is in them; their reader knows.
  return segment.storageVersion >= 2n || segment.binlogs.some((field) => field.fieldId === fieldId);
}

const empty = new Uint8Array();
const emptyObject = new TextEncoder().encode("{}");

function absent(field: FieldSchema, rows: number, segment: Segment): Column {
  const value = field.defaultValue?.data;
  const fallback = value?.case !== undefined;
  if (!field.nullable && !fallback && !field.isDynamic) {
    throw new TidemarkError(
      "damaged",
      `Segment ${segment.id} has no files of the field ${field.name} (${field.fieldID}), which is neither nullable nor has a default`,
      {
        hint:
          "The metadata of the source and its files do not fit together; look at the segment with `tidemark inspect meta`.",
      },
    );
  }
  const base = {
    fieldId: field.fieldID,
    name: field.name,
    type: field.dataType,
    elementType: field.elementType,
    dim: Number(field.typeParams.find((item) => item.key === "dim")?.value ?? 0),
    isDynamic: field.isDynamic,
    valid: fallback || field.isDynamic ? undefined : new Uint8Array(rows),
  };
  return { ...base, data: constant(field, rows, fallback ? value!.value : undefined) };
}

function constant(field: FieldSchema, rows: number, value: unknown): Column["data"] {
  switch (field.dataType) {
    case DataType.Bool:
      return { kind: "bool", values: new Uint8Array(rows).fill(value === true ? 1 : 0) };
    case DataType.Int8:
    case DataType.Int16:
    case DataType.Int32:
      return { kind: "int32", values: new Int32Array(rows).fill(typeof value === "number" ? value : 0) };
    case DataType.Int64:
    case DataType.Timestamptz:
      return { kind: "int64", values: new BigInt64Array(rows).fill(typeof value === "bigint" ? value : 0n) };
    case DataType.Float:
      return { kind: "float", values: new Float32Array(rows).fill(typeof value === "number" ? value : 0) };
    case DataType.Double:
      return { kind: "double", values: new Float64Array(rows).fill(typeof value === "number" ? value : 0) };
    case DataType.VarChar:
    case DataType.String:
    case DataType.Text: {
      const text = typeof value === "string" ? new TextEncoder().encode(value) : empty;
      return { kind: "utf8", values: new Array(rows).fill(text) };
    }
    case DataType.BinaryVector:
    case DataType.FloatVector:
    case DataType.Float16Vector:
    case DataType.BFloat16Vector:
    case DataType.Int8Vector:
      return { kind: "fixed", width: 0, bytes: empty };
    default: {
      const bytes = value instanceof Uint8Array ? value : field.isDynamic ? emptyObject : empty;
      return { kind: "bytes", values: new Array(rows).fill(bytes) };
    }
  }
}
