/** Bodies of answers, checked against the length that the server announced. */
import { collect } from "./body.ts";
import { type Body, bodyReader } from "./body_reader.ts";
import { endingStill, STILL_MS } from "./still_body.ts";

/** Chunks are gathered up to this size: each of them passes through half a dozen layers, whatever it holds. */
const CHUNK_BYTES = 512 * 1024;
/** What a slow server sends is passed on once it has been here so long and more comes, ms. */
const HELD_MS = 200;

/**
 * The body in chunks of up to 512 KiB, as it comes. Throws a network error where it ends too soon, or nothing comes of it for
 * `stillMs`.
 */
export async function* readChunks(
  body: Body,
  length: number | undefined,
  signal?: AbortSignal,
  stillMs: number = STILL_MS,
): AsyncIterable<Uint8Array> {
  const reader = endingStill(bodyReader(body), stillMs);
  let size = 0;
  try {
    for (let ended = false; !ended;) {
      // One more than there can be: the last chunk ends with the body, not before it.
      let block = new Uint8Array(Math.min(CHUNK_BYTES, length === undefined ? Infinity : length - size + 1));
      let filled = 0;
      let since: number | undefined;
      while (filled < block.length) {
        const { buffer, count } = await reader.read(block.subarray(filled));
        signal?.throwIfAborted();
        block = new Uint8Array(buffer);
        filled += count;
        ended = count === 0;
        since ??= performance.now();
        if (ended || performance.now() - since > HELD_MS) break;
      }
      size += filled;
      if (length !== undefined && size > length) throw cutOff(size, length);
      // What is kept by somebody must not keep much more.
      if (filled > 0) yield filled < block.length / 2 ? block.slice(0, filled) : block.subarray(0, filled);
    }
  } finally {
    await reader.leave();
  }
  if (length !== undefined && size !== length) throw cutOff(size, length);
}

/** The whole body in one array, allocated once where the length is known. Throws as {@link readChunks}. */
export async function readBody(
  body: Body,
  length: number | undefined,
  signal?: AbortSignal,
  stillMs: number = STILL_MS,
): Promise<Uint8Array> {
  if (length === undefined) return await collect(readChunks(body, length, signal, stillMs), signal);
  const reader = endingStill(bodyReader(body), stillMs);
  try {
    let bytes = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      const { buffer, count } = await reader.read(bytes.subarray(filled));
      bytes = new Uint8Array(buffer);
      filled += count;
      if (count === 0) throw cutOff(filled, length);
    }
    const { count: more } = await reader.read(new Uint8Array(1));
    if (more > 0) throw cutOff(filled + more, length);
    return bytes;
  } finally {
    await reader.leave();
  }
}

export function cutOff(came: number, length: number): Error {
  return Object.assign(new Error(`${came} of ${length} bytes came`), { code: "ECONNRESET" });
}
