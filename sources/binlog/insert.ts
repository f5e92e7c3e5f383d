/** From Parquet values to the column that a field's schema says. */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { Column, ColumnData } from "../../pipeline/model/mod.ts";
import { vectorsRow } from "../../pipeline/columns/mod.ts";
import { DataType, type FieldSchema } from "../../pipeline/proto/gen/schema_pb.ts";
import type { PageValues, ParquetPage } from "../../stores/mod.ts";
import { damaged } from "./damage.ts";

/** Dimension of a dense vector field or of the vectors in its arrays, 0 for other types. Throws `damaged` for one without. */
export function dimensionOf(field: FieldSchema): number {
  if (vectorBits(denseType(field)) === 0) return 0;
  const dim = field.typeParams.find((pair) => pair.key === "dim")?.value;
  if (dim === undefined || !/^[1-9]\d{0,6}$/.test(dim)) {
    throw damaged(
      `Field ${field.name} (${field.fieldID})`,
      `is a vector whose dimension is ${dim ?? "missing"} in the metadata`,
    );
  }
  return parseInt(dim, 10);
}

/** Bytes of a dense vector, 0 for other types. */
export function vectorWidth(field: FieldSchema): number {
  return Math.ceil((dimensionOf(field) * vectorBits(denseType(field))) / 8);
}

function denseType(field: FieldSchema): DataType {
  return field.dataType === DataType.ArrayOfVector ? field.elementType : field.dataType;
}

/** Throws `unsupported` for a field whose values are not in column files as known columns. */
export function checkReadable(field: FieldSchema): void {
  const isList = field.dataType === DataType.ArrayOfVector;
  if (kindOf(field.dataType) === undefined || (isList && vectorBits(field.elementType) === 0)) {
    const type = DataType[field.dataType] ?? `type ${field.dataType}`;
    throw new TidemarkError(
      "unsupported",
      `Field ${field.name} is of type ${type}${
        isList ? ` with elements of type ${DataType[field.elementType] ?? field.elementType}` : ""
      }, which cannot be read from files`,
      {
        hint: "Exclude its collection.",
      },
    );
  }
}

/** The rows of `page` as a column of `field`. Throws `damaged` where the stored type is another. */
export function columnOf(field: FieldSchema, page: ParquetPage, what: string): Column {
  return { ...describe(field), valid: page.valid, data: dataOf(field, page, what) };
}

function describe(field: FieldSchema): Omit<Column, "valid" | "data"> {
  return {
    fieldId: field.fieldID,
    name: field.name,
    type: field.dataType,
    elementType: field.elementType,
    dim: dimensionOf(field),
    isDynamic: field.isDynamic,
  };
}

function dataOf(field: FieldSchema, page: ParquetPage, what: string): ColumnData {
  const kind = kindOf(field.dataType);
  const { values } = page;
  if (kind === "fixed") return vectorOf(field, page, what);
  if (field.dataType === DataType.ArrayOfVector) return vectorsOf(field, page, what);
  if ((kind === "utf8" || kind === "bytes") && values.kind === "bytes") return { kind, values: values.values };
  if (kind === values.kind && values.kind !== "bytes") return values;
  throw mismatch(field, values, what);
}

/** Dense vectors are fixed-size blocks; nullable ones (late 2.6) variable ones, empty for null. */
function vectorOf(field: FieldSchema, page: ParquetPage, what: string): ColumnData {
  const width = vectorWidth(field);
  const { values, valid, rows } = page;
  if (values.kind === "fixed") {
    if (values.width === width) return { kind: "fixed", width, bytes: values.bytes };
    throw damaged(what, `holds vectors of ${values.width} bytes; field ${field.name} has ${width}`);
  }
  if (values.kind !== "bytes") throw mismatch(field, values, what);
  const bytes = new Uint8Array(rows * width);
  for (let row = 0; row < rows; row++) {
    if (valid?.[row] === 0) continue;
    const value = values.values[row]!;
    if (value.length !== width) {
      throw damaged(what, `holds a vector of ${value.length} bytes; field ${field.name} has ${width}`);
    }
    bytes.set(value, row * width);
  }
  return { kind: "fixed", width, bytes };
}

/** Lists of fixed-size blocks: a cell has a row's vectors, one behind the other. */
function vectorsOf(field: FieldSchema, { values, valid }: ParquetPage, what: string): ColumnData {
  if (values.kind !== "bytes") throw mismatch(field, values, what);
  const width = vectorWidth(field);
  const dim = dimensionOf(field);
  return {
    kind: "bytes",
    values: values.values.map((cell, row) => {
      if (cell.length % width !== 0) {
        throw damaged(what, `holds ${cell.length} bytes of vectors; one of field ${field.name} has ${width}`);
      }
      return valid?.[row] === 0 ? cell : vectorsRow(field.elementType, dim, cell);
    }),
  };
}

function mismatch(field: FieldSchema, values: PageValues, what: string): TidemarkError {
  return damaged(what, `holds ${values.kind} values; field ${field.name} is of type ${DataType[field.dataType]}`);
}

/** Undefined: cannot be read. */
function kindOf(type: DataType): ColumnData["kind"] | undefined {
  switch (type) {
    case DataType.Bool:
      return "bool";
    case DataType.Int8:
    case DataType.Int16:
    case DataType.Int32:
      return "int32";
    case DataType.Int64:
    case DataType.Timestamptz:
      return "int64";
    case DataType.Float:
      return "float";
    case DataType.Double:
      return "double";
    case DataType.String:
    case DataType.VarChar:
    case DataType.Text:
      return "utf8";
    case DataType.JSON:
    case DataType.Array:
    case DataType.Geometry:
    case DataType.SparseFloatVector:
    case DataType.ArrayOfVector:
      return "bytes";
    default:
      return vectorBits(type) > 0 ? "fixed" : undefined;
  }
}

/** Bits per dimension of a dense vector type, 0 for other types. */
function vectorBits(type: DataType): number {
  switch (type) {
    case DataType.BinaryVector:
      return 1;
    case DataType.FloatVector:
      return 32;
    case DataType.Float16Vector:
    case DataType.BFloat16Vector:
      return 16;
    case DataType.Int8Vector:
      return 8;
    default:
      return 0;
  }
}
