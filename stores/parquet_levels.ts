/** Parquet's hybrid of run-length and bit-packed integers: definition levels, dictionary indices, booleans. */

/**
 * Fills `output` from `bytes`; `bits` is 1 to 32. Throws where the bytes end before the output is full.
 * (Parquet format, "Run Length Encoding / Bit-Packing Hybrid".)
 */
export function readHybrid(bytes: Uint8Array, bits: number, output: Uint8Array | Uint32Array): void {
  const width = (bits + 7) >> 3;
  let at = 0;
  let filled = 0;
  while (filled < output.length) {
    let header = 0;
    for (let shift = 0;; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined || shift > 28) throw new RangeError("runs end early");
      header += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    if ((header & 1) === 0) {
      const count = Math.min(Math.floor(header / 2), output.length - filled);
      if (at + width > bytes.length || header === 0) throw new RangeError("runs end early");
      let value = 0;
      for (let i = 0; i < width; i++) value += bytes[at++]! * 2 ** (8 * i);
      output.fill(value, filled, filled + count);
      filled += count;
    } else {
      const groups = Math.floor(header / 2);
      const count = Math.min(groups * 8, output.length - filled);
      // Writers may leave out the padding of the last group.
      if (groups === 0 || at + Math.ceil((count * bits) / 8) > bytes.length) throw new RangeError("runs end early");
      unpack(bytes, at, bits, output, filled, count);
      at += groups * bits;
      filled += count;
    }
  }
}

function unpack(
  bytes: Uint8Array,
  start: number,
  bits: number,
  output: Uint8Array | Uint32Array,
  first: number,
  count: number,
): void {
  if (bits <= 24) {
    const mask = (1 << bits) - 1;
    let at = start;
    let held = 0;
    let have = 0;
    for (let i = 0; i < count; i++) {
      while (have < bits) {
        held |= (bytes[at++] ?? 0) << have;
        have += 8;
      }
      output[first + i] = held & mask;
      held >>>= bits;
      have -= bits;
    }
    return;
  }
  // Too wide for the 32-bit accumulator; no dictionary of a real file is that large.
  for (let i = 0; i < count; i++) {
    let value = 0;
    for (let bit = 0; bit < bits; bit++) {
      const position = i * bits + bit;
      if (((bytes[start + (position >> 3)] ?? 0) >> (position & 7)) & 1) value += 2 ** bit;
    }
    output[first + i] = value;
  }
}
