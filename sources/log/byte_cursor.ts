/** Kafka's numbers, big-endian, read one after the other from bytes in one piece. Throws RangeError where they end too early. */
export class ByteCursor {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  position: number;

  constructor(bytes: Uint8Array, position = 0) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.position = position;
  }

  get left(): number {
    return this.bytes.length - this.position;
  }

  int8(): number {
    return this.#view.getInt8(this.#pass(1));
  }

  int16(): number {
    return this.#view.getInt16(this.#pass(2));
  }

  int32(): number {
    return this.#view.getInt32(this.#pass(4));
  }

  int64(): bigint {
    return this.#view.getBigInt64(this.#pass(8));
  }

  /** A varint of at most 32 bits, as lengths of flexible versions are. */
  unsigned(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#view.getUint8(this.position++);
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
      const byte = this.#view.getUint8(this.position++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n));
    }
    throw new RangeError(`A number at byte ${this.position} is longer than 64 bits`);
  }

  /** A view of the next `length` bytes. */
  view(length: number): Uint8Array {
    const start = this.#pass(length);
    return this.bytes.subarray(start, start + length);
  }

  #pass(length: number): number {
    const start = this.position;
    if (length < 0 || length > this.bytes.length - start) {
      throw new RangeError(`${length} bytes announced at byte ${start}, ${this.bytes.length - start} left`);
    }
    this.position = start + length;
    return start;
  }
}
