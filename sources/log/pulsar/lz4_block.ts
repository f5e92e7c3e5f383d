/** A block of LZ4 without a frame around it, as Pulsar's clients write it: the length it decompresses to stands elsewhere. */

const MIN_MATCH = 4;

/** Throws RangeError unless the block is whole and becomes `size` bytes. */
export function decompressLz4Block(block: Uint8Array, size: number): Uint8Array {
  const out = new Uint8Array(size);
  let [from, to] = [0, 0];
  const byte = (): number => {
    if (from >= block.length) throw new RangeError("An LZ4 block is cut short");
    return block[from++]!;
  };
  const length = (first: number): number => {
    let sum = first;
    if (first === 15) {
      let more: number;
      do sum += more = byte(); while (more === 255);
    }
    return sum;
  };
  while (from < block.length) {
    const token = byte();
    const literals = length(token >> 4);
    if (literals > block.length - from || literals > size - to) {
      throw new RangeError(`An LZ4 block has ${literals} literals at byte ${from}, where there is no room for them`);
    }
    out.set(block.subarray(from, from + literals), to);
    from += literals;
    to += literals;
    // The last sequence has no match.
    if (from === block.length) break;
    const back = byte() | byte() << 8;
    const match = MIN_MATCH + length(token & 15);
    if (back === 0 || back > to || match > size - to) {
      throw new RangeError(`An LZ4 block repeats ${match} bytes from ${back} before byte ${to} of ${size}`);
    }
    if (back >= match) out.copyWithin(to, to - back, to - back + match);
    else for (let i = 0; i < match; i++) out[to + i] = out[to - back + i]!;
    to += match;
  }
  if (to !== size) throw new RangeError(`An LZ4 block became ${to} bytes, expected ${size}`);
  return out;
}
