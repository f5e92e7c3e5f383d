import { encodeColumn } from "../../pipeline/columns/mod.ts";
import { DataType } from "../../pipeline/proto/gen/schema_pb.ts";

/** FieldData of a column of integers, or of as many nulls. */
export function int64Column(fieldId: bigint, name: string, values: readonly bigint[], nulls = false): Uint8Array {
  return encodeColumn({
    fieldId,
    name,
    type: DataType.Int64,
    elementType: DataType.None,
    dim: 0,
    isDynamic: false,
    valid: nulls ? new Uint8Array(values.length) : undefined,
    data: { kind: "int64", values: BigInt64Array.from(values) },
  });
}
