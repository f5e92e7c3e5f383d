/** The value of one row of an Array or ArrayOfVector column: a ScalarField or VectorField of its own. */
import { DataType } from "../proto/gen/schema_pb.ts";
import { type FieldFrame, parseFrame } from "./frame.ts";
import { layoutOfType } from "./layout.ts";
import { slotsOf } from "./decode.ts";
import { sizeOf32, WireWriter } from "./wire.ts";

export type NestedFrame = FieldFrame & { readonly slots: number };

/** Elements of an array value. Without a layout it is empty, whatever its type. Throws `damaged`. */
export function parseScalarField(bytes: Uint8Array, elementType: DataType): NestedFrame {
  return nested(0x1a, bytes, elementType, 0);
}

export function parseVectorField(bytes: Uint8Array, elementType: DataType, dim: number): NestedFrame {
  return nested(0x22, bytes, elementType, dim);
}

/**
 * One row of an ArrayOfVector column from its vectors' bytes, one behind the other: a VectorField with `dim` and the values in
 * the form of `elementType`. Throws `unsupported` for a type that has no such form.
 */
export function vectorsRow(elementType: DataType, dim: number, bytes: Uint8Array): Uint8Array {
  const layout = layoutOfType(elementType, "of vectors");
  const isBlob = layout.form === "blob";
  // FloatArray.data is packed: a tag and a length more, where there is anything.
  const inner = isBlob ? bytes.length : bytes.length === 0 ? 0 : 1 + sizeOf32(bytes.length) + bytes.length;
  const out = new WireWriter((dim === 0 ? 0 : 1 + sizeOf32(dim)) + 1 + sizeOf32(inner) + inner);
  if (dim !== 0) {
    out.varint32(0x08);
    out.varint32(dim);
  }
  out.varint32((layout.field << 3) | 2);
  out.varint32(inner);
  if (!isBlob && bytes.length > 0) {
    out.varint32((layout.values << 3) | 2);
    out.varint32(bytes.length);
  }
  out.raw(bytes);
  return out.bytes;
}

/** The vectors of one row of an ArrayOfVector column, one behind the other: what {@link vectorsRow} was given. Throws `damaged`. */
export function vectorsOfRow(elementType: DataType, dim: number, row: Uint8Array): Uint8Array {
  const { payload } = parseVectorField(row, elementType, dim);
  if (payload.length === 1) return payload[0]!;
  const out = new Uint8Array(payload.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of payload) {
    out.set(piece, at);
    at += piece.length;
  }
  return out;
}

/** A row without vectors. */
export function emptyVectors(elementType: DataType, dim: number): Uint8Array {
  return vectorsRow(elementType, dim, new Uint8Array());
}

/** A row of an Array column without elements: a ScalarField whose array is empty. */
export function emptyArray(elementType: DataType): Uint8Array {
  const { field } = layoutOfType(elementType, "of an array");
  return Uint8Array.of((field << 3) | 2, 0);
}

function nested(tag: number, bytes: Uint8Array, elementType: DataType, dim: number): NestedFrame {
  const out = new WireWriter(1 + sizeOf32(bytes.length) + bytes.length);
  out.varint32(tag);
  out.prefixed(bytes);
  const parsed = parseFrame(out.bytes);
  const frame = { ...parsed, type: elementType === 0 ? typeOf(parsed) : elementType, dim: parsed.dim || dim };
  const slots = frame.layout === undefined ? 0 : slotsOf(frame, frame.layout, 0);
  return { ...frame, slots };
}

/** A type for values whose column does not say it: what the oneof implies. */
function typeOf(frame: FieldFrame): DataType {
  if (frame.layout?.group === 4) return VECTOR_TYPES[frame.layout.field] ?? DataType.None;
  return SCALAR_TYPES[frame.layout?.field ?? 0] ?? DataType.None;
}

const SCALAR_TYPES: Readonly<Record<number, DataType>> = {
  1: DataType.Bool,
  2: DataType.Int32,
  3: DataType.Int64,
  4: DataType.Float,
  5: DataType.Double,
  6: DataType.VarChar,
  7: DataType.JSON,
  8: DataType.Array,
  9: DataType.JSON,
  10: DataType.Geometry,
  11: DataType.Timestamptz,
  12: DataType.Text,
  13: DataType.Mol,
  14: DataType.Text,
};

const VECTOR_TYPES: Readonly<Record<number, DataType>> = {
  2: DataType.FloatVector,
  3: DataType.BinaryVector,
  4: DataType.Float16Vector,
  5: DataType.BFloat16Vector,
  6: DataType.SparseFloatVector,
  7: DataType.Int8Vector,
};
