/**
 * A FieldData message taken apart down to its packed values, which stay as they are. What only moves rows around (merge,
 * select, rename) works on frames and never decodes a value.
 */
import type { DataType } from "../proto/gen/schema_pb.ts";
import { type Layout, layoutOf } from "./layout.ts";
import { decodeUtf8 } from "./utf8.ts";
import { broken, BYTES, FIXED32, FIXED64, sizeOf32, sizeOfBigint, VARINT, WireReader, WireWriter } from "./wire.ts";

export interface FieldFrame {
  readonly type: DataType;
  readonly name: string;
  readonly fieldId: bigint;
  readonly isDynamic: boolean;
  /** valid_data, one byte a row; undefined = no nulls. */
  readonly valid: Uint8Array | undefined;
  /** Undefined where the message carries no values at all. */
  readonly layout: Layout | undefined;
  /** The packed numbers, the items with their tags, or the blob; in pieces where the writer split them. */
  readonly payload: readonly Uint8Array[];
  /** VectorField.dim; of a sparse vector the largest index + 1. */
  readonly dim: number;
  /** Element type of arrays, 0 otherwise. */
  readonly elementType: number;
}

export interface FieldHead {
  readonly fieldId: bigint;
  readonly name: string;
  readonly type: DataType;
  readonly isDynamic: boolean;
}

/** What a column is, without looking at its values. Throws `damaged`. */
export function describeFieldData(bytes: Uint8Array): FieldHead {
  let type = 0;
  let name = "";
  let fieldId = 0n;
  let isDynamic = false;
  const reader = new WireReader(bytes);
  while (!reader.done) {
    const tag = reader.uint32();
    if (tag === 0x08) type = reader.uint32();
    else if (tag === 0x12) name = textOf(reader.view());
    else if (tag === 0x28) fieldId = reader.int64();
    else if (tag === 0x30) isDynamic = reader.uint32() !== 0;
    else reader.skip(tag & 7);
  }
  return { fieldId, name, type, isDynamic };
}

/** Throws `damaged`, also for struct arrays, which never stand in a log (they are flattened before). */
export function parseFrame(bytes: Uint8Array): FieldFrame {
  const frame = {
    type: 0 as DataType,
    name: "",
    fieldId: 0n,
    isDynamic: false,
    valid: undefined as Uint8Array | undefined,
    layout: undefined as Layout | undefined,
    payload: [] as Uint8Array[],
    dim: 0,
    elementType: 0,
  };
  const reader = new WireReader(bytes);
  while (!reader.done) {
    const tag = reader.uint32();
    switch (tag) {
      case 0x08:
        frame.type = reader.uint32();
        break;
      case 0x12:
        frame.name = textOf(reader.view());
        break;
      case 0x1a:
        readGroup(frame, 3, reader.view());
        break;
      case 0x22:
        readGroup(frame, 4, reader.view());
        break;
      case 0x28:
        frame.fieldId = reader.int64();
        break;
      case 0x30:
        frame.isDynamic = reader.uint32() !== 0;
        break;
      case 0x3a:
        frame.valid = appendBools(frame.valid, reader.view());
        break;
      case 0x38:
        frame.valid = appendBools(frame.valid, Uint8Array.of(reader.uint32() === 0 ? 0 : 1));
        break;
      case 0x42:
        throw broken(`column ${frame.name} is an array of structs`);
      default:
        reader.skip(tag & 7);
    }
  }
  if (frame.valid?.length === 0) frame.valid = undefined;
  return frame;
}

type Draft = { -readonly [Key in keyof FieldFrame]: FieldFrame[Key] } & { payload: Uint8Array[] };

function readGroup(frame: Draft, group: 3 | 4, bytes: Uint8Array): void {
  const reader = new WireReader(bytes);
  while (!reader.done) {
    const tag = reader.uint32();
    const field = tag >>> 3;
    if (group === 4 && tag === 0x08) {
      frame.dim = reader.uint32();
      continue;
    }
    const layout = (tag & 7) === BYTES ? layoutOf(group, field) : undefined;
    if (layout === undefined) {
      // Per-field validity of newer protos repeats what valid_data says.
      reader.skip(tag & 7);
      continue;
    }
    // A oneof: the last one counts, pieces of the same one are merged.
    if (frame.layout !== layout) frame.payload.length = 0;
    frame.layout = layout;
    if (layout.form === "blob") {
      frame.payload.length = 0;
      frame.payload.push(reader.view());
    } else readArray(frame, layout, reader.view());
  }
}

const WIRE_TYPE = { varint: VARINT, fixed32: FIXED32, fixed64: FIXED64, items: BYTES, blob: BYTES } as const;

function readArray(frame: Draft, layout: Layout, bytes: Uint8Array): void {
  const packed = (layout.values << 3) | BYTES;
  const single = (layout.values << 3) | WIRE_TYPE[layout.form];
  const reader = new WireReader(bytes);
  // Items keep their tags, so that runs of rows are runs of bytes.
  let runStart = -1;
  while (!reader.done) {
    const start = reader.pos;
    const tag = reader.uint32();
    if (layout.form === "items" && tag === single) {
      reader.skip(BYTES);
      if (runStart < 0) runStart = start;
      continue;
    }
    if (runStart >= 0) frame.payload.push(bytes.subarray(runStart, start));
    runStart = -1;
    if (tag === packed) {
      const view = reader.view();
      if (view.length > 0) frame.payload.push(view);
    } else if (tag === single) {
      const from = reader.pos;
      reader.skip(tag & 7);
      frame.payload.push(bytes.subarray(from, reader.pos));
    } else if (layout.dimField !== 0 && tag === layout.dimField << 3) {
      const dim = reader.uint32();
      if (dim > frame.dim) frame.dim = dim;
    } else if (layout.elementTypeField !== 0 && tag === layout.elementTypeField << 3) {
      frame.elementType = reader.uint32();
    } else reader.skip(tag & 7);
  }
  if (runStart >= 0) frame.payload.push(bytes.subarray(runStart, reader.pos));
}

function appendBools(before: Uint8Array | undefined, packed: Uint8Array): Uint8Array {
  const flags = new Uint8Array((before?.length ?? 0) + packed.length);
  if (before !== undefined) flags.set(before);
  let count = before?.length ?? 0;
  const reader = new WireReader(packed);
  while (!reader.done) flags[count++] = reader.uint32() === 0 ? 0 : 1;
  return count === flags.length ? flags : flags.slice(0, count);
}

const ENCODER = new TextEncoder();

/** Frames are the exact inverse: what was not in the message is not written. */
export function formatFrame(frame: FieldFrame): Uint8Array {
  const { layout, payload, valid } = frame;
  const name = ENCODER.encode(frame.name);
  let values = 0;
  for (const piece of payload) values += piece.length;
  const group = layout === undefined ? undefined : measure(layout, values, frame.dim, frame.elementType);
  let size = 0;
  if (frame.type !== 0) size += 1 + sizeOf32(frame.type);
  if (name.length > 0) size += 1 + sizeOf32(name.length) + name.length;
  if (group !== undefined) size += 1 + sizeOf32(group.size) + group.size;
  if (frame.fieldId !== 0n) size += 1 + sizeOfBigint(frame.fieldId);
  if (frame.isDynamic) size += 2;
  if (valid !== undefined) size += 1 + sizeOf32(valid.length) + valid.length;
  const out = new WireWriter(size);
  if (frame.type !== 0) {
    out.varint32(0x08);
    out.varint32(frame.type);
  }
  if (name.length > 0) {
    out.varint32(0x12);
    out.prefixed(name);
  }
  if (group !== undefined) {
    out.varint32((layout!.group << 3) | BYTES);
    out.varint32(group.size);
    if (layout!.group === 4 && frame.dim !== 0) {
      out.varint32(0x08);
      out.varint32(frame.dim);
    }
    out.varint32((layout!.field << 3) | BYTES);
    out.varint32(group.array);
    writeArray(out, frame, layout!, values);
  }
  if (frame.fieldId !== 0n) {
    out.varint32(0x28);
    out.varint64(frame.fieldId);
  }
  if (frame.isDynamic) {
    out.varint32(0x30);
    out.varint32(1);
  }
  if (valid !== undefined) {
    out.varint32(0x3a);
    out.prefixed(valid);
  }
  return out.bytes;
}

function measure(layout: Layout, values: number, dim: number, elementType: number): { size: number; array: number } {
  let array = values;
  if (layout.form !== "items" && layout.form !== "blob" && values > 0) array += 1 + sizeOf32(values);
  if (layout.dimField !== 0 && dim !== 0) array += 1 + sizeOf32(dim);
  if (layout.elementTypeField !== 0 && elementType !== 0) array += 1 + sizeOf32(elementType);
  let size = 1 + sizeOf32(array) + array;
  if (layout.group === 4 && dim !== 0) size += 1 + sizeOf32(dim);
  return { size, array };
}

function writeArray(out: WireWriter, frame: FieldFrame, layout: Layout, values: number): void {
  if (layout.dimField === 1 && frame.dim !== 0) {
    out.varint32(0x08);
    out.varint32(frame.dim);
  }
  if (layout.form !== "items" && layout.form !== "blob" && values > 0) {
    out.varint32((layout.values << 3) | BYTES);
    out.varint32(values);
  }
  for (const piece of frame.payload) out.raw(piece);
  if (layout.dimField === 2 && frame.dim !== 0) {
    out.varint32(0x10);
    out.varint32(frame.dim);
  }
  if (layout.elementTypeField !== 0 && frame.elementType !== 0) {
    out.varint32(layout.elementTypeField << 3);
    out.varint32(frame.elementType);
  }
}

function textOf(bytes: Uint8Array): string {
  const text = decodeUtf8(bytes);
  if (text === undefined) throw broken("its name is not UTF-8");
  return text;
}
