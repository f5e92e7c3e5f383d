/**
 * The column of a field that is in no file of a segment: it was added to the schema after the rows were written. The server
 * fills such rows with the field's default, or null; arrays of a struct that came later are empty.
 */
import { TidemarkError } from "../errors.ts";
import type { Column, ColumnData } from "../model/mod.ts";
import { DataType, type FieldSchema } from "../proto/gen/schema_pb.ts";
import { geometryOfText } from "./geometry.ts";
import { isVector, widthOf } from "./layout.ts";
import { emptyArray, emptyVectors } from "./nested.ts";

export interface AbsentOptions {
  /** The field belongs to an array of structs. */
  readonly inStruct?: boolean;
  /** Whose file it is missing from, for the error. */
  readonly what: string;
}

/** How values of `ValueField` come, by the type of the field (schema.proto; Milvus checks it when a field is made). */
const DEFAULT_TYPES: Readonly<Partial<Record<DataType, string>>> = {
  [DataType.Bool]: "boolean",
  [DataType.Int8]: "number",
  [DataType.Int16]: "number",
  [DataType.Int32]: "number",
  [DataType.Int64]: "bigint",
  // The text that a user gives is rewritten to microseconds (pkg/util/timestamptz).
  [DataType.Timestamptz]: "bigint",
  [DataType.Float]: "number",
  [DataType.Double]: "number",
  [DataType.VarChar]: "string",
  [DataType.String]: "string",
  [DataType.Text]: "string",
};

const EMPTY = new Uint8Array();
const EMPTY_OBJECT = new TextEncoder().encode("{}");

/**
 * Throws `damaged` for a field that must have a value: neither nullable nor with a default; and for a default of another type
 * than the field's, which would be taken for 0.
 */
export function absentColumn(field: FieldSchema, rows: number, { inStruct = false, what }: AbsentOptions): Column {
  const value = field.defaultValue?.data;
  const hasDefault = value?.case !== undefined;
  const isEmpty = inStruct && !field.nullable;
  // What a function makes of a row, the target makes anew.
  const mayBeNull = field.nullable || field.isFunctionOutput;
  if (!mayBeNull && !hasDefault && !field.isDynamic && !isEmpty) {
    throw new TidemarkError(
      "damaged",
      `${what} has no files of the field ${field.name} (${field.fieldID}), which is neither nullable nor has a default`,
      {
        hint:
          "The metadata of the source and its files do not fit together; look at the segment with `tidemark inspect meta`.",
      },
    );
  }
  const wantedType = DEFAULT_TYPES[field.dataType];
  if (hasDefault && wantedType !== undefined && typeof value!.value !== wantedType) {
    throw new TidemarkError(
      "damaged",
      `${what} has no files of the field ${field.name} (${field.fieldID}), whose default is kept as ${value!.case}: ` +
        `no value of the type ${DataType[field.dataType]}`,
      { hint: "Look at the collection's schema with `tidemark inspect meta`, and report it." },
    );
  }
  const isDense = isVector(field.dataType) && field.dataType !== DataType.SparseFloatVector;
  return {
    fieldId: field.fieldID,
    name: field.name,
    type: field.dataType,
    elementType: field.elementType,
    dim: isDense ? dimOf(field) : 0,
    isDynamic: field.isDynamic,
    valid: hasDefault || field.isDynamic || isEmpty ? undefined : new Uint8Array(rows),
    data: constant(field, rows, hasDefault ? value!.value : undefined, isEmpty),
  };
}

function dimOf(field: FieldSchema): number {
  return parseInt(field.typeParams.find((item) => item.key === "dim")?.value ?? "0", 10);
}

function constant(field: FieldSchema, rows: number, value: unknown, isEmpty: boolean): ColumnData {
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
      const text = typeof value === "string" ? new TextEncoder().encode(value) : EMPTY;
      return { kind: "utf8", values: new Array<Uint8Array>(rows).fill(text) };
    }
    case DataType.BinaryVector:
    case DataType.FloatVector:
    case DataType.Float16Vector:
    case DataType.BFloat16Vector:
    case DataType.Int8Vector: {
      const width = widthOf(field.dataType, dimOf(field));
      return { kind: "fixed", width, bytes: new Uint8Array(rows * width) };
    }
    default: {
      const bytes = value instanceof Uint8Array
        ? value
        : typeof value === "string" && field.dataType === DataType.Geometry
        // The schema keeps it as text (internal/rootcoord/util.go, checkGeometryDefaultValue), a column as binary.
        ? geometryOfText(value)
        : typeof value === "string"
        ? new TextEncoder().encode(value)
        : field.isDynamic
        ? EMPTY_OBJECT
        : isEmpty
        ? emptyRow(field)
        : EMPTY;
      return { kind: "bytes", values: new Array<Uint8Array>(rows).fill(bytes) };
    }
  }
}

function emptyRow(field: FieldSchema): Uint8Array {
  return field.dataType === DataType.ArrayOfVector
    ? emptyVectors(field.elementType, dimOf(field))
    : emptyArray(field.elementType);
}
