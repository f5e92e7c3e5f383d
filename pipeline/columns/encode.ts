/** Columns to schema.FieldData: float memory goes in as it is, nothing is built in between but the packed values. */
import { TidemarkError } from "../errors.ts";
import type { Column } from "../model/mod.ts";
import { DataType } from "../proto/gen/schema_pb.ts";
import { formatFrame } from "./frame.ts";
import { isVector, type Layout, layoutOfType } from "./layout.ts";
import { forEachRun, type RowSelection, selectedRows, selectValid } from "./rows.ts";
import { isValidUtf8 } from "./utf8.ts";
import { packInt32, packInt64 } from "./varints.ts";
import { sizeOf32 } from "./wire.ts";

/**
 * A serialised schema.FieldData with the rows of `column`, or those of `keep` in its order. Null rows of scalars get an
 * empty slot (the full form, as Milvus' log has it), null rows of vectors none (the compact form).
 * Throws `damaged` for text that is not UTF-8 and `unexpected` where type and data do not fit together.
 */
export function encodeColumn(column: Column, keep?: Uint32Array): Uint8Array {
  const layout = layoutOfType(column.type, column.name);
  const rows = rowsOf(column);
  const valid = column.valid === undefined ? undefined : selectValid(column.valid, keep);
  const sparse = column.type === DataType.SparseFloatVector;
  return formatFrame({
    type: column.type,
    name: column.name,
    fieldId: column.fieldId,
    isDynamic: column.isDynamic,
    valid,
    layout,
    payload: payloadOf(column, layout, rows, keep),
    dim: sparse ? sparseDim(column, rows, keep) : isVector(column.type) ? column.dim : 0,
    elementType: layout.elementTypeField === 0 ? 0 : column.elementType,
  });
}

/** Number of rows of a column. */
export function rowsOf(column: Column): number {
  if (column.valid !== undefined) return column.valid.length;
  const { data } = column;
  if (data.kind !== "fixed") return data.values.length;
  return data.width === 0 ? 0 : data.bytes.length / data.width;
}

function payloadOf(column: Column, layout: Layout, rows: number, keep: RowSelection): Uint8Array[] {
  const { data, valid, name } = column;
  const plain = keep === undefined && valid === undefined;
  switch (data.kind) {
    case "bool": {
      if (layout.field !== 1 || layout.form !== "varint") throw mismatch(column);
      const out = new Uint8Array(selectedRows(keep, rows));
      fillSelected(keep, rows, valid, (at, row) => out[at] = data.values[row] === 0 ? 0 : 1);
      return [out];
    }
    case "int32": {
      if (layout.field !== 2 || layout.form !== "varint") throw mismatch(column);
      if (plain) return [packInt32(data.values)];
      const out = new Int32Array(selectedRows(keep, rows));
      fillSelected(keep, rows, valid, (at, row) => out[at] = data.values[row]!);
      return [packInt32(out)];
    }
    case "int64": {
      if (layout.form !== "varint" || layout.field === 1 || layout.field === 2) throw mismatch(column);
      if (plain) return [packInt64(data.values)];
      const out = new BigInt64Array(selectedRows(keep, rows));
      fillSelected(keep, rows, valid, (at, row) => out[at] = data.values[row]!);
      return [packInt64(out)];
    }
    case "float": {
      if (layout.form !== "fixed32" || layout.group !== 3) throw mismatch(column);
      if (plain) return [memory(data.values)];
      // Copied as integers: moving a NaN as a float may change its bits.
      const from = new Uint32Array(data.values.buffer, data.values.byteOffset, data.values.length);
      const out = new Uint32Array(selectedRows(keep, rows));
      fillSelected(keep, rows, valid, (at, row) => out[at] = from[row]!);
      return [memory(out)];
    }
    case "double": {
      if (layout.form !== "fixed64") throw mismatch(column);
      if (plain) return [memory(data.values)];
      const from = new Uint32Array(data.values.buffer, data.values.byteOffset, data.values.length * 2);
      const out = new Uint32Array(selectedRows(keep, rows) * 2);
      fillSelected(keep, rows, valid, (at, row) => {
        out[at * 2] = from[row * 2]!;
        out[at * 2 + 1] = from[row * 2 + 1]!;
      });
      return [memory(out)];
    }
    case "utf8":
      if (layout.form !== "items" || layout.group !== 3) throw mismatch(column);
      return [packItems(data.values, layout, rows, keep, valid, name)];
    case "bytes":
      if (layout.form !== "items") throw mismatch(column);
      return [packItems(data.values, layout, rows, keep, valid, undefined)];
    case "fixed":
      if (layout.group !== 4 || layout.form === "items") throw mismatch(column);
      return packFixed(data.bytes, data.width, rows, keep, valid);
  }
}

/** Calls `put` for every selected row that is not null, with its place among the selected. */
function fillSelected(
  keep: RowSelection,
  rows: number,
  valid: Uint8Array | undefined,
  put: (at: number, row: number) => void,
): void {
  let at = 0;
  forEachRun(keep, rows, (start, end) => {
    for (let row = start; row < end; row++, at++) if (valid === undefined || valid[row] !== 0) put(at, row);
  });
}

function packItems(
  values: readonly Uint8Array[],
  layout: Layout,
  rows: number,
  keep: RowSelection,
  valid: Uint8Array | undefined,
  textColumn: string | undefined,
): Uint8Array {
  const tag = (layout.values << 3) | 2;
  const compact = layout.group === 4;
  let size = 0;
  forEachRun(keep, rows, (start, end) => {
    for (let row = start; row < end; row++) {
      if (valid !== undefined && valid[row] === 0) {
        if (!compact) size += 2;
        continue;
      }
      const { length } = values[row]!;
      size += 1 + sizeOf32(length) + length;
    }
  });
  const out = new Uint8Array(size);
  let pos = 0;
  forEachRun(keep, rows, (start, end) => {
    for (let row = start; row < end; row++) {
      if (valid !== undefined && valid[row] === 0) {
        if (compact) continue;
        out[pos++] = tag;
        out[pos++] = 0;
        continue;
      }
      const value = values[row]!;
      const { length } = value;
      out[pos++] = tag;
      let rest = length;
      while (rest > 127) {
        out[pos++] = (rest & 127) | 128;
        rest >>>= 7;
      }
      out[pos++] = rest;
      let seen = 0;
      if (length < 48) {
        for (let i = 0; i < length; i++) seen |= out[pos + i] = value[i]!;
      } else {
        out.set(value, pos);
        seen = 128;
      }
      if (textColumn !== undefined && seen > 127 && !isValidUtf8(value)) throw notUtf8(textColumn, row);
      pos += length;
    }
  });
  return out;
}

function packFixed(
  bytes: Uint8Array,
  width: number,
  rows: number,
  keep: RowSelection,
  valid: Uint8Array | undefined,
): Uint8Array[] {
  if (keep === undefined && valid === undefined) return [bytes];
  const pieces: Uint8Array[] = [];
  forEachRun(keep, rows, (start, end) => {
    if (valid === undefined) {
      pieces.push(bytes.subarray(start * width, end * width));
      return;
    }
    for (let row = start; row < end;) {
      while (row < end && valid[row] === 0) row++;
      const from = row;
      while (row < end && valid[row] !== 0) row++;
      if (row > from) pieces.push(bytes.subarray(from * width, row * width));
    }
  });
  return pieces;
}

/** Largest index + 1 over all rows: the pairs of a row are sorted by index (uint32 index, float32 value). */
function sparseDim(column: Column, rows: number, keep: RowSelection): number {
  const { data, valid } = column;
  if (data.kind !== "bytes") throw mismatch(column);
  let dim = 0;
  fillSelected(keep, rows, valid, (_at, row) => {
    const value = data.values[row]!;
    const at = value.length - 8;
    if (at < 0) return;
    const last = (value[at]! | (value[at + 1]! << 8) | (value[at + 2]! << 16) | (value[at + 3]! << 24)) >>> 0;
    if (last + 1 > dim) dim = last + 1;
  });
  return Math.min(dim, 0xffffffff);
}

function memory(values: Float32Array | Float64Array | Uint32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

function notUtf8(name: string, row: number): TidemarkError {
  return new TidemarkError("damaged", `Column ${name}, row ${row}: the text is not valid UTF-8`, {
    hint: "A Milvus server accepts no such text, so the file or record it came from is damaged.",
  });
}

function mismatch(column: Column): TidemarkError {
  return new TidemarkError(
    "unexpected",
    `Column ${column.name} has the type ${DataType[column.type]} but its values are of the kind ${column.data.kind}`,
  );
}
