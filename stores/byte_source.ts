/** Random access to bytes, wherever they are. */
import { TidemarkError } from "../pipeline/errors.ts";
import type { ObjectStore } from "../pipeline/model/mod.ts";

/** `read` gives exactly [start, end), as a view where it can. */
export interface ByteSource {
  readonly size: number;
  /** How much to ask for at once; a source in memory says Infinity. */
  readonly window: number;
  read(start: number, end: number): Promise<Uint8Array>;
}

/** Bytes in memory as a source. */
export function bytesSource(bytes: Uint8Array): ByteSource {
  return {
    size: bytes.length,
    window: Infinity,
    async read(start, end) {
      return bytes.subarray(start, end);
    },
  };
}

/** A part of a source as a source of its own. */
export function sliceSource(source: ByteSource, start: number, end: number): ByteSource {
  return { size: end - start, window: source.window, read: (from, to) => source.read(start + from, start + to) };
}

/** Reads an object by ranges of at least `window` bytes; nothing is kept. Throws `damaged` if it is shorter than `size`. */
export function objectSource(
  store: ObjectStore,
  key: string,
  size: number,
  options: { readonly window?: number; readonly signal?: AbortSignal } = {},
): ByteSource {
  const { window = 4 * 1024 ** 2, signal } = options;
  return {
    size,
    window,
    async read(start, end) {
      const bytes = await store.get(key, { start, end }, signal);
      if (bytes.length !== end - start) {
        throw new TidemarkError("damaged", `${key} in ${store.location} is shorter than ${size} bytes`);
      }
      return bytes;
    },
  };
}

/** As {@link objectSource}, with the first and the last `edge` bytes read ahead, at once; a small object is read whole. */
export async function edgeSource(
  store: ObjectStore,
  key: string,
  size: number,
  edge: number,
  options: { readonly window?: number; readonly signal?: AbortSignal } = {},
): Promise<ByteSource> {
  const source = objectSource(store, key, size, options);
  if (size <= 2 * edge) return bytesSource(await source.read(0, size));
  const [front, back] = await Promise.all([source.read(0, edge), source.read(size - edge, size)]);
  return {
    size,
    window: source.window,
    async read(start, end) {
      if (end <= edge) return front.subarray(start, end);
      if (start >= size - edge) return back.subarray(start - (size - edge), end - (size - edge));
      return await source.read(start, end);
    },
  };
}
