/** A copy that the server makes by itself: in one request, or of a large object in parts. */
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  UploadPartCopyCommand,
} from "./s3_client.ts";
import type { copiedWith } from "./s3_encryption.ts";
import { nameOf, statusOf } from "./s3_error.ts";
import type { S3Target } from "./s3_upload.ts";

/** CopyObject's limit; larger objects are copied in parts. */
const WHOLE_MAX = 5n * 1024n ** 3n;
/** The largest object there is, 5 TiB, has half as many as are allowed. */
const PART_BYTES = 1024n ** 3n;
const PARTS_AT_ONCE = 4;

export type CopySource = { readonly CopySource: string } & ReturnType<typeof copiedWith>;

export interface S3CopyLimits {
  readonly wholeMax?: bigint | undefined;
  readonly partBytes?: bigint | undefined;
}

/**
 * True where the server has no such copy. One that does not look at the source takes it for a write without a body and sends
 * nothing of a copy, which the client calls an abort: the empty object is replaced by what the caller streams.
 */
export function isNoCopy(thrown: unknown): boolean {
  const status = statusOf(thrown);
  if (status === 501 || status === 405 || nameOf(thrown) === "NotImplemented") return true;
  return nameOf(thrown) === "InternalError" && /S3 aborted request/.test((thrown as Error).message);
}

/** `size`: of the source. No bytes come through here. The ETag of the copy, where the server says one. */
export async function copyObject(
  target: S3Target,
  source: CopySource,
  size: bigint,
  { wholeMax = WHOLE_MAX, partBytes = PART_BYTES }: S3CopyLimits,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  if (size > wholeMax) return await inParts(target, source, size, partBytes, signal);
  const { send, bucket, key, sse } = target;
  const copy = new CopyObjectCommand({ Bucket: bucket, Key: key, ...source, ...sse });
  return (await send(copy, signal === undefined ? {} : { abortSignal: signal })).CopyObjectResult?.ETag;
}

async function inParts(
  { send, bucket, key, sse, ssec }: S3Target,
  source: CopySource,
  size: bigint,
  partBytes: bigint,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const object = { Bucket: bucket, Key: key };
  const abort = signal === undefined ? {} : { abortSignal: signal };
  const { UploadId } = await send(new CreateMultipartUploadCommand({ ...object, ...sse }), abort);
  try {
    const starts: bigint[] = [];
    for (let start = 0n; start < size; start += partBytes) starts.push(start);
    const parts: { PartNumber: number; ETag: string }[] = [];
    let next = 0;
    let failed: { readonly thrown: unknown } | undefined;
    const copyPart = async (index: number) => {
      const start = starts[index]!;
      const last = (start + partBytes < size ? start + partBytes : size) - 1n;
      const part = { UploadId, PartNumber: index + 1, ...source, CopySourceRange: `bytes=${start}-${last}` };
      const done = await send(new UploadPartCopyCommand({ ...object, ...ssec, ...part }), abort);
      parts[index] = { PartNumber: index + 1, ETag: done.CopyPartResult?.ETag ?? "" };
    };
    const worker = async () => {
      while (next < starts.length && failed === undefined) {
        await copyPart(next++).catch((thrown) => void (failed ??= { thrown }));
      }
    };
    // Nothing may be under way any more when the upload is taken back.
    await Promise.all(Array.from({ length: PARTS_AT_ONCE }, worker));
    if (failed !== undefined) throw (failed as { readonly thrown: unknown }).thrown;
    const MultipartUpload = { Parts: parts };
    const done = await send(
      new CompleteMultipartUploadCommand({ ...object, ...ssec, UploadId, MultipartUpload }),
      abort,
    );
    return done.ETag;
  } catch (thrown) {
    // Without the caller's signal: it may be why we are here. Parts that stay behind cost money.
    await send(new AbortMultipartUploadCommand({ ...object, UploadId })).catch(() => {});
    throw thrown;
  }
}
