/** Checksums of a backup's objects, written as `sha256:<hex>` or `md5:<hex>`. */
import { createHash, type Hash } from "node:crypto";

export type Checksum = `${"sha256" | "md5"}:${string}`;

export interface ChecksumMeter {
  update(bytes: Uint8Array): void;
  readonly bytes: bigint;
  /** Ends the meter. */
  finish(): Checksum;
}

export function createChecksum(algorithm: "sha256" | "md5" = "sha256"): ChecksumMeter {
  const hash: Hash = createHash(algorithm);
  let bytes = 0n;
  return {
    update(chunk) {
      hash.update(chunk);
      bytes += BigInt(chunk.length);
    },
    get bytes() {
      return bytes;
    },
    finish: () => `${algorithm}:${hash.digest("hex")}`,
  };
}

export function checksumOf(bytes: Uint8Array, algorithm: "sha256" | "md5" = "sha256"): Checksum {
  const meter = createChecksum(algorithm);
  meter.update(bytes);
  return meter.finish();
}

/** Reads a stream to its end. */
export async function checksumOfStream(
  stream: AsyncIterable<Uint8Array>,
  algorithm: "sha256" | "md5",
): Promise<{ sum: Checksum; bytes: bigint }> {
  const meter = createChecksum(algorithm);
  for await (const chunk of stream) meter.update(chunk);
  return { sum: meter.finish(), bytes: meter.bytes };
}

export function algorithmOf(sum: string): "sha256" | "md5" | undefined {
  if (sum.startsWith("sha256:")) return "sha256";
  return sum.startsWith("md5:") ? "md5" : undefined;
}

/**
 * The MD5 that an S3 ETag is for an object written in one part and not encrypted with a key of the KMS; undefined for any
 * other ETag (multipart ones end in `-<parts>`).
 */
export function md5OfEtag(etag: string): Checksum | undefined {
  return /^[0-9a-f]{32}$/i.test(etag) ? `md5:${etag.toLowerCase()}` : undefined;
}
