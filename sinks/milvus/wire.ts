/** The little of protobuf's wire format that splicing rows needs: walking top-level fields, and writing them. */
import { TidemarkError } from "../../pipeline/errors.ts";

/** One top-level field. `end` is exclusive; for a length-delimited field (wire type 2) [start, end) is its content. */
export interface WireField {
  readonly number: number;
  readonly wireType: number;
  readonly start: number;
  readonly end: number;
  /** Of a varint below 2^53; 0 for other wire types. */
  readonly value: number;
}

/** Top-level fields in order. Throws `damaged` where the bytes are no protobuf message. */
export function* wireFields(bytes: Uint8Array): Generator<WireField> {
  let at = 0;
  while (at < bytes.length) {
    const tag = readVarint(bytes, at);
    at = tag.next;
    const number = Math.floor(tag.value / 8);
    const wireType = tag.value % 8;
    const start = at;
    if (wireType === 0) {
      const { value, next } = readVarint(bytes, at);
      at = next;
      yield { number, wireType, start, end: at, value };
    } else if (wireType === 2) {
      const { value: length, next } = readVarint(bytes, at);
      at = next + length;
      if (at > bytes.length) throw damaged(start);
      yield { number, wireType, start: next, end: at, value: 0 };
    } else if (wireType === 1 || wireType === 5) {
      at += wireType === 1 ? 8 : 4;
      if (at > bytes.length) throw damaged(start);
      yield { number, wireType, start, end: at, value: 0 };
    } else {
      throw damaged(start);
    }
  }
}

function readVarint(bytes: Uint8Array, at: number): { readonly value: number; readonly next: number } {
  let value = 0;
  let scale = 1;
  for (let i = at; i < bytes.length && i < at + 10; i++) {
    const byte = bytes[i]!;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return { value, next: i + 1 };
    scale *= 128;
  }
  throw damaged(at);
}

function damaged(at: number): TidemarkError {
  return new TidemarkError("damaged", `Column data is no protobuf message (byte ${at})`);
}

/** Bytes that a varint of a non-negative safe integer takes. */
export function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) size++;
  return size;
}

/** Writes a varint at `at`, returns the position after it. */
export function writeVarint(target: Uint8Array, at: number, value: number): number {
  let rest = value;
  while (rest >= 128) {
    target[at++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  target[at++] = rest;
  return at;
}

/** Bytes of a length-delimited field with a number below 16. */
export function delimitedSize(length: number): number {
  return 1 + varintSize(length) + length;
}

/** What stands before the content of a length-delimited field with a number below 16. */
export function delimitedHead(number: number, length: number): Uint8Array {
  const head = new Uint8Array(1 + varintSize(length));
  head[0] = (number << 3) | 2;
  writeVarint(head, 1, length);
  return head;
}

/** Writes a length-delimited field with a number below 16, returns the position after it. */
export function writeDelimited(target: Uint8Array, at: number, number: number, content: Uint8Array): number {
  target[at] = (number << 3) | 2;
  at = writeVarint(target, at + 1, content.length);
  target.set(content, at);
  return at + content.length;
}
