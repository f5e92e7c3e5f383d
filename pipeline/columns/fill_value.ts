/** What stands for a null, by the type of its field. */
import type { Column, ColumnData } from "../model/mod.ts";
import { DataType, type FieldSchema } from "../proto/gen/schema_pb.ts";
import { absentColumn } from "./absent.ts";
import { isVector } from "./layout.ts";
import { emptyArray } from "./nested.ts";

export interface FillValues {
  readonly bool: boolean;
  /** Int8 to Int64, Timestamptz (microseconds). */
  readonly integer: number;
  /** Float and Double. */
  readonly float: number;
  readonly text: string;
  /** JSON text. */
  readonly json: string;
}

export const DEFAULT_FILL: FillValues = { bool: false, integer: 0, float: 0, text: "", json: "{}" };

/**
 * A column of one row: the field's own default where it has one, else the value of its type; arrays and sparse vectors are
 * empty, dense vectors zero. Undefined for types that have no such value, and for a value that the type cannot hold.
 */
export function fillColumn(field: FieldSchema, values: FillValues): Column | undefined {
  const base = absentColumn({ ...field, nullable: true }, 1, { what: "The target" });
  if (field.defaultValue?.data.case !== undefined) return { ...base, valid: undefined };
  const data = valueOf(field, values, base.data);
  return data === undefined ? undefined : { ...base, valid: undefined, data };
}

const BITS: Readonly<Partial<Record<DataType, number>>> = {
  [DataType.Int8]: 8,
  [DataType.Int16]: 16,
  [DataType.Int32]: 32,
};

function valueOf(field: FieldSchema, values: FillValues, zero: ColumnData): ColumnData | undefined {
  const text = (value: string) => new TextEncoder().encode(value);
  switch (field.dataType) {
    case DataType.Bool:
      return { kind: "bool", values: Uint8Array.of(values.bool ? 1 : 0) };
    case DataType.Int8:
    case DataType.Int16:
    case DataType.Int32: {
      const most = 2 ** (BITS[field.dataType]! - 1);
      if (values.integer < -most || values.integer >= most) return undefined;
      return { kind: "int32", values: Int32Array.of(values.integer) };
    }
    case DataType.Int64:
    case DataType.Timestamptz:
      return { kind: "int64", values: BigInt64Array.of(BigInt(values.integer)) };
    case DataType.Float:
      return { kind: "float", values: Float32Array.of(values.float) };
    case DataType.Double:
      return { kind: "double", values: Float64Array.of(values.float) };
    case DataType.VarChar:
    case DataType.String:
    case DataType.Text:
      return { kind: "utf8", values: [text(values.text)] };
    case DataType.JSON:
      return { kind: "bytes", values: [text(values.json)] };
    case DataType.Array:
      return { kind: "bytes", values: [emptyArray(field.elementType)] };
    case DataType.ArrayOfVector:
      return undefined;
    default:
      return isVector(field.dataType) ? zero : undefined;
  }
}
