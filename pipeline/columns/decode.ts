/** schema.FieldData to columns: all types, nulls in the full and in the compact form. */
import type { Column, ColumnData } from "../model/mod.ts";
import { DataType } from "../proto/gen/schema_pb.ts";
import { type FieldFrame, parseFrame } from "./frame.ts";
import { isVector, type Layout, layoutOfType, widthOf } from "./layout.ts";
import { countValid } from "./rows.ts";
import { isValidUtf8 } from "./utf8.ts";
import { countVarints, halvesOf, readVarints32, readVarints64 } from "./varints.ts";
import { broken, BYTES, WireReader } from "./wire.ts";

/**
 * Values are views into `bytes` where their form allows it. With nulls, as many slots as rows is the full form, as many
 * as valid rows the compact one; anything else throws `damaged`.
 */
export function decodeFieldData(bytes: Uint8Array, rows: number): Column {
  return columnOfFrame(parseFrame(bytes), rows);
}

export function columnOfFrame(frame: FieldFrame, rows: number): Column {
  const layout = frame.layout ?? layoutOfType(frame.type, frame.name);
  const { valid } = frame;
  if (valid !== undefined && valid.length !== rows) {
    throw broken(`column ${frame.name} has ${valid.length} validity flags for ${rows} rows`);
  }
  const slots = slotsOf(frame, layout, rows);
  const compact = expansion(frame, slots, rows);
  return {
    fieldId: frame.fieldId,
    name: frame.name,
    type: frame.type,
    elementType: frame.elementType,
    dim: isVector(frame.type) && frame.type !== DataType.SparseFloatVector ? frame.dim : 0,
    isDynamic: frame.isDynamic,
    valid,
    data: dataOf(frame, layout, slots, rows, compact ? valid : undefined),
  };
}

/** True if the slots are the valid rows only and must be spread. */
export function expansion(frame: FieldFrame, slots: number, rows: number): boolean {
  if (slots === rows) return false;
  if (frame.valid !== undefined && slots === countValid(frame.valid)) return true;
  const nulls = frame.valid === undefined ? "" : `, ${countValid(frame.valid)} of them valid`;
  throw broken(`column ${frame.name} has ${slots} values for ${rows} rows${nulls}`);
}

/** Values that stand in the payload. */
export function slotsOf(frame: FieldFrame, layout: Layout, rows: number): number {
  const size = frame.payload.reduce((sum, piece) => sum + piece.length, 0);
  switch (layout.form) {
    case "varint":
      return countVarints(frame.payload);
    case "items":
      return countItems(frame.payload);
    case "fixed64":
      return whole(frame, size, 8);
    case "fixed32":
      if (layout.group === 3) return whole(frame, size, 4);
  }
  const width = widthOf(frame.type, frame.dim);
  if (width > 0) return whole(frame, size, width);
  // A writer that leaves the dimension out: the rows tell it.
  return size === 0 ? 0 : frame.valid === undefined ? rows : countValid(frame.valid);
}

function whole(frame: FieldFrame, size: number, width: number): number {
  if (size % width !== 0) throw broken(`column ${frame.name} has ${size} bytes, which is no multiple of ${width}`);
  return size / width;
}

export function countItems(pieces: readonly Uint8Array[]): number {
  let count = 0;
  for (const piece of pieces) {
    const reader = new WireReader(piece);
    while (!reader.done) {
      reader.uint32();
      reader.skip(BYTES);
      count++;
    }
  }
  return count;
}

function dataOf(
  frame: FieldFrame,
  layout: Layout,
  slots: number,
  rows: number,
  spread: Uint8Array | undefined,
): ColumnData {
  if (layout.group === 4 && layout.form !== "items") return fixedOf(frame, slots, rows, spread);
  switch (layout.form) {
    case "items": {
      const text = layout.group === 3 && (layout.field === 6 || layout.field === 12 || layout.field === 14);
      const items = itemsOf(frame.payload, slots);
      if (text) {
        for (let i = 0; i < items.length; i++) {
          if (!isValidUtf8(items[i]!)) throw broken(`column ${frame.name}, value ${i}: the text is not valid UTF-8`);
        }
      }
      return { kind: text ? "utf8" : "bytes", values: spread === undefined ? items : spreadList(items, spread) };
    }
    case "fixed32": {
      const words = new Uint32Array(slots);
      copyPieces(frame.payload, new Uint8Array(words.buffer));
      const values = new Float32Array((spread === undefined ? words : spreadWords(words, spread, 1)).buffer);
      return { kind: "float", values };
    }
    case "fixed64": {
      const words = new Uint32Array(slots * 2);
      copyPieces(frame.payload, new Uint8Array(words.buffer));
      const values = new Float64Array((spread === undefined ? words : spreadWords(words, spread, 2)).buffer);
      return { kind: "double", values };
    }
    case "varint":
      if (layout.field === 1) {
        const values = new Uint8Array(slots);
        readVarints32(frame.payload, values);
        for (let i = 0; i < slots; i++) if (values[i]! > 1) values[i] = 1;
        return {
          kind: "bool",
          values: spread === undefined ? values : spreadInto(values, new Uint8Array(rows), spread),
        };
      }
      if (layout.field === 2) {
        const values = new Int32Array(slots);
        readVarints32(frame.payload, values);
        return {
          kind: "int32",
          values: spread === undefined ? values : spreadInto(values, new Int32Array(rows), spread),
        };
      }
      return { kind: "int64", values: int64Of(frame.payload, slots, spread) };
    default:
      throw broken(`column ${frame.name} has an unknown form`);
  }
}

/** The packed int64 values; spread over the valid rows where given. */
export function int64Of(
  payload: readonly Uint8Array[],
  slots: number,
  spread?: Uint8Array,
): BigInt64Array<ArrayBuffer> {
  const values = new BigInt64Array(slots);
  readVarints64(payload, halvesOf(values));
  if (spread === undefined) return values;
  return new BigInt64Array(spreadWords(new Uint32Array(values.buffer), spread, 2).buffer);
}

function fixedOf(frame: FieldFrame, slots: number, rows: number, spread: Uint8Array | undefined): ColumnData {
  const size = frame.payload.reduce((sum, piece) => sum + piece.length, 0);
  const width = widthOf(frame.type, frame.dim) || (slots === 0 ? 0 : whole(frame, size, slots) && size / slots);
  if (spread === undefined && frame.payload.length === 1) return { kind: "fixed", width, bytes: frame.payload[0]! };
  const packed = new Uint8Array(size);
  copyPieces(frame.payload, packed);
  if (spread === undefined) return { kind: "fixed", width, bytes: packed };
  const bytes = new Uint8Array(rows * width);
  let at = 0;
  for (let row = 0; row < rows; row++) {
    if (spread[row] === 0) continue;
    bytes.set(packed.subarray(at, at + width), row * width);
    at += width;
  }
  return { kind: "fixed", width, bytes };
}

/** The items as views. */
export function itemsOf(pieces: readonly Uint8Array[], slots: number): Uint8Array[] {
  const items = new Array<Uint8Array>(slots);
  let at = 0;
  for (const piece of pieces) {
    const reader = new WireReader(piece);
    while (!reader.done) {
      reader.uint32();
      items[at++] = reader.view();
    }
  }
  return items;
}

function copyPieces(pieces: readonly Uint8Array[], out: Uint8Array): void {
  let at = 0;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.length;
  }
}

const EMPTY = new Uint8Array();

function spreadList(items: readonly Uint8Array[], valid: Uint8Array): Uint8Array[] {
  const out = new Array<Uint8Array>(valid.length);
  let at = 0;
  for (let row = 0; row < valid.length; row++) out[row] = valid[row] === 0 ? EMPTY : items[at++]!;
  return out;
}

function spreadInto<T extends Uint8Array | Int32Array>(values: T, out: T, valid: Uint8Array): T {
  let at = 0;
  for (let row = 0; row < valid.length; row++) if (valid[row] !== 0) out[row] = values[at++]!;
  return out;
}

function spreadWords(words: Uint32Array<ArrayBuffer>, valid: Uint8Array, each: number): Uint32Array<ArrayBuffer> {
  const out = new Uint32Array(valid.length * each);
  let at = 0;
  for (let row = 0; row < valid.length; row++) {
    if (valid[row] === 0) continue;
    for (let i = 0; i < each; i++) out[row * each + i] = words[at++]!;
  }
  return out;
}
