/** Reads the body of an answer into memory of the caller's: a stream of the runtime's own client puts it there by itself. */
import { leave } from "../../pipeline/leave.ts";

export type Body = ReadableStream<Uint8Array> | (AsyncIterable<Uint8Array> & { destroy(): unknown });

export interface BodyReader {
  /**
   * Fills the beginning of `into`, which is not empty, with what is there, at least a byte; `count` is 0 at the end. Takes the
   * memory of `into`: it is in `buffer` from then on, with all that it held.
   */
  read(into: Uint8Array<ArrayBuffer>): Promise<{ readonly buffer: ArrayBuffer; readonly count: number }>;
  /** Ends the reading, wherever it is. */
  leave(): Promise<void>;
}

export function bodyReader(body: Body): BodyReader {
  if (!(body instanceof ReadableStream)) return chunkReader(body, () => body.destroy());
  const reader = byteReader(body);
  // Not of bytes: no answer of the client's.
  if (reader === undefined) return chunkReader(body.values(), () => {});
  return {
    async read(into) {
      const { value } = await reader.read(into);
      if (value === undefined) throw new DOMException("The reading was ended", "AbortError");
      return { buffer: value.buffer, count: value.length };
    },
    async leave() {
      await reader.cancel().catch(() => {});
    },
  };
}

function byteReader(body: ReadableStream<Uint8Array>): ReadableStreamBYOBReader | undefined {
  try {
    return body.getReader({ mode: "byob" });
  } catch (thrown) {
    if (thrown instanceof TypeError) return undefined;
    throw thrown;
  }
}

function chunkReader(body: AsyncIterable<Uint8Array>, destroy: () => unknown): BodyReader {
  const chunks = body[Symbol.asyncIterator]();
  let chunk = new Uint8Array();
  return {
    async read(into) {
      while (chunk.length === 0) {
        const found = await chunks.next();
        if (found.done) return { buffer: into.buffer, count: 0 };
        chunk = found.value as Uint8Array<ArrayBuffer>;
      }
      const count = Math.min(chunk.length, into.length);
      into.set(chunk.subarray(0, count));
      chunk = chunk.subarray(count);
      return { buffer: into.buffer, count };
    },
    async leave() {
      destroy();
      await leave(chunks);
    },
  };
}
