/** Columns without nulls from columns with nulls: one value stands for each of them. */
import type { Column, ColumnData } from "../model/mod.ts";
import { decodeFieldData } from "./decode.ts";
import { encodeColumn } from "./encode.ts";
import { parseFrame } from "./frame.ts";
import { broken } from "./wire.ts";

export interface Filled {
  readonly bytes: Uint8Array;
  /** Nulls that got the value. */
  readonly nulls: number;
}

/** `value`: a column of one row, of the same type. Throws `damaged` for bytes that are no such column. */
export function fillNulls(fieldData: Uint8Array, rows: number, value: Column): Filled {
  const { valid } = parseFrame(fieldData);
  if (valid === undefined) return { bytes: fieldData, nulls: 0 };
  const column = decodeFieldData(fieldData, rows);
  const nulls = valid.reduce((count, flag) => flag === 0 ? count + 1 : count, 0);
  const data = nulls === 0 ? column.data : filled(column, valid, value.data);
  return { bytes: encodeColumn({ ...column, valid: undefined, data }), nulls };
}

/** The value in every row, under the name and id of `value`. */
export function repeatValue(value: Column, rows: number): Uint8Array {
  return encodeColumn(value, new Uint32Array(rows));
}

/** Values of a column that are not null. */
export function countValues(fieldData: Uint8Array, rows: number): number {
  const { valid } = parseFrame(fieldData);
  return valid === undefined ? rows : valid.reduce((count, flag) => flag === 0 ? count : count + 1, 0);
}

function filled({ data, name }: Column, valid: Uint8Array, { kind, ...value }: ColumnData): ColumnData {
  if (data.kind !== kind) throw broken(`column ${name} holds ${data.kind}, what stands for its nulls is ${kind}`);
  if (data.kind === "fixed") {
    const { width } = data;
    const bytes = new Uint8Array(data.bytes);
    const one = (value as { readonly bytes: Uint8Array }).bytes;
    if (one.length !== width) {
      throw broken(`column ${name} has ${width} bytes a row, its value for nulls ${one.length}`);
    }
    for (let row = 0; row < valid.length; row++) if (valid[row] === 0) bytes.set(one, row * width);
    return { kind: "fixed", width, bytes };
  }
  const values = data.values.slice();
  const [one] = (value as { readonly values: ArrayLike<unknown> & Iterable<unknown> }).values;
  for (let row = 0; row < valid.length; row++) if (valid[row] === 0) (values as unknown[])[row] = one;
  return { ...data, values } as ColumnData;
}
