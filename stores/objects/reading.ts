/** Bodies of answers, checked against the length that the server announced. */
import { collect } from "./body.ts";

/** The chunks of a body as they come. Throws a network error where it ends too soon. */
export async function* readChunks(
  body: AsyncIterable<Uint8Array> & { destroy(): unknown },
  length: number | undefined,
  signal?: AbortSignal,
): AsyncIterable<Uint8Array> {
  let size = 0;
  try {
    for await (const chunk of body) {
      signal?.throwIfAborted();
      size += chunk.length;
      yield plain(chunk);
    }
  } finally {
    body.destroy();
  }
  if (length !== undefined && size !== length) throw cutOff(size, length);
}

/** The whole body in one array, allocated once where the length is known. */
export async function readBody(
  body: AsyncIterable<Uint8Array>,
  length: number | undefined,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  if (length === undefined) return await collect(body, signal);
  const bytes = new Uint8Array(length);
  let filled = 0;
  for await (const chunk of body) {
    if (filled + chunk.length > length) throw cutOff(filled + chunk.length, length);
    bytes.set(chunk, filled);
    filled += chunk.length;
  }
  if (filled !== length) throw cutOff(filled, length);
  return bytes;
}

export function cutOff(came: number, length: number): Error {
  return Object.assign(new Error(`${came} of ${length} bytes came`), { code: "ECONNRESET" });
}

/** Without the subclass: a Buffer's `slice` is a view, not a copy. */
export function plain(bytes: Uint8Array): Uint8Array {
  return bytes.constructor === Uint8Array ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
