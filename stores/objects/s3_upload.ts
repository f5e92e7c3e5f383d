/** Writing an object: whole, or a stream in parts. */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { PutOptions } from "../../pipeline/model/mod.ts";
import { sendBlocks } from "./blocks.ts";
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from "./s3_client.ts";
import type { CustomerKeyInput, EncryptionInput } from "./s3_encryption.ts";
import type { UploadMemory } from "./upload_memory.ts";

/** All parts have this size, as some servers demand (Cloudflare R2), so that 10 000 of them reach 156 GiB. */
const PART_BYTES = 16 * 1024 ** 2;
/** S3's own limit. */
const PARTS_MAX = 10_000;
/** So many and one are in memory, as far as there is memory. */
const PARTS_AT_ONCE = 3;

export interface S3Target {
  readonly send: S3Client["send"];
  readonly bucket: string;
  /** As the server knows it. */
  readonly key: string;
  /** What an object is made with. */
  readonly sse: EncryptionInput;
  /** What goes with its parts. */
  readonly ssec: CustomerKeyInput;
}

export interface S3UploadLimits {
  /** Shared with other uploads. */
  readonly memory: UploadMemory;
  readonly partBytes?: number | undefined;
  readonly partsMax?: number | undefined;
}

interface Written {
  readonly etag: string | undefined;
  readonly size: bigint;
}

export async function putWhole(
  { send, bucket, key, sse }: S3Target,
  bytes: Uint8Array,
  options: PutOptions,
  signal: AbortSignal | undefined,
): Promise<Written> {
  const command = new PutObjectCommand({
    Bucket: bucket,
    Key: key,
    Body: bytes,
    ...sse,
    ...typeOf(options),
    ...conditionOf(options),
  });
  const done = await send(summed(command, options.sha256), signal === undefined ? {} : { abortSignal: signal });
  return { etag: done.ETag, size: BigInt(bytes.length) };
}

/**
 * Of a stream that fits into one part as {@link putWhole}. Nobody sees anything of a larger one before its last part was taken;
 * what fails leaves no parts behind. Throws `refused` for one that does not fit into 10 000 parts.
 */
export async function putStream(
  target: S3Target,
  body: AsyncIterable<Uint8Array>,
  options: PutOptions,
  { memory, partBytes = PART_BYTES, partsMax = PARTS_MAX }: S3UploadLimits,
  signal: AbortSignal | undefined,
): Promise<Written> {
  const { send, bucket, sse, ssec } = target;
  const object = { Bucket: bucket, Key: target.key };
  const abort = signal === undefined ? {} : { abortSignal: signal };
  let upload: Promise<string> | undefined;
  const begin = async () => {
    const { UploadId } = await send(new CreateMultipartUploadCommand({ ...object, ...sse, ...typeOf(options) }), abort);
    if (UploadId !== undefined) return UploadId;
    throw new TidemarkError("refused", `No upload of ${target.key} in parts: the S3 server gave it no id`);
  };
  const parts: { PartNumber: number; ETag: string | undefined }[] = [];
  let size = 0n;
  const limits = { bytes: partBytes, memory, atOnce: PARTS_AT_ONCE, most: partsMax, signal, digest: "sha256" } as const;
  try {
    const only = await sendBlocks(body, limits, {
      whole({ bytes, digest }) {
        return putWhole(target, bytes, digest === undefined ? options : { ...options, sha256: digest.toHex() }, signal);
      },
      async block({ bytes, digest }, index) {
        size += BigInt(bytes.length);
        const UploadId = await (upload ??= begin());
        const part = { UploadId, PartNumber: index + 1, Body: bytes };
        const done = await send(summed(new UploadPartCommand({ ...object, ...ssec, ...part }), digest?.toHex()), abort);
        parts[index] = { PartNumber: index + 1, ETag: done.ETag };
      },
    });
    if (only !== undefined) return only;
    const MultipartUpload = { Parts: parts };
    const UploadId = await upload!;
    const done = await send(
      new CompleteMultipartUploadCommand({ ...object, ...ssec, UploadId, MultipartUpload, ...conditionOf(options) }),
      abort,
    );
    return { etag: done.ETag, size };
  } catch (thrown) {
    const UploadId = await upload?.catch(() => undefined);
    // Without the caller's signal: it may be why we are here. Parts that stay behind cost money.
    if (UploadId !== undefined) {
      await send(new AbortMultipartUploadCommand({ ...object, UploadId })).catch(() => {});
    }
    throw thrown;
  }
}

/** A request whose body's SHA-256, which is signed with it, is known; the server refuses a body of another one. */
function summed<C extends PutObjectCommand | UploadPartCommand>(command: C, sha256: string | undefined): C {
  if (sha256 === undefined) return command;
  // Of both kinds of command: what is added reads neither.
  const stack: PutObjectCommand["middlewareStack"] = (command as PutObjectCommand).middlewareStack;
  stack.add((next) => (given) => {
    (given.request as { headers: Record<string, string> }).headers["x-amz-content-sha256"] = sha256;
    return next(given);
  }, { step: "build", name: "bodySum" });
  return command;
}

function typeOf({ contentType }: PutOptions) {
  return contentType === undefined ? {} : { ContentType: contentType };
}

function conditionOf({ ifAbsent }: PutOptions) {
  return ifAbsent === true ? { IfNoneMatch: "*" } : {};
}
