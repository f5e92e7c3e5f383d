/**
 * `<name>/sums/<number>.json`: sizes and checksums of the objects of an encrypted backup as they lie in the store, in clear, so
 * that whoever has no key can find what was lost or rotted. They protect against accidents; against people who change an
 * object the encryption itself does.
 *
 * A part is never changed; of two that speak of an object the later one counts. A size of -1 takes back what an earlier one
 * said: the object is about to be replaced or removed. What has none is not checked, never called damaged.
 */
import { formatJson } from "../../pipeline/json.ts";
import type { ObjectStore } from "../../pipeline/model/mod.ts";
import { readJsonObject } from "../backup/json_reader.ts";
import { checksumOfStream } from "../backup/checksum.ts";
import { noteKey } from "./note.ts";
import type { StoredObject } from "./sealed_store.ts";

/** Files of segments are many, and at the end of a base comes metadata: until then this many may wait. */
const PART_OBJECTS = 256;
/** At the start of a run more parts than these become few. */
const PARTS_KEPT = 64;
const MERGED_OBJECTS = 20_000;
const READ_AT_ONCE = 8;

export const sumsFolder = (name: string): string => `${name}/sums/`;

/** The objects of a backup that are in clear: what a reader without key needs, and the mark of its removal. */
export function isClear(name: string, key: string): boolean {
  return key === noteKey(name) || key.startsWith(sumsFolder(name)) || key === `${name}/_removing.json`;
}

/** What lives for moments, or is replaced every few seconds, has no checksum here. */
export function hasSum(name: string, key: string): boolean {
  return !isClear(name, key) && !key.startsWith(`${name}/_`) && !key.startsWith(`${name}/silent/`);
}

/** All of a backup, by key. Throws `damaged` for a part that is none. */
export async function readSums(
  store: ObjectStore,
  name: string,
  signal?: AbortSignal,
): Promise<{ readonly sums: Map<string, StoredObject>; readonly parts: readonly string[] }> {
  const sums = new Map<string, StoredObject>();
  const parts = (await Array.fromAsync(store.list(sumsFolder(name), signal))).map(({ key }) => key);
  for (let i = 0; i < parts.length; i += READ_AT_ONCE) {
    const keys = parts.slice(i, i + READ_AT_ONCE);
    const texts = await Promise.all(keys.map((key) => store.get(key, undefined, signal)));
    for (const [j, bytes] of texts.entries()) {
      for (const item of readJsonObject(new TextDecoder().decode(bytes), keys[j]!).list("objects")) {
        const key = `${name}/${item.text("path")}`;
        const size = item.int("size");
        if (size < 0n) sums.delete(key);
        else sums.set(key, { size, sum: item.text("sum") });
      }
    }
  }
  return { sums, parts };
}

export interface SumsWriter {
  get(key: string): StoredObject | undefined;
  /** Before objects are replaced or removed; durable when it resolves. */
  retract(keys: readonly string[], signal?: AbortSignal): Promise<void>;
  /** Durable when it resolves, or, for files of segments, with the next other object. */
  add(key: string, stored: StoredObject): Promise<void>;
  /** Of an object that lies there already: read for it. */
  addRead(key: string, signal?: AbortSignal): Promise<void>;
}

/** For the one process that writes a backup. `store`: as it is, below the encryption. What a kill kept from being noted is read now. */
export async function openSums(store: ObjectStore, name: string, signal?: AbortSignal): Promise<SumsWriter> {
  const { sums, parts } = await readSums(store, name, signal);
  let number = Math.max(0, ...parts.map((key) => Number(/(\d+)\.json$/.exec(key)?.[1] ?? 0)));
  let pending: (readonly [string, StoredObject | undefined])[] = [];
  let writing: Promise<unknown> = Promise.resolve();

  const write = async (items: readonly (readonly [string, StoredObject | undefined])[]) => {
    const objects = items.map(([key, stored]) => ({
      path: key.slice(name.length + 1),
      size: stored?.size ?? -1n,
      ...(stored === undefined ? {} : { sum: stored.sum }),
    }));
    const key = `${sumsFolder(name)}${String(++number).padStart(9, "0")}.json`;
    await store.put(key, new TextEncoder().encode(formatJson({ objects })));
  };
  /** One part at a time; what came in the meantime goes together. */
  const flush = (): Promise<unknown> => {
    writing = writing.catch(() => {}).then(async () => {
      const items = pending;
      if (items.length === 0) return;
      pending = [];
      try {
        await write(items);
      } catch (error) {
        pending = [...items, ...pending];
        throw error;
      }
    });
    return writing;
  };
  const add = async (key: string, stored: StoredObject) => {
    sums.set(key, stored);
    pending.push([key, stored]);
    const waits = key.startsWith(`${name}/binlogs/`) || key.startsWith(`${name}/manifests/`);
    if (!waits || pending.length >= PART_OBJECTS) await flush();
  };
  const addRead = async (key: string, signal?: AbortSignal) => {
    const { sum, bytes } = await checksumOfStream(store.stream(key, signal), "sha256");
    await add(key, { size: bytes, sum });
  };

  for await (const { key, size } of store.list(`${name}/`, signal)) {
    if (hasSum(name, key) && sums.get(key)?.size !== size) await addRead(key, signal);
  }
  await flush();
  if (parts.length > PARTS_KEPT) {
    const all = [...sums];
    for (let i = 0; i < all.length; i += MERGED_OBJECTS) await write(all.slice(i, i + MERGED_OBJECTS));
    await store.delete(parts, signal);
  }
  return {
    get: (key) => sums.get(key),
    async retract(keys) {
      const known = keys.filter((key) => sums.delete(key));
      if (known.length === 0) return;
      for (const key of known) pending.push([key, undefined]);
      await flush();
    },
    add,
    addRead,
  };
}
