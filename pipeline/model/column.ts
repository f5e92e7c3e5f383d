/** Rows as columns: the form that binlog readers produce and that encoders turn into the target's protobuf. */
import type { DataType } from "../proto/gen/schema_pb.ts";
import type { HybridTs } from "./hybrid.ts";

/** Values of one column. Slot i belongs to row i; a null row has an unspecified slot and `valid[i] = 0`. */
export type ColumnData =
  /** Bool: 0 or 1 per row. */
  | { readonly kind: "bool"; readonly values: Uint8Array }
  /** Int8, Int16, Int32. */
  | { readonly kind: "int32"; readonly values: Int32Array }
  /** Int64, Timestamptz. */
  | { readonly kind: "int64"; readonly values: BigInt64Array }
  | { readonly kind: "float"; readonly values: Float32Array }
  | { readonly kind: "double"; readonly values: Float64Array }
  /** VarChar, String, Text as UTF-8 bytes, so that nothing is decoded and encoded again on the way. */
  | { readonly kind: "utf8"; readonly values: readonly Uint8Array[] }
  /** JSON text, serialised schema.ScalarField (Array), WKB (Geometry), sparse vector pairs: one blob a row. */
  | { readonly kind: "bytes"; readonly values: readonly Uint8Array[] }
  /** Dense vectors, contiguous, `width` bytes a row, little-endian. */
  | { readonly kind: "fixed"; readonly width: number; readonly bytes: Uint8Array };

export interface Column {
  readonly fieldId: bigint;
  readonly name: string;
  readonly type: DataType;
  /** Element type of an Array column. */
  readonly elementType: DataType;
  /** Dimension of a dense vector, 0 otherwise. */
  readonly dim: number;
  readonly isDynamic: boolean;
  /** One byte a row, 1 = value present; undefined = no nulls. */
  readonly valid: Uint8Array | undefined;
  readonly data: ColumnData;
}

/** A run of rows of one segment. */
export interface ColumnBatch {
  /** Index of the first row in its segment. */
  readonly firstRow: number;
  readonly rows: number;
  readonly columns: readonly Column[];
  /** Field 1, one per row. */
  readonly timestamps: BigUint64Array | undefined;
}

/** Primary keys. Varchar keys are strings, int64 keys bigint; one batch has one kind. */
export type Keys =
  | { readonly kind: "int64"; readonly values: readonly bigint[] | BigInt64Array }
  | { readonly kind: "varchar"; readonly values: readonly string[] };

/** One delete: rows of `key` in `partitionId` (-1: in all) with row ts < `ts` go. */
export interface DeleteMark {
  readonly partitionId: bigint;
  readonly keys: Keys;
  /** One per key. */
  readonly timestamps: readonly HybridTs[] | BigUint64Array;
}
