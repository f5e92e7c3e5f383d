/** An upload of a stream: one session, in chunks, each of which is sent again from where the server has it. */
import { rest } from "../../pipeline/pause.ts";
import { createHash } from "node:crypto";
import { TidemarkError } from "../../pipeline/errors.ts";
import { sendBlocks } from "./blocks.ts";
import { type GcsApi, type GcsObject, OBJECT_FIELDS } from "./gcs_api.ts";
import { gcsStatus } from "./gcs_error.ts";
import type { UploadMemory } from "./upload_memory.ts";

/** A multiple of 256 KiB, as the service wants it. One is sent while the next is filled. */
const CHUNK_BYTES = 16 * 1024 ** 2;
const CHUNK_TRIES = 4;
const FIRST_DELAY_MS = 250;

export interface UploadTarget {
  readonly bucket: string;
  /** Key in the bucket. */
  readonly name: string;
  readonly contentType: string | undefined;
  readonly ifAbsent: boolean;
  readonly kmsKeyName: string | undefined;
  /** Headers with the customer's key, which go with every piece. */
  readonly encryption: Readonly<Record<string, string>>;
}

function queryOf(target: UploadTarget, uploadType: string) {
  return {
    uploadType,
    name: target.name,
    fields: OBJECT_FIELDS,
    ifGenerationMatch: target.ifAbsent ? "0" : undefined,
    kmsKeyName: target.kmsKeyName,
  };
}

function pathOf({ bucket }: UploadTarget): string {
  return `upload/storage/v1/b/${encodeURIComponent(bucket)}/o`;
}

/** One request, with an MD5 that the service compares before it keeps anything. */
export async function uploadWhole(
  api: GcsApi,
  target: UploadTarget,
  bytes: Uint8Array,
  signal: AbortSignal | undefined,
  md5Hash: string = createHash("md5").update(bytes).digest("base64"),
): Promise<GcsObject> {
  const boundary = crypto.randomUUID();
  const contentType = target.contentType ?? "application/octet-stream";
  const metadata = JSON.stringify({ name: target.name, contentType, md5Hash });
  const body = joined(
    new TextEncoder().encode(
      `--${boundary}\r\ncontent-type: application/json; charset=UTF-8\r\n\r\n${metadata}\r\n` +
        `--${boundary}\r\ncontent-type: ${contentType}\r\n\r\n`,
    ),
    bytes,
    new TextEncoder().encode(`\r\n--${boundary}--\r\n`),
  );
  const done = await api.json<GcsObject>({
    method: "POST",
    path: pathOf(target),
    query: queryOf(target, "multipart"),
    headers: { ...target.encryption, "content-type": `multipart/related; boundary=${boundary}` },
    body,
    signal,
  });
  checkSum(done, md5Hash);
  return done;
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

export interface GcsUploadLimits {
  /** Shared with other uploads. */
  readonly memory: UploadMemory;
  readonly chunkBytes?: number | undefined;
}

export async function uploadStream(
  api: GcsApi,
  target: UploadTarget,
  body: AsyncIterable<Uint8Array>,
  { memory, chunkBytes = CHUNK_BYTES }: GcsUploadLimits,
  signal: AbortSignal | undefined,
): Promise<{ readonly done: GcsObject; readonly size: bigint }> {
  let session: Session | undefined;
  let done: GcsObject | undefined;
  const meter = createHash("md5");
  let offset = 0;
  const limits = { bytes: chunkBytes, memory, atOnce: 1, most: Infinity, signal, meter };
  try {
    const only = await sendBlocks(body, limits, {
      async whole({ bytes }) {
        const done = await uploadWhole(api, target, bytes, signal, meter.digest("base64"));
        return { done, size: BigInt(bytes.length) };
      },
      async block({ bytes, last }) {
        session ??= await begin(api, target, signal);
        done = await sendChunk(api, session, { bytes, offset, last }, signal);
        offset += bytes.length;
      },
    });
    if (only !== undefined) return only;
    checkSum(done!, meter.digest("base64"));
    return { done: done!, size: BigInt(offset) };
  } catch (thrown) {
    // Without the caller's signal: it may be why we are here. A session that stays behind ends within a week.
    if (session !== undefined) {
      await api.send({ method: "DELETE", path: session.url, also: [499] }).then(
        (answer) => answer.body?.cancel(),
        () => {},
      );
    }
    throw thrown;
  }
}

interface Session extends Pick<UploadTarget, "encryption"> {
  readonly url: string;
}

async function begin(api: GcsApi, target: UploadTarget, signal: AbortSignal | undefined): Promise<Session> {
  const answer = await api.send({
    method: "POST",
    path: pathOf(target),
    query: queryOf(target, "resumable"),
    headers: { ...target.encryption, "content-type": "application/json" },
    body: JSON.stringify({ contentType: target.contentType ?? "application/octet-stream" }),
    signal,
  });
  await answer.body?.cancel();
  const url = answer.headers.get("location");
  if (url === null) throw new TidemarkError("refused", `No upload session for ${target.name}: no Location came`);
  return { url, encryption: target.encryption };
}

interface Chunk {
  readonly bytes: Uint8Array;
  readonly offset: number;
  /** The stream ends with it. */
  readonly last: boolean;
}

/** The object when the upload is complete, undefined where more must come. */
async function sendChunk(
  api: GcsApi,
  session: Session,
  { bytes, offset, last }: Chunk,
  signal: AbortSignal | undefined,
): Promise<GcsObject | undefined> {
  const end = offset + bytes.length;
  const total = last ? String(end) : "*";
  /** What the server has of the whole upload. */
  let has = offset;
  for (let attempt = 1;; attempt++) {
    signal?.throwIfAborted();
    try {
      const range = attempt > 1 && has === end ? `bytes */${total}` : `bytes ${has}-${end - 1}/${total}`;
      const answer = await api.send({
        method: "PUT",
        path: session.url,
        headers: { ...session.encryption, "content-range": range },
        body: has === end ? new Uint8Array() : bytes.subarray(has - offset),
        signal,
        also: [308],
      });
      if (answer.status !== 308) return ended(await answer.json() as GcsObject, last, end);
      has = hasOf(answer);
      await answer.body?.cancel();
      if (has === end && !last) return undefined;
      if (has < offset || has > end) throw lost(offset, has);
      if (attempt >= CHUNK_TRIES) throw lost(end, has);
    } catch (thrown) {
      const status = gcsStatus(thrown);
      const again = status === 0
        ? !(thrown instanceof TidemarkError)
        : status >= 500 || status === 429 || status === 408;
      if (!again || attempt >= CHUNK_TRIES || signal?.aborted) throw thrown;
      await rest(FIRST_DELAY_MS * 2 ** (attempt - 1), signal);
      const state = await stateOf(api, session, total, signal).catch(() => undefined);
      if (state?.done !== undefined) return ended(state.done, last, end);
      if (state !== undefined) has = state.has;
      if (has < offset || has > end) throw lost(offset, has);
      if (has === end && !last) return undefined;
    }
  }
}

/** An upload that the service takes for complete while more is to come would be a shorter object in the place of its own. */
function ended(done: GcsObject, last: boolean, end: number): GcsObject {
  if (last) return done;
  throw new TidemarkError("damaged", `The service ended the upload of ${done.name} at byte ${end}, before its end`, {
    hint: "Run again. If it lasts, something between here and the service does not know uploads in parts.",
  });
}

/** What the server has, after an answer that was lost. */
async function stateOf(api: GcsApi, session: Session, total: string, signal: AbortSignal | undefined) {
  const answer = await api.send({
    method: "PUT",
    path: session.url,
    headers: { ...session.encryption, "content-range": `bytes */${total}` },
    body: new Uint8Array(),
    signal,
    also: [308],
  });
  if (answer.status !== 308) return { done: await answer.json() as GcsObject, has: 0 };
  await answer.body?.cancel();
  return { done: undefined, has: hasOf(answer) };
}

/** `Range: bytes=0-N`; without it, nothing has come. */
function hasOf(answer: Response): number {
  return Number(/-(\d+)$/.exec(answer.headers.get("range") ?? "")?.[1] ?? -1) + 1;
}

function lost(expected: number, has: number): TidemarkError {
  return new TidemarkError("unreachable", `The upload stands at byte ${has}, expected ${expected}`);
}

function checkSum(done: GcsObject, md5: string): void {
  if (done.md5Hash === undefined || done.md5Hash === md5) return;
  throw new TidemarkError("damaged", `${done.name} arrived with another MD5 than it was sent with`, {
    hint: "Something between here and the service changes bytes: run again, without that proxy.",
    retriable: true,
  });
}
