/** Bytes that were right, spoiled: the same for the same seed, so that every find can be made again. */

/** Numbers in [0, below), the same for the same seed (xorshift). */
export type Random = (below: number) => number;

export function randomOf(seed: number): Random {
  let state = (seed * 2654435761 + 97) >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return below <= 0 ? 0 : state % below;
  };
}

/** What lengths, counts and offsets are wrong by. */
const NUMBERS = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];

/** One of `seeds` with one to eight faults; a sixteenth of them is noise from nothing. */
export function mutated(random: Random, seeds: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  if (random(16) === 0) return Uint8Array.from({ length: random(256) }, () => random(256));
  let bytes = new Uint8Array(seeds[random(seeds.length)]!);
  for (let faults = 1 + random(8); faults > 0; faults--) bytes = spoiled(random, bytes, seeds);
  return bytes;
}

function spoiled(
  random: Random,
  bytes: Uint8Array<ArrayBuffer>,
  seeds: readonly Uint8Array[],
): Uint8Array<ArrayBuffer> {
  const at = random(bytes.length);
  switch (random(8)) {
    case 0:
      bytes[at]! ^= 1 << random(8);
      return bytes;
    case 1:
      bytes[at] = random(256);
      return bytes;
    case 2: {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const width = [1, 2, 4][random(3)]!;
      if (bytes.length < width) return bytes;
      const place = random(bytes.length - width + 1);
      const number = NUMBERS[random(NUMBERS.length)]!;
      if (width === 1) view.setUint8(place, number & 0xff);
      else if (width === 2) view.setUint16(place, number & 0xffff, random(2) === 0);
      else view.setUint32(place, number, random(2) === 0);
      return bytes;
    }
    case 3:
      return bytes.slice(0, at);
    case 4:
      return joined(bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + 1 + random(16))));
    case 5:
      return joined(
        bytes.subarray(0, at),
        Uint8Array.from({ length: 1 + random(16) }, () => random(256)),
        bytes.subarray(at),
      );
    case 6: {
      const end = Math.min(bytes.length, at + 1 + random(64));
      return joined(bytes.subarray(0, end), bytes.subarray(at, end), bytes.subarray(end));
    }
    default: {
      const other = seeds[random(seeds.length)]!;
      return joined(bytes.subarray(0, at), other.subarray(random(other.length)));
    }
  }
}

function joined(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
