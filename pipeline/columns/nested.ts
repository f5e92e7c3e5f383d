/** The value of one row of an Array or ArrayOfVector column: a ScalarField or VectorField of its own. */
import { DataType } from "../proto/gen/schema_pb.ts";
import { type FieldFrame, parseFrame } from "./frame.ts";
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
