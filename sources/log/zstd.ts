/**
 * Payloads that zstd compressed, and whose length is known. The platform sets its decoder up anew for each, which takes 30 us:
 * thirty times as long as the decompressing of 1 KB, and Milvus up to 2.5 compresses every message for itself. The same decoder as
 * WebAssembly takes 1 us; it keeps what memory it ever had, so large payloads are the platform's.
 */
import { zstdDecompressSync } from "node:zlib";
import { ZSTDDecoder } from "zstddec";

/** Up to here WebAssembly is as fast or faster, compressed and not. */
const SMALL_BYTES = 256 << 10;
const MIN_CHUNK = 64;

const small = new ZSTDDecoder();
await small.init();

/** What `payload` was before, which is said to be `size` bytes. Whether it is, the caller looks. Throws what the platform throws. */
export function decompressZstd(payload: Uint8Array, size: number): Uint8Array {
  if (size > 0 && size <= SMALL_BYTES && payload.length <= SMALL_BYTES) {
    const bytes = decompressSmall(payload, size);
    if (bytes !== undefined) return bytes;
  }
  // The length is known: one piece, and nothing is put together. One that is full has a second one made behind it.
  return zstdDecompressSync(payload, { chunkSize: Math.max(MIN_CHUNK, size + 1), maxOutputLength: Math.max(1, size) });
}

/** Undefined where it does not become `size` bytes: what is wrong with it is the platform's to say. */
function decompressSmall(payload: Uint8Array, size: number): Uint8Array | undefined {
  try {
    const bytes = small.decode(payload, size);
    return bytes.length === size ? bytes : undefined;
  } catch {
    return undefined;
  }
}
