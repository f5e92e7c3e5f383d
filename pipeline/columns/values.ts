/** Columns as JSON values, for people and for `inspect log`. */
import type { Json } from "../json.ts";
import type { Column } from "../model/mod.ts";
import { DataType } from "../proto/gen/schema_pb.ts";
import { columnOfFrame } from "./decode.ts";
import { plainDouble, shortFloat } from "./float_text.ts";
import { parseScalarField, parseVectorField } from "./nested.ts";
import { rowsOf } from "./encode.ts";
import { decodeUtf8 } from "./utf8.ts";
import { broken } from "./wire.ts";

/**
 * One value a row: int64 and timestamptz as decimal text, other numbers and booleans plain, text as it is, JSON as its raw
 * text, arrays and float vectors as lists, other dense vectors and WKB in hexadecimal, sparse vectors as
 * [[index, value], …], null for null. Throws `damaged` for values that are not what their type says.
 */
export function columnToJson(column: Column): Json[] {
  const rows = rowsOf(column);
  const value = reader(column);
  const out = new Array<Json>(rows);
  for (let row = 0; row < rows; row++) out[row] = column.valid?.[row] === 0 ? null : value(row);
  return out;
}

function reader(column: Column): (row: number) => Json {
  const { data, type } = column;
  switch (data.kind) {
    case "bool":
      return (row) => data.values[row] !== 0;
    case "int32":
      return (row) => data.values[row]!;
    case "int64":
      return (row) => data.values[row]!.toString();
    case "float":
      return (row) => shortFloat(data.values[row]!);
    case "double":
      return (row) => plainDouble(data.values[row]!);
    case "utf8":
      return (row) => text(column, data.values[row]!);
    case "fixed":
      return (row) => dense(type, data.bytes.subarray(row * data.width, (row + 1) * data.width));
    case "bytes":
      switch (type) {
        case DataType.JSON:
          return (row) => text(column, data.values[row]!);
        case DataType.Array:
          return (row) => arrayValues(column, data.values[row]!);
        case DataType.ArrayOfVector:
          return (row) => vectorValues(column, data.values[row]!);
        case DataType.SparseFloatVector:
          return (row) => sparse(column, data.values[row]!);
        default:
          return (row) => hex(data.values[row]!);
      }
  }
}

function text(column: Column, bytes: Uint8Array): string {
  const found = decodeUtf8(bytes);
  if (found === undefined) throw broken(`column ${column.name}: the text is not valid UTF-8`);
  return found;
}

function dense(type: DataType, bytes: Uint8Array): Json {
  if (type !== DataType.FloatVector) return hex(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: bytes.length / 4 }, (_, i) => shortFloat(view.getFloat32(i * 4, true)));
}

function sparse(column: Column, bytes: Uint8Array): Json {
  if (bytes.length % 8 !== 0) {
    throw broken(`column ${column.name}: a sparse vector has ${bytes.length} bytes, no multiple of 8`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from(
    { length: bytes.length / 8 },
    (_, i) => [view.getUint32(i * 8, true), shortFloat(view.getFloat32(i * 8 + 4, true))],
  );
}

function arrayValues(column: Column, bytes: Uint8Array): Json {
  const frame = parseScalarField(bytes, column.elementType);
  if (frame.layout === undefined) return [];
  return columnToJson(columnOfFrame(frame, frame.slots));
}

function vectorValues(column: Column, bytes: Uint8Array): Json {
  const frame = parseVectorField(bytes, column.elementType, column.dim);
  if (frame.layout === undefined) return [];
  return columnToJson(columnOfFrame(frame, frame.slots));
}

export function hex(bytes: Uint8Array): string {
  let out = "";
  for (const byte of bytes) out += (byte < 16 ? "0" : "") + byte.toString(16);
  return out;
}
