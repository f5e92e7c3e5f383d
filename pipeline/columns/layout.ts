/** Where the values of each data type stand inside schema.FieldData, and in which form. */
import { TidemarkError } from "../errors.ts";
import { DataType } from "../proto/gen/schema_pb.ts";

/**
 * `varint`, `fixed32`, `fixed64`: packed numbers; `items`: a repeated string, bytes or message; `blob`: all rows in one
 * bytes field.
 */
export type Form = "varint" | "fixed32" | "fixed64" | "items" | "blob";

export interface Layout {
  /** Field of FieldData: 3 = scalars, 4 = vectors. */
  readonly group: 3 | 4;
  /** Field of the oneof in ScalarField or VectorField. */
  readonly field: number;
  readonly form: Form;
  /** Field of the repeated values inside the array message; 0 for a blob. */
  readonly values: number;
  /** Fields of the array message beside the values, 0 = none. */
  readonly elementTypeField: number;
  readonly dimField: number;
}

function scalar(field: number, form: Form, elementTypeField = 0): Layout {
  return { group: 3, field, form, values: 1, elementTypeField, dimField: 0 };
}

function vector(field: number, form: Form, values: number, dimField = 0, elementTypeField = 0): Layout {
  return { group: 4, field, form, values, elementTypeField, dimField };
}

/** ScalarField's oneof, by field number. */
const SCALARS: readonly (Layout | undefined)[] = [
  undefined,
  scalar(1, "varint"), // bool_data
  scalar(2, "varint"), // int_data: Int8, Int16, Int32
  scalar(3, "varint"), // long_data
  scalar(4, "fixed32"), // float_data
  scalar(5, "fixed64"), // double_data
  scalar(6, "items"), // string_data
  scalar(7, "items"), // bytes_data
  scalar(8, "items", 2), // array_data
  scalar(9, "items"), // json_data
  scalar(10, "items"), // geometry_data (WKB)
  scalar(11, "varint"), // timestamptz_data
  scalar(12, "items"), // geometry_wkt_data
  scalar(13, "items"), // mol_data
  scalar(14, "items"), // mol_smiles_data
];

/** VectorField's oneof, by field number. */
const VECTORS: readonly (Layout | undefined)[] = [
  undefined,
  undefined,
  vector(2, "fixed32", 1), // float_vector
  vector(3, "blob", 0), // binary_vector
  vector(4, "blob", 0), // float16_vector
  vector(5, "blob", 0), // bfloat16_vector
  vector(6, "items", 1, 2), // sparse_float_vector
  vector(7, "blob", 0), // int8_vector
  vector(8, "items", 2, 1, 3), // vector_array
];

export function layoutOf(group: 3 | 4, field: number): Layout | undefined {
  return (group === 3 ? SCALARS : VECTORS)[field];
}

const BY_TYPE: Readonly<Partial<Record<DataType, Layout>>> = {
  [DataType.Bool]: SCALARS[1],
  [DataType.Int8]: SCALARS[2],
  [DataType.Int16]: SCALARS[2],
  [DataType.Int32]: SCALARS[2],
  [DataType.Int64]: SCALARS[3],
  [DataType.Float]: SCALARS[4],
  [DataType.Double]: SCALARS[5],
  [DataType.String]: SCALARS[6],
  [DataType.VarChar]: SCALARS[6],
  [DataType.Text]: SCALARS[6],
  [DataType.Array]: SCALARS[8],
  [DataType.JSON]: SCALARS[9],
  [DataType.Geometry]: SCALARS[10],
  [DataType.Timestamptz]: SCALARS[11],
  [DataType.Mol]: SCALARS[13],
  [DataType.FloatVector]: VECTORS[2],
  [DataType.BinaryVector]: VECTORS[3],
  [DataType.Float16Vector]: VECTORS[4],
  [DataType.BFloat16Vector]: VECTORS[5],
  [DataType.SparseFloatVector]: VECTORS[6],
  [DataType.Int8Vector]: VECTORS[7],
  [DataType.ArrayOfVector]: VECTORS[8],
};

/** Throws `unsupported` for a type that has no form of its own on the wire. */
export function layoutOfType(type: DataType, name: string): Layout {
  const layout = BY_TYPE[type];
  if (layout === undefined) {
    throw new TidemarkError(
      "unsupported",
      `Column ${name} has the data type ${DataType[type] ?? type}, which has no known wire form`,
      {
        hint: "Leave the collection out with transforms.select.exclude, or use a newer Tidemark.",
      },
    );
  }
  return layout;
}

/** Bytes a row of a dense vector has; 0 for other types or an unknown dimension. */
export function widthOf(type: DataType, dim: number): number {
  switch (type) {
    case DataType.FloatVector:
      return dim * 4;
    case DataType.Float16Vector:
    case DataType.BFloat16Vector:
      return dim * 2;
    case DataType.Int8Vector:
      return dim;
    case DataType.BinaryVector:
      return Math.ceil(dim / 8);
    default:
      return 0;
  }
}

/** True for types whose null rows have no slot on the wire (wal: nullable vectors stay compact). */
export function isVector(type: DataType): boolean {
  return type >= 100 && type < 200;
}
