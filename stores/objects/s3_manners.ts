/** What an S3 server knows of what this program would use. */
import { createHash } from "node:crypto";
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from "./s3_client.ts";
import type { Manner } from "./manners.ts";
import type { CustomerKeyInput, EncryptionInput } from "./s3_encryption.ts";
import { nameOf, statusOf } from "./s3_error.ts";

export interface S3Access {
  readonly send: S3Client["send"];
  readonly bucket: string;
  /** Of an object that is there, as the server knows it. */
  readonly key: string;
  /** What every object is written with. */
  readonly sse: EncryptionInput;
  /** What every object is read with. */
  readonly ssec: CustomerKeyInput;
}

const BYTES = new TextEncoder().encode("tidemark");
/** A checksum that these bytes do not have. */
const WRONG_SHA256 = btoa("\0".repeat(32));

/** Throws what the client throws for anything but a thing that the server does not know. */
export async function s3ReadManners(access: S3Access, signal: AbortSignal): Promise<Manner[]> {
  return [await listing(access, signal), await ranges(access, signal)];
}

/** As {@link s3ReadManners}, and by writing objects beside `key`, which are removed. */
export async function s3WriteManners(access: S3Access, signal: AbortSignal): Promise<Manner[]> {
  const abort = { abortSignal: signal };
  const { send, bucket, key } = access;
  const made = [`${key}_once`, `${key}_sum`, `${key}_parts`];
  try {
    const manners = [
      ...await s3ReadManners(access, signal),
      await condition(access, made[0]!, signal),
      await checksums(access, made[1]!, signal),
      await multipart(access, made[2]!, signal),
    ];
    // The first of them is there in any case.
    manners.push(await batch(access, made.slice(0, 2), signal));
    return manners;
  } finally {
    for (const Key of made) {
      await send(new DeleteObjectCommand({ Bucket: bucket, Key }), signal.aborted ? {} : abort).catch(() => {});
    }
  }
}

async function listing({ send, bucket, key }: S3Access, signal: AbortSignal): Promise<Manner> {
  const old = (how: string): Manner => ({ ok: "warn", text: `ListObjectsV2 is ${how}: the first version is used` });
  try {
    // Of the object's folder: a key may be allowed to list below a prefix only.
    const Prefix = key.slice(0, key.lastIndexOf("/") + 1);
    const page = await send(new ListObjectsV2Command({ Bucket: bucket, Prefix, MaxKeys: 1 }), {
      abortSignal: signal,
    });
    // The first version of the answer has no count.
    return page.KeyCount === undefined && page.IsTruncated === true && !page.NextContinuationToken
      ? old("taken for the first version")
      : { ok: "ok", text: "ListObjectsV2" };
  } catch (thrown) {
    if (!isUnknown(thrown)) throw thrown;
    return old("refused");
  }
}

async function ranges({ send, bucket, key, ssec }: S3Access, signal: AbortSignal): Promise<Manner> {
  const found = await send(new GetObjectCommand({ Bucket: bucket, Key: key, Range: "bytes=1-1", ...ssec }), {
    abortSignal: signal,
  });
  await found.Body?.transformToByteArray();
  return found.ContentRange === undefined
    ? { ok: "warn", text: "ranges are ignored: whole objects are read for a piece of them, which is slow" }
    : { ok: "ok", text: "ranged reads" };
}

async function condition({ send, bucket, sse }: S3Access, key: string, signal: AbortSignal): Promise<Manner> {
  const instead =
    "it is looked first whether an object is there; of two writers at the same moment both may win, so let " +
    "only one pipeline write here";
  const put = { Bucket: bucket, Key: key, Body: BYTES, ...sse };
  await send(new PutObjectCommand(put), { abortSignal: signal });
  try {
    await send(new PutObjectCommand({ ...put, IfNoneMatch: "*" }), { abortSignal: signal });
    return { ok: "warn", text: `If-None-Match is ignored: ${instead}` };
  } catch (thrown) {
    if (statusOf(thrown) === 412 || statusOf(thrown) === 409) return { ok: "ok", text: "conditional writes" };
    if (!isUnknown(thrown)) throw thrown;
    return { ok: "warn", text: `If-None-Match is refused: ${instead}` };
  }
}

async function checksums({ send, bucket, sse }: S3Access, key: string, signal: AbortSignal): Promise<Manner> {
  /** Whether the bytes were taken with this checksum; undefined where the server knows none. */
  const takes = async (ChecksumSHA256: string): Promise<boolean | undefined> => {
    try {
      const input = { Bucket: bucket, Key: key, Body: BYTES, ...sse, ChecksumSHA256 };
      await send(new PutObjectCommand(input), { abortSignal: signal });
      return true;
    } catch (thrown) {
      if (isUnknown(thrown)) return undefined;
      if (statusOf(thrown) !== 400) throw thrown;
      return false;
    }
  };
  const instead = "none are sent; a backup has a SHA-256 or MD5 of each of its files";
  if (await takes(WRONG_SHA256) !== false) {
    return { ok: "warn", text: `checksums (x-amz-checksum-…) are not compared: ${instead}` };
  }
  // Backblaze refuses the header itself, in the same way.
  const right = createHash("sha256").update(BYTES).digest("base64");
  if (await takes(right) !== true) return { ok: "warn", text: `checksums (x-amz-checksum-…) are refused: ${instead}` };
  return { ok: "ok", text: "checksums" };
}

async function multipart({ send, bucket, sse, ssec }: S3Access, key: string, signal: AbortSignal): Promise<Manner> {
  const abort = { abortSignal: signal };
  const target = { Bucket: bucket, Key: key };
  let UploadId: string | undefined;
  try {
    UploadId = (await send(new CreateMultipartUploadCommand({ ...target, ...sse }), abort)).UploadId;
    const first = { ...target, ...ssec, UploadId };
    const part = await send(new UploadPartCommand({ ...first, PartNumber: 1, Body: BYTES }), abort);
    const Parts = [{ PartNumber: 1, ETag: part.ETag }];
    await send(new CompleteMultipartUploadCommand({ ...first, MultipartUpload: { Parts } }), abort);
    return { ok: "ok", text: "multipart uploads" };
  } catch (thrown) {
    if (UploadId !== undefined) await send(new AbortMultipartUploadCommand({ ...target, UploadId })).catch(() => {});
    if (!isUnknown(thrown)) throw thrown;
    return { ok: "fail", text: "multipart uploads are refused: nothing larger than 16 MiB can be written" };
  }
}

async function batch({ send, bucket }: S3Access, keys: readonly string[], signal: AbortSignal): Promise<Manner> {
  const Delete = { Objects: keys.map((Key) => ({ Key })), Quiet: true };
  try {
    await send(new DeleteObjectsCommand({ Bucket: bucket, Delete }), { abortSignal: signal });
    return { ok: "ok", text: "deletion in batches" };
  } catch (thrown) {
    if (![400, 405, 411, 501].includes(statusOf(thrown))) throw thrown;
    return { ok: "warn", text: "deletion in batches is refused: objects are deleted one by one" };
  }
}

/** The server does not know what was asked for, or not in this form. */
function isUnknown(thrown: unknown): boolean {
  return [405, 501].includes(statusOf(thrown)) || /^(NotImplemented|MethodNotAllowed)$/.test(nameOf(thrown));
}
