/**
 * CRC-32C, the checksum of Kafka's record batches and of Pulsar's messages. Native code does 7 GB/s; where a platform has none,
 * WebAssembly does 1.8. The Kafka client brings both along.
 */
import type { Pieces } from "./byte_cursor.ts";

/** Of `bytes`, behind those whose checksum is `before`. */
export type Crc32c = (bytes: Uint8Array, before?: number) => number;

/** Undefined where the platform has none. */
export const native: Crc32c | undefined = await import("@node-rs/crc32").then(
  (module) => module.crc32c,
  () => undefined,
);
/** Cannot go on from a checksum. */
const portable = native ?? (await import("@platformatic/wasm-utils")).crc32c;

/** The checksum of bytes that lie in one piece. */
export function crc32cOfBytes(bytes: Uint8Array): number {
  return portable(bytes);
}

/** Bytes of many pieces that are summed at once: few enough that most of them lie in one piece and are not copied. */
const WINDOW_BYTES = 16 << 10;

/** The checksum of `head` and `rest`, one behind the other. */
export function crc32cOf(head: Uint8Array, rest: Pieces): number {
  return native === undefined ? crc32cOfAll(head, rest, portable) : crc32cInWindows(head, rest, native);
}

export function crc32cInWindows(head: Uint8Array, rest: Pieces, sum: Crc32c): number {
  let value = sum(head);
  for (let start = 0; start < rest.length; start += WINDOW_BYTES) {
    value = sum(rest.slice(start, Math.min(rest.length, start + WINDOW_BYTES)), value);
  }
  return value;
}

export function crc32cOfAll(head: Uint8Array, rest: Pieces, sum: (bytes: Uint8Array) => number): number {
  const all = new Uint8Array(head.length + rest.length);
  all.set(head);
  all.set(rest.slice(0, rest.length), head.length);
  return sum(all);
}
