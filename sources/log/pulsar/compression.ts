/** Compression of payloads. Pulsar compresses a payload as a whole and says how long it was. */
import { inflateSync } from "node:zlib";
import { TidemarkError } from "../../../pipeline/errors.ts";
import { CompressionType } from "../../../pipeline/proto/gen/pulsar_api_pb.ts";
import { decompressZstd } from "../zstd.ts";
import { decompressLz4Block } from "./lz4_block.ts";

/** A broken length must not take all memory. Milvus' largest messages are 100 MiB. */
const MAX_BYTES = 512 << 20;
const MIN_CHUNK = 64;

/**
 * A view of `payload` where it is not compressed. Throws RangeError where it does not become `size` bytes, and `unsupported` for
 * a codec that is not known here.
 */
export function decompress(codec: CompressionType, payload: Uint8Array, size: number): Uint8Array {
  if (codec === CompressionType.NONE) return payload;
  if (size > MAX_BYTES) throw new RangeError(`A payload says it is ${size} bytes long, expected at most ${MAX_BYTES}`);
  const bytes = inflated(codec, payload, size);
  if (bytes.length !== size) throw new RangeError(`A payload became ${bytes.length} bytes, expected ${size}`);
  return bytes;
}

function inflated(codec: CompressionType, payload: Uint8Array, size: number): Uint8Array {
  try {
    switch (codec) {
      case CompressionType.LZ4:
        return decompressLz4Block(payload, size);
      case CompressionType.ZLIB:
        // The length is known: one piece, and nothing is put together.
        return inflateSync(payload, { chunkSize: Math.max(MIN_CHUNK, size), maxOutputLength: Math.max(1, size) });
      case CompressionType.ZSTD:
        return decompressZstd(payload, size);
    }
  } catch (cause) {
    // What the codecs throw is of many kinds.
    throw new RangeError(`A payload cannot be decompressed (${CompressionType[codec]}): ${String(cause)}`, { cause });
  }
  throw new TidemarkError(
    "unsupported",
    `A message is compressed by ${CompressionType[codec] ?? `the unknown codec ${codec}`}`,
    {
      hint: "Milvus compresses by zstd or not at all; zlib and lz4 are read, too. Something else writes to this topic.",
    },
  );
}
