/**
 * An object store below which every object is a file of age. Names, number and (but for a constant) sizes of objects stay
 * visible. Sizes are those of the contents; an object is read from any place without what is before it.
 */
import { createHash } from "node:crypto";
import { leave } from "../../pipeline/leave.ts";
import type { ObjectInfo, ObjectStore } from "../../pipeline/model/mod.ts";
import { collect } from "../objects/body.ts";
import { undecorated } from "../objects/undecorated.ts";
import {
  CHUNK_BYTES,
  openedBytes,
  openPart,
  openStream,
  sealBytes,
  SEALED_CHUNK_BYTES,
  sealStream,
} from "./payload.ts";
import type { Seal } from "./seal.ts";

/** What lies in the store under a key, as it is there. */
export interface StoredObject {
  readonly size: bigint;
  /** SHA-256. */
  readonly sum: string;
}

/** Not a `DecoratedStore`: nobody may look through it and copy what is below as if it were the contents. */
export interface SealedStore extends ObjectStore {
  readonly sealed: { readonly store: ObjectStore; readonly seal: Seal };
  /** What is known of an object below, as of its contents. */
  opened(info: ObjectInfo): ObjectInfo;
}

export interface SealedStoreOptions {
  /** Told of every object that was written; `put` waits for it. */
  readonly onPut?: (key: string, stored: StoredObject) => Promise<void>;
}

/** So many keys of objects are remembered, for those that are read in parts. */
const KEYS_KEPT = 4096;
/** A range that begins so near to an object's beginning is read with its head. */
const NEAR_BYTES = 256 * 1024;

export function createSealedStore(store: ObjectStore, seal: Seal, options: SealedStoreOptions = {}): SealedStore {
  const { headBytes } = seal;
  const keys = new Map<string, Uint8Array>();
  const keep = (key: string, opened: Uint8Array): Uint8Array => {
    keys.delete(key);
    keys.set(key, opened);
    if (keys.size > KEYS_KEPT) keys.delete(keys.keys().next().value!);
    return opened;
  };
  const what = (key: string) => `${key} in ${store.location}`;
  const open = async (key: string, head: Uint8Array) => keep(key, await seal.open(head, what(key)));
  const opened = (info: ObjectInfo): ObjectInfo => ({
    ...info,
    size: BigInt(openedBytes(Math.max(0, Number(info.size) - headBytes))),
    // Of the ciphertext: nobody may take it for the MD5 of the contents.
    etag: "",
  });

  const getRange = async (key: string, start: number, end: number, signal?: AbortSignal): Promise<Uint8Array> => {
    if (end <= start) return await store.get(key, { start: 0, end: 0 }, signal);
    const first = Math.floor(start / CHUNK_BYTES);
    const from = headBytes + first * SEALED_CHUNK_BYTES;
    const to = headBytes + Math.ceil(end / CHUNK_BYTES) * SEALED_CHUNK_BYTES;
    const part = async (payloadKey: Uint8Array, sealed: Uint8Array) => {
      const cut = sealed.length < to - from;
      const bytes = await openPart(payloadKey, sealed, { first, cut, what: what(key) });
      return bytes.subarray(Math.min(bytes.length, start - first * CHUNK_BYTES), end - first * CHUNK_BYTES);
    };
    const known = keys.get(key);
    if (known !== undefined) {
      const sealed = await store.get(key, { start: from, end: to }, signal);
      try {
        return await part(known, sealed);
      } catch {
        // Another process may have put another object in its place: its head tells.
        keys.delete(key);
      }
    }
    if (from - headBytes <= NEAR_BYTES) {
      const bytes = await store.get(key, { start: 0, end: to }, signal);
      return await part(await open(key, bytes.subarray(0, headBytes)), bytes.subarray(from));
    }
    const [head, sealed] = await Promise.all([
      store.get(key, { start: 0, end: headBytes }, signal),
      store.get(key, { start: from, end: to }, signal),
    ]);
    return await part(await open(key, head), sealed);
  };

  return {
    sealed: { store, seal },
    opened,
    location: store.location,
    async head(key, signal) {
      const info = await store.head(key, signal);
      return info && opened(info);
    },
    async get(key, range, signal) {
      if (range !== undefined) return await getRange(key, range.start, range.end, signal);
      const bytes = await store.get(key, undefined, signal);
      const payloadKey = await open(key, bytes.subarray(0, headBytes));
      return await openPart(payloadKey, bytes.subarray(headBytes), { first: 0, cut: true, what: what(key) });
    },
    async *stream(key, signal) {
      const chunks = store.stream(key, signal)[Symbol.asyncIterator]();
      try {
        let head: Uint8Array = new Uint8Array();
        while (head.length < headBytes) {
          const next = await chunks.next();
          if (next.done) break;
          head = await collect(both(head, next.value));
        }
        const payloadKey = await open(key, head.subarray(0, headBytes));
        const rest = head.subarray(headBytes);
        yield* openStream(payloadKey, behind(rest, chunks), what(key));
      } finally {
        await leave(chunks);
      }
    },
    async put(key, body, putOptions = {}, signal) {
      signal?.throwIfAborted();
      const { head, key: payloadKey } = await seal.make();
      const meter = createHash("sha256");
      let size = 0;
      const metered = (bytes: Uint8Array): Uint8Array => {
        meter.update(bytes);
        size += bytes.length;
        return bytes;
      };
      async function* sealed(plain: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
        yield metered(head);
        for await (const chunk of sealStream(payloadKey, plain)) yield metered(chunk);
      }
      const out = body instanceof Uint8Array ? metered(await sealBytes(payloadKey, body, head)) : sealed(body);
      // What it is inside is nobody's business: no content type.
      const info = await store.put(key, out, putOptions.ifAbsent === true ? { ifAbsent: true } : {}, signal);
      keep(key, payloadKey);
      await options.onPut?.(key, { size: BigInt(size), sum: `sha256:${meter.digest("hex")}` });
      return opened(info);
    },
    async copyFrom(source, sourceKey, key, signal) {
      const from = (undecorated(source) as Partial<SealedStore>).sealed;
      if (from?.seal.name !== seal.name || from.seal.headBytes !== headBytes) return undefined;
      keys.delete(key);
      return await store.copyFrom(from.store, sourceKey, key, signal) && { etag: "" };
    },
    async *list(prefix, signal) {
      for await (const info of store.list(prefix, signal)) yield opened(info);
    },
    folders: (prefix, signal) => store.folders(prefix, signal),
    async delete(gone, signal) {
      for (const key of gone) keys.delete(key);
      await store.delete(gone, signal);
    },
    close: () => store.close(),
  };
}

async function* both(a: Uint8Array, b: Uint8Array): AsyncIterable<Uint8Array> {
  yield a;
  yield b;
}

async function* behind(first: Uint8Array, rest: AsyncIterator<Uint8Array>): AsyncIterable<Uint8Array> {
  yield first;
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
}
