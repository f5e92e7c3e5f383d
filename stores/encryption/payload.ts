/**
 * The payload of age's format: chunks of 64 KiB, each sealed by ChaCha20-Poly1305 with its number and whether it is the last
 * (STREAM; https://age-encryption.org/v1, "Payload"). Done here and not by age's library, which reads files only from their
 * beginning: columns of a Parquet file are far apart. The cipher is the runtime's own, which is also the faster one.
 */
import { createCipheriv, createDecipheriv, hkdfSync } from "node:crypto";
import { TidemarkError } from "../../pipeline/errors.ts";

export const CHUNK_BYTES: number = 64 * 1024;
const TAG_BYTES = 16;
export const SEALED_CHUNK_BYTES: number = CHUNK_BYTES + TAG_BYTES;
/** Before the chunks: what makes the key of the payload from that of the file. */
export const NONCE_BYTES = 16;
/** After so many chunks in memory others get their turn: 4 MiB. */
const CHUNKS_AT_ONCE = 64;
const CIPHER = "chacha20-poly1305";

export function payloadKey(fileKey: Uint8Array, nonce: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", fileKey, nonce, "payload", 32));
}

/** Length of the payload's chunks for so many bytes; nothing is one empty chunk. */
export function sealedBytes(bytes: number): number {
  return bytes + TAG_BYTES * Math.max(1, Math.ceil(bytes / CHUNK_BYTES));
}

/** The reverse; for a length that no payload has, at most that of the next shorter one. */
export function openedBytes(sealed: number): number {
  return Math.max(0, sealed - TAG_BYTES * Math.ceil(sealed / SEALED_CHUNK_BYTES));
}

export function sealChunk(key: Uint8Array, index: number, last: boolean, bytes: Uint8Array): Uint8Array {
  const cipher = createCipheriv(CIPHER, key, chunkNonce(index, last), { authTagLength: TAG_BYTES });
  const sealed = new Uint8Array(bytes.length + TAG_BYTES);
  sealed.set(cipher.update(bytes));
  cipher.final();
  sealed.set(cipher.getAuthTag(), bytes.length);
  return sealed;
}

/** Undefined where the bytes are not this chunk of this file. */
export function openChunk(key: Uint8Array, index: number, last: boolean, sealed: Uint8Array): Uint8Array | undefined {
  const end = sealed.length - TAG_BYTES;
  if (end < 0 || (end === 0 && index > 0)) return undefined;
  const cipher = createDecipheriv(CIPHER, key, chunkNonce(index, last), { authTagLength: TAG_BYTES });
  cipher.setAuthTag(sealed.subarray(end));
  const opened = cipher.update(sealed.subarray(0, end));
  try {
    cipher.final();
  } catch {
    return undefined;
  }
  return new Uint8Array(opened.buffer, opened.byteOffset, opened.length);
}

/** The chunks of a body in memory behind `head`, in one array. */
export async function sealBytes(key: Uint8Array, bytes: Uint8Array, head: Uint8Array): Promise<Uint8Array> {
  const out = new Uint8Array(head.length + sealedBytes(bytes.length));
  out.set(head);
  const chunks = Math.max(1, Math.ceil(bytes.length / CHUNK_BYTES));
  for (let i = 0; i < chunks; i++) {
    if (i > 0 && i % CHUNKS_AT_ONCE === 0) await turn();
    const part = bytes.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES);
    out.set(sealChunk(key, i, i === chunks - 1, part), head.length + i * SEALED_CHUNK_BYTES);
  }
  return out;
}

/** The chunks of a stream, one by one. */
export async function* sealStream(key: Uint8Array, body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  let index = 0;
  let held: Uint8Array | undefined;
  for await (const chunk of rechunked(body, CHUNK_BYTES)) {
    if (held !== undefined) yield sealChunk(key, index++, false, held);
    held = chunk;
  }
  yield sealChunk(key, index, true, held ?? new Uint8Array());
}

/** Throws `damaged`, also where the end is missing. `what` is for the error. */
export async function* openStream(
  key: Uint8Array,
  body: AsyncIterable<Uint8Array>,
  what: string,
): AsyncIterable<Uint8Array> {
  let index = 0;
  let held: Uint8Array | undefined;
  for await (const chunk of rechunked(body, SEALED_CHUNK_BYTES)) {
    if (held !== undefined) yield openChunk(key, index, false, held) ?? broken(what, index);
    if (held !== undefined) index++;
    held = chunk;
  }
  const last = openChunk(key, index, true, held ?? new Uint8Array()) ?? broken(what, index);
  if (last.length > 0) yield last;
}

/**
 * Some chunks of a payload in one array, from the one of number `first` on. `cut`: fewer bytes came than were asked for, so
 * the last of them is the last of all. Throws `damaged`.
 */
export async function openPart(
  key: Uint8Array,
  sealed: Uint8Array,
  { first, cut, what }: { readonly first: number; readonly cut: boolean; readonly what: string },
): Promise<Uint8Array> {
  const out = new Uint8Array(openedBytes(sealed.length));
  const chunks = Math.ceil(sealed.length / SEALED_CHUNK_BYTES);
  if (chunks === 0 && first === 0) broken(what, 0);
  for (let i = 0; i < chunks; i++) {
    if (i > 0 && i % CHUNKS_AT_ONCE === 0) await turn();
    const part = sealed.subarray(i * SEALED_CHUNK_BYTES, (i + 1) * SEALED_CHUNK_BYTES);
    const isEnd = i === chunks - 1;
    const mustBeLast = isEnd && (cut || part.length < SEALED_CHUNK_BYTES);
    const opened = openChunk(key, first + i, mustBeLast, part) ??
      (isEnd && !mustBeLast ? openChunk(key, first + i, true, part) : undefined) ?? broken(what, first + i);
    out.set(opened, i * CHUNK_BYTES);
  }
  return out;
}

function broken(what: string, index: number): never {
  throw new TidemarkError(
    "damaged",
    `${what} cannot be decrypted: its chunk ${index} was changed, or its end is missing`,
    {
      hint: "Bring the object back from a copy of the backup; `tidemark backup verify` lists every other one.",
    },
  );
}

/** Eleven bytes of number, one that says whether it is the last. */
function chunkNonce(index: number, last: boolean): Uint8Array {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setBigUint64(3, BigInt(index));
  nonce[11] = last ? 1 : 0;
  return nonce;
}

/** Every chunk but the last has `size` bytes; no empty ones. */
async function* rechunked(body: AsyncIterable<Uint8Array>, size: number): AsyncIterable<Uint8Array> {
  let chunk = new Uint8Array(size);
  let filled = 0;
  for await (const bytes of body) {
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at, at + size - filled);
      chunk.set(part, filled);
      filled += part.length;
      at += part.length;
      if (filled < size) continue;
      yield chunk;
      chunk = new Uint8Array(size);
      filled = 0;
    }
  }
  if (filled > 0) yield chunk.subarray(0, filled);
}

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
