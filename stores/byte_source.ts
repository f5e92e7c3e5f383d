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

/**
 * Fetches at least `block` bytes at once and keeps the newest `keep` blocks: many small reads near each other, such as the
 * column chunks of small row groups, become few large ones. Reads of the same block at the same time share one request.
 */
export function blockSource(source: ByteSource, block: number, keep: number): ByteSource {
  interface Block {
    readonly start: number;
    readonly end: number;
    readonly bytes: Promise<Uint8Array>;
  }
  const blocks: Block[] = [];
  const fetch = (start: number, end: number): Block => {
    const upTo = Math.min(source.size, Math.max(end, start + block));
    // The end of a block that is there is not fetched again.
    const before = blocks.findLast((one) => one.start <= start && start < one.end);
    const bytes = before === undefined ? source.read(start, upTo) : join(before, start, upTo);
    const made: Block = { start, end: upTo, bytes };
    blocks.push(made);
    if (blocks.length > keep) blocks.shift();
    bytes.catch(() => {
      const at = blocks.indexOf(made);
      if (at >= 0) blocks.splice(at, 1);
    });
    return made;
  };
  const join = async (before: Block, start: number, upTo: number): Promise<Uint8Array> => {
    const [front, rest] = await Promise.all([before.bytes, source.read(before.end, upTo)]);
    const out = new Uint8Array(upTo - start);
    out.set(front.subarray(start - before.start));
    out.set(rest, before.end - start);
    return out;
  };
  return {
    size: source.size,
    window: source.window,
    async read(start, end) {
      const found = blocks.find((one) => one.start <= start && end <= one.end) ?? fetch(start, end);
      return (await found.bytes).subarray(start - found.start, end - found.start);
    },
  };
}
