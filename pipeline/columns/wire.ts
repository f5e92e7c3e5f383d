/**
 * The few parts of protobuf's wire format that columns need, without objects per value: tags, varints, lengths.
 * https://protobuf.dev/programming-guides/encoding/
 */
import { TidemarkError } from "../errors.ts";

export const VARINT = 0;
export const FIXED64 = 1;
export const BYTES = 2;
export const FIXED32 = 5;

/** A cursor over one message. Every method throws `damaged` rather than reading past the end. */
export class WireReader {
  readonly bytes: Uint8Array;
  pos: number;
  readonly end: number;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.bytes = bytes;
    this.pos = start;
    this.end = end;
  }

  get done(): boolean {
    return this.pos >= this.end;
  }

  /** A varint of which only the low 32 bits count: tags, enums, bools, int32. Unsigned. */
  uint32(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.pos >= this.end) throw broken("a varint is cut off");
      const byte = this.bytes[this.pos++]!;
      if (shift < 32) value |= (byte & 127) << shift;
      if (byte < 128) return value >>> 0;
    }
    throw broken("a varint has more than ten bytes");
  }

  int64(): bigint {
    // Field ids are small; bigint arithmetic per byte is not.
    if (this.pos < this.end && this.bytes[this.pos]! < 128) return BigInt(this.bytes[this.pos++]!);
    if (this.pos + 1 < this.end && this.bytes[this.pos + 1]! < 128) {
      this.pos += 2;
      return BigInt((this.bytes[this.pos - 2]! & 127) | (this.bytes[this.pos - 1]! << 7));
    }
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (this.pos >= this.end) throw broken("a varint is cut off");
      const byte = this.bytes[this.pos++]!;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return BigInt.asIntN(64, value);
    }
    throw broken("a varint has more than ten bytes");
  }

  /** The content of a length-delimited field, as a view. */
  view(): Uint8Array {
    const length = this.uint32();
    const start = this.pos;
    if (length > this.end - start) throw broken(`a field of ${length} bytes has only ${this.end - start}`);
    this.pos = start + length;
    return this.bytes.subarray(start, this.pos);
  }

  skip(wireType: number): void {
    switch (wireType) {
      case VARINT:
        this.uint32();
        return;
      case FIXED64:
        this.#advance(8);
        return;
      case BYTES:
        this.#advance(this.uint32());
        return;
      case FIXED32:
        this.#advance(4);
        return;
      default:
        throw broken(`the wire type ${wireType} does not exist`);
    }
  }

  #advance(count: number): void {
    if (count > this.end - this.pos) throw broken(`a field of ${count} bytes has only ${this.end - this.pos}`);
    this.pos += count;
  }
}

/** Writes into a buffer of the exact size; whoever calls has summed the sizes first. */
export class WireWriter {
  readonly bytes: Uint8Array;
  pos = 0;

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
  }

  varint32(value: number): void {
    let rest = value >>> 0;
    while (rest > 127) {
      this.bytes[this.pos++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    this.bytes[this.pos++] = rest;
  }

  varint64(value: bigint): void {
    let rest = BigInt.asUintN(64, value);
    while (rest > 127n) {
      this.bytes[this.pos++] = Number(rest & 127n) | 128;
      rest >>= 7n;
    }
    this.bytes[this.pos++] = Number(rest);
  }

  raw(bytes: Uint8Array): void {
    this.bytes.set(bytes, this.pos);
    this.pos += bytes.length;
  }

  prefixed(bytes: Uint8Array): void {
    this.varint32(bytes.length);
    this.raw(bytes);
  }
}

/** Bytes of an unsigned 32-bit varint. */
export function sizeOf32(value: number): number {
  return ((32 - Math.clz32(value)) * 9 + 64) >>> 6;
}

/** Bytes of a 64-bit varint given as its halves. */
export function sizeOf64(low: number, high: number): number {
  const bits = high === 0 ? 32 - Math.clz32(low) : 64 - Math.clz32(high);
  return (bits * 9 + 64) >>> 6;
}

export function sizeOfBigint(value: bigint): number {
  return sizeOf64(Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)));
}

/** The one error of bytes that are no column. */
export function broken(why: string): TidemarkError {
  return new TidemarkError("damaged", `A column cannot be decoded: ${why}`, {
    hint: "The bytes are not a FieldData message as Milvus writes it, or were damaged on the way.",
  });
}
