/** Packed varints to and from typed arrays. 64-bit values are handled as two 32-bit halves, so no bigint is made. */
import { broken, sizeOf64 } from "./wire.ts";

/** Halves of 64-bit values as they lie in memory: low, high, low, high, … (little-endian, as all engines are). */
export function halvesOf(values: BigInt64Array | BigUint64Array): Int32Array {
  return new Int32Array(values.buffer, values.byteOffset, values.length * 2);
}

/** Number of varints in packed pieces. */
export function countVarints(pieces: readonly Uint8Array[]): number {
  let count = 0;
  for (const piece of pieces) {
    for (let i = 0; i < piece.length; i++) if (piece[i]! < 128) count++;
    if (piece.length > 0 && piece[piece.length - 1]! >= 128) throw broken("a packed number is cut off");
  }
  return count;
}

/** Decodes all varints of `pieces` into `halves`, which has room for exactly as many. */
export function readVarints64(pieces: readonly Uint8Array[], halves: Int32Array): void {
  let at = 0;
  for (const piece of pieces) {
    const end = piece.length;
    for (let pos = 0; pos < end;) {
      let byte = piece[pos++]!;
      let low = byte & 127;
      let high = 0;
      if (byte > 127) {
        low |= ((byte = piece[pos++]!) & 127) << 7;
        if (byte > 127) {
          low |= ((byte = piece[pos++]!) & 127) << 14;
          if (byte > 127) {
            low |= ((byte = piece[pos++]!) & 127) << 21;
            if (byte > 127) {
              byte = piece[pos++]!;
              low |= (byte & 127) << 28;
              high = (byte & 127) >>> 4;
              for (let shift = 3; byte > 127; shift += 7) {
                if (shift > 31) throw broken("a packed number has more than ten bytes");
                byte = piece[pos++]!;
                high |= (byte & 127) << shift;
              }
            }
          }
        }
      }
      halves[at] = low;
      halves[at + 1] = high;
      at += 2;
    }
  }
}

/** Decodes all varints of `pieces`, keeping the low 32 bits of each. */
export function readVarints32(pieces: readonly Uint8Array[], out: Int32Array | Uint8Array): void {
  let at = 0;
  for (const piece of pieces) {
    const end = piece.length;
    for (let pos = 0; pos < end;) {
      let byte = piece[pos++]!;
      let value = byte & 127;
      for (let shift = 7; byte > 127; shift += 7) {
        if (shift > 63) throw broken("a packed number has more than ten bytes");
        byte = piece[pos++]!;
        if (shift < 32) value |= (byte & 127) << shift;
      }
      out[at++] = value;
    }
  }
}

/** Packed form of 64-bit values. */
export function packInt64(values: BigInt64Array): Uint8Array {
  const halves = halvesOf(values);
  let size = 0;
  for (let i = 0; i < halves.length; i += 2) size += sizeOf64(halves[i]!, halves[i + 1]!);
  const out = new Uint8Array(size);
  let pos = 0;
  for (let i = 0; i < halves.length; i += 2) {
    let low = halves[i]!;
    let high = halves[i + 1]!;
    while (high !== 0) {
      out[pos++] = (low & 127) | 128;
      low = (low >>> 7) | (high << 25);
      high >>>= 7;
    }
    low >>>= 0;
    while (low > 127) {
      out[pos++] = (low & 127) | 128;
      low >>>= 7;
    }
    out[pos++] = low;
  }
  return out;
}

/** Packed form of int32 values; negative ones are sign-extended to 64 bits, as protobuf wants it. */
export function packInt32(values: Int32Array): Uint8Array {
  let size = 0;
  for (let i = 0; i < values.length; i++) size += sizeOf64(values[i]!, values[i]! >> 31);
  const out = new Uint8Array(size);
  let pos = 0;
  for (let i = 0; i < values.length; i++) {
    let low = values[i]!;
    if (low < 0) {
      for (let byte = 0; byte < 4; byte++) {
        out[pos++] = (low & 127) | 128;
        low >>= 7;
      }
      out[pos++] = (low & 15) | 240;
      out.fill(255, pos, pos + 4);
      pos += 4;
      out[pos++] = 1;
      continue;
    }
    while (low > 127) {
      out[pos++] = (low & 127) | 128;
      low >>>= 7;
    }
    out[pos++] = low;
  }
  return out;
}
