/**
 * What is copied so far, in the backup's own folder (`_ledger/<number>.json`), so that a run that was killed goes on without
 * copying again and without the checksums being lost. It lies there and not in the run's state because it speaks of the
 * storage: whoever resumes, on whatever machine, finds it with the objects it describes. It is removed with the last step of the base.
 */
import type { ObjectStore } from "../../pipeline/model/mod.ts";
import { formatJson } from "../../pipeline/json.ts";
import { ledgerFolder, type ManifestObject, readJsonObject, readText } from "../../stores/mod.ts";

export interface CopyLedger {
  get(path: string): ManifestObject | undefined;
  /** Notes a copied object; written with the next `flush`. */
  add(object: ManifestObject): void;
  forget(path: string): void;
  entries(): IterableIterator<ManifestObject>;
  /** Writes what was noted since the last flush, if it is much or `force` is set. */
  flush(force: boolean, signal?: AbortSignal): Promise<void>;
  /** Removes the ledger's own objects. */
  remove(signal?: AbortSignal): Promise<void>;
}

/** Objects noted after which a part is written. What a kill loses of it is re-read, not copied again. */
const PART_OBJECTS = 256;

export async function openLedger(store: ObjectStore, name: string, signal?: AbortSignal): Promise<CopyLedger> {
  const folder = ledgerFolder(name);
  const objects = new Map<string, ManifestObject>();
  let part = 0;
  for await (const { key } of store.list(folder, signal)) {
    const text = await readText(store, key, signal);
    for (const item of readJsonObject(text, key).list("objects")) {
      objects.set(item.text("path"), { path: item.text("path"), size: item.int("size"), sum: item.text("sum") });
    }
    part = Math.max(part, Number(/(\d+)\.json$/.exec(key)?.[1] ?? 0));
  }
  let pending: ManifestObject[] = [];
  let writing: Promise<unknown> = Promise.resolve();
  return {
    get: (path) => objects.get(path),
    add(object) {
      objects.set(object.path, object);
      pending.push(object);
    },
    forget: (path) => void objects.delete(path),
    entries: () => objects.values(),
    async flush(force, signal) {
      if (pending.length > 0 && (force || pending.length >= PART_OBJECTS)) {
        const items = pending;
        pending = [];
        const key = `${folder}${String(++part).padStart(6, "0")}.json`;
        const text = formatJson({ objects: items });
        writing = writing.then(() => store.put(key, new TextEncoder().encode(text), {}, signal));
      }
      await writing;
    },
    async remove(signal) {
      await writing;
      const keys: string[] = [];
      for await (const { key } of store.list(folder, signal)) keys.push(key);
      await store.delete(keys, signal);
    },
  };
}
