/** Kafka's numbers, big-endian, read one after the other. */

/** Bytes that may lie in many pieces, as they came from a socket. */
export interface Pieces {
  readonly length: number;
  /** [start, end) in one piece: a view where it is one already, otherwise a copy. */
  slice(start: number, end: number): Uint8Array;
}

/** How much of the pieces is put together at once. */
const WINDOW_BYTES = 4096;

/** Puts no more together than is read. Throws RangeError where the bytes end too early. */
export class ByteCursor {
  readonly #pieces: Pieces | undefined;
  readonly #length: number;
  #bytes: Uint8Array;
  #view: DataView;
  /** Where the bytes at hand begin, and where to read in them. */
  #start = 0;
  #at = 0;

  constructor(source: Uint8Array | Pieces) {
    this.#length = source.length;
    if (source instanceof Uint8Array) this.#bytes = source;
    else {
      this.#pieces = source;
      this.#bytes = source.slice(0, Math.min(WINDOW_BYTES, source.length));
    }
    this.#view = viewOf(this.#bytes);
  }

  get position(): number {
    return this.#start + this.#at;
  }

  set position(position: number) {
    this.#at = position - this.#start;
  }

  get left(): number {
    return this.#length - this.position;
  }

  int8(): number {
    const at = this.#pass(1);
    return this.#view.getInt8(at);
  }

  int16(): number {
    const at = this.#pass(2);
    return this.#view.getInt16(at);
  }

  int32(): number {
    const at = this.#pass(4);
    return this.#view.getInt32(at);
  }

  int64(): bigint {
    const at = this.#pass(8);
    return this.#view.getBigInt64(at);
  }

  /** A varint of at most 32 bits, as lengths of flexible versions are. */
  unsigned(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#byte();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw new RangeError(`A number at byte ${this.position} is longer than 32 bits`);
  }

  /** A zigzag varint of at most 32 bits, as those of records are. */
  signed(): number {
    const value = this.unsigned();
    return (value >>> 1) ^ -(value & 1);
  }

  /** A zigzag varint of at most 64 bits. */
  signed64(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n));
    }
    throw new RangeError(`A number at byte ${this.position} is longer than 64 bits`);
  }

  /** The next `length` bytes, a view where they are in one piece. */
  view(length: number): Uint8Array {
    const start = this.position;
    this.#check(length);
    this.position = start + length;
    if (this.#pieces !== undefined && start + length > this.#start + this.#bytes.length) {
      return this.#pieces.slice(start, start + length);
    }
    return this.#bytes.subarray(start - this.#start, start - this.#start + length);
  }

  /** The next `length` bytes as they lie there. */
  pieces(length: number): Pieces {
    const from = this.position;
    this.#check(length);
    this.position = from + length;
    const source = this.#pieces;
    if (source !== undefined) return { length, slice: (start, end) => source.slice(from + start, from + end) };
    const bytes = this.#bytes.subarray(from, from + length);
    return { length, slice: (start, end) => bytes.subarray(start, end) };
  }

  #byte(): number {
    const at = this.#at < this.#bytes.length ? this.#at++ : this.#pass(1);
    return this.#view.getUint8(at);
  }

  /** Makes sure that the next `length` bytes, a number's, are at hand, in a view that may be a new one; returns where. */
  #pass(length: number): number {
    this.#check(length);
    if (this.#at < 0 || this.#at + length > this.#bytes.length) {
      this.#start = this.position;
      this.#bytes = this.#pieces!.slice(this.#start, Math.min(this.#length, this.#start + WINDOW_BYTES));
      this.#view = viewOf(this.#bytes);
      this.#at = 0;
    }
    const at = this.#at;
    this.#at += length;
    return at;
  }

  #check(length: number): void {
    if (length >= 0 && length <= this.left) return;
    throw new RangeError(`${length} bytes announced at byte ${this.position}, ${this.left} left`);
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
