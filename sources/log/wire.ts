/**
 * A cursor over serialised protobuf that hands out views and touches only the fields that are asked for. Message classes
 * would decode every float of every vector; a log reader needs ten small fields and passes the columns through.
 */

/** Wire types of protobuf; groups (3, 4) do not occur in proto3. */
export const VARINT = 0;
export const FIXED64 = 1;
export const BYTES = 2;
export const FIXED32 = 5;

// One 64-bit slot seen as two halves and as a whole: the cheapest way from two numbers to a bigint.
const slot = new BigUint64Array(1);
const halves = new Uint32Array(slot.buffer);
const signed = new BigInt64Array(slot.buffer);
const LOW = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 0 : 1;
const HIGH = 1 - LOW;

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** Thrown where the bytes end too early or cannot be protobuf. */
export class WireError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "WireError";
  }
}

export class WireReader {
  readonly bytes: Uint8Array;
  readonly end: number;
  position: number;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.bytes = bytes;
    this.position = start;
    this.end = end;
  }

  /** The next field's tag, `number << 3 | wire type`; 0 at the end. */
  tag(): number {
    if (this.position >= this.end) return 0;
    const tag = this.uint32();
    if (tag >>> 3 === 0) throw new WireError(`Field number 0 at byte ${this.position}`);
    return tag;
  }

  /** A varint of at most 32 bits; of a longer one (a negative int32) the low 32 bits, unsigned. */
  uint32(): number {
    const { bytes } = this;
    let value = 0;
    let shift = 0;
    for (let i = 0; i < 10; i++) {
      if (this.position >= this.end) throw new WireError("Varint cut short");
      const byte = bytes[this.position++]!;
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
      shift += 7;
    }
    throw new WireError("Varint longer than ten bytes");
  }

  /** Reads a varint of 64 bits into the two halves. */
  #varint64(): void {
    const { bytes } = this;
    let low = 0;
    let high = 0;
    let shift = 0;
    for (let i = 0; i < 10; i++) {
      if (this.position >= this.end) throw new WireError("Varint cut short");
      const byte = bytes[this.position++]!;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (shift - 32);
      if (byte < 0x80) {
        halves[LOW] = low;
        halves[HIGH] = high;
        return;
      }
      shift += 7;
    }
    throw new WireError("Varint longer than ten bytes");
  }

  uint64(): bigint {
    this.#varint64();
    return slot[0]!;
  }

  int64(): bigint {
    this.#varint64();
    return signed[0]!;
  }

  /** Reads a varint of 64 bits into `target[index]`, without a bigint in between. */
  int64Into(target: Int32Array, index: number): void {
    this.#varint64();
    target[2 * index + LOW] = halves[LOW]!;
    target[2 * index + HIGH] = halves[HIGH]!;
  }

  /** Length of the bytes that follow, checked against the end. */
  length(): number {
    const length = this.uint32();
    if (length > this.end - this.position) {
      throw new WireError(`${length} bytes announced, ${this.end - this.position} left`);
    }
    return length;
  }

  /** A view. */
  view(): Uint8Array {
    const length = this.length();
    const start = this.position;
    this.position = start + length;
    return this.bytes.subarray(start, this.position);
  }

  /** The bytes of a varint: what a packed field of one value would hold. */
  varintView(): Uint8Array {
    const start = this.position;
    this.skip(VARINT);
    return this.bytes.subarray(start, this.position);
  }

  text(): string {
    const length = this.length();
    if (length === 0) return "";
    const start = this.position;
    this.position = start + length;
    return utf8.decode(this.bytes.subarray(start, this.position));
  }

  /** A reader of the embedded message that follows. */
  message(): WireReader {
    const length = this.length();
    const start = this.position;
    this.position = start + length;
    return new WireReader(this.bytes, start, this.position);
  }

  skip(tag: number): void {
    switch (tag & 7) {
      case VARINT:
        for (let i = 0; i < 10; i++) {
          if (this.position >= this.end) throw new WireError("Varint cut short");
          if (this.bytes[this.position++]! < 0x80) return;
        }
        throw new WireError("Varint longer than ten bytes");
      case FIXED64:
        return this.#advance(8);
      case BYTES:
        return this.#advance(this.length());
      case FIXED32:
        return this.#advance(4);
      default:
        throw new WireError(`Wire type ${tag & 7} is not of proto3`);
    }
  }

  #advance(bytes: number): void {
    if (bytes > this.end - this.position) throw new WireError("Field cut short");
    this.position += bytes;
  }
}

/** Number of varints in packed bytes. */
export function countVarints(packed: Uint8Array): number {
  let count = 0;
  for (let i = 0; i < packed.length; i++) if (packed[i]! < 0x80) count++;
  return count;
}

/** Packed int64 as a typed array. */
export function packedInt64(packed: Uint8Array): BigInt64Array {
  const values = new BigInt64Array(countVarints(packed));
  const halves32 = new Int32Array(values.buffer);
  const reader = new WireReader(packed);
  for (let i = 0; i < values.length; i++) reader.int64Into(halves32, i);
  if (reader.position !== packed.length) throw new WireError("Packed varints cut short");
  return values;
}

/** Packed uint64 as a typed array. */
export function packedUint64(packed: Uint8Array): BigUint64Array {
  return new BigUint64Array(packedInt64(packed).buffer as ArrayBuffer);
}

/** A repeated field may come in several pieces. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/**
 * Packed uint64 that are expected to be all the same: how many there are, the value, and whether they really are. Compares
 * bytes, so a batch of timestamps costs no bigint but one. (Equal numbers have equal bytes: writers use the shortest form.)
 */
export function packedSame(packed: Uint8Array): { count: number; value: bigint; same: boolean } {
  if (packed.length === 0) return { count: 0, value: 0n, same: true };
  const reader = new WireReader(packed);
  const value = reader.uint64();
  const width = reader.position;
  const count = countVarints(packed);
  if (count * width !== packed.length) return { count, value, same: false };
  for (let i = width; i < packed.length; i++) {
    if (packed[i] !== packed[i - width]) return { count, value, same: false };
  }
  return { count, value, same: true };
}
