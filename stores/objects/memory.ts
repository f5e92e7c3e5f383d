/** An object store in memory, for tests. Behaves as S3 does; passes the same conformance suite. */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { ObjectInfo, ObjectStore, PutOptions } from "../../pipeline/model/mod.ts";
import { collect } from "./body.ts";
import { compareKeys, validateKey, validatePrefix } from "./key.ts";
import { undecorated } from "./undecorated.ts";

export interface MemoryStore extends ObjectStore {
  /** The objects themselves, for a test to look at or to damage. */
  readonly objects: Map<string, { readonly bytes: Uint8Array; readonly modifiedMs: number }>;
}

export interface MemoryStoreOptions {
  /** Shown in `location`. Default `memory`. */
  name?: string;
  /** Clock, unix ms. */
  now?: () => number;
  /** Size of the chunks that `stream` yields. Default 64 KiB. */
  chunkBytes?: number;
}

export function createMemoryStore(options: MemoryStoreOptions = {}): MemoryStore {
  const { name = "memory", now = Date.now, chunkBytes = 64 * 1024 } = options;
  const objects: MemoryStore["objects"] = new Map();

  const info = (key: string): ObjectInfo | undefined => {
    const object = objects.get(key);
    return object && { key, size: BigInt(object.bytes.length), etag: "", modifiedMs: object.modifiedMs };
  };
  const bytesOf = (key: string): Uint8Array => {
    validateKey(key);
    const object = objects.get(key);
    if (object === undefined) throw new TidemarkError("not_found", `No object ${key} in memory:${name}`);
    return object.bytes;
  };
  const below = (prefix: string) => {
    validatePrefix(prefix);
    return [...objects.keys()].filter((key) => key.startsWith(prefix)).sort(compareKeys);
  };

  return {
    location: `memory:${name}`,
    objects,
    async head(key, signal) {
      signal?.throwIfAborted();
      validateKey(key);
      return info(key);
    },
    async get(key, range, signal) {
      signal?.throwIfAborted();
      const bytes = bytesOf(key);
      return range === undefined ? bytes.slice() : bytes.slice(range.start, Math.max(range.start, range.end));
    },
    async *stream(key, signal) {
      const bytes = bytesOf(key);
      for (let offset = 0; offset < bytes.length; offset += chunkBytes) {
        signal?.throwIfAborted();
        yield bytes.slice(offset, offset + chunkBytes);
      }
    },
    async put(key: string, body: Uint8Array | AsyncIterable<Uint8Array>, put: PutOptions = {}, signal?: AbortSignal) {
      signal?.throwIfAborted();
      validateKey(key);
      const bytes = body instanceof Uint8Array ? body.slice() : (await collect(body, signal)).slice();
      signal?.throwIfAborted();
      if (put.ifAbsent && objects.has(key)) {
        throw new TidemarkError("refused", `Object ${key} exists already in memory:${name}`);
      }
      objects.set(key, { bytes, modifiedMs: now() });
      return info(key)!;
    },
    async copyFrom(source, sourceKey, key, signal) {
      signal?.throwIfAborted();
      const other = undecorated(source) as Partial<MemoryStore>;
      if (!(other.objects instanceof Map)) return undefined;
      validateKey(key);
      const object = other.objects.get(sourceKey);
      if (object === undefined) throw new TidemarkError("not_found", `No object ${sourceKey} in ${source.location}`);
      objects.set(key, { bytes: object.bytes, modifiedMs: now() });
      return { etag: info(key)!.etag };
    },
    async *list(prefix, signal) {
      for (const key of below(prefix)) {
        signal?.throwIfAborted();
        const found = info(key);
        if (found !== undefined) yield found;
      }
    },
    async folders(prefix, signal) {
      signal?.throwIfAborted();
      const names = new Set<string>();
      for (const key of below(prefix)) {
        const rest = key.slice(prefix.length);
        const slash = rest.indexOf("/");
        if (slash > 0) names.add(rest.slice(0, slash));
      }
      return [...names].sort(compareKeys);
    },
    async delete(keys, signal) {
      signal?.throwIfAborted();
      for (const key of keys) {
        validateKey(key);
        objects.delete(key);
      }
    },
    async close() {},
  };
}
