/** The store of all backups where no key is configured: one that is encrypted is told, and never written into in clear. */
import type { ObjectStore } from "../../pipeline/model/mod.ts";
import type { DecoratedStore } from "../objects/undecorated.ts";
import { AGE_MAGIC } from "./age_magic.ts";
import { type EncryptionOfBackup, lockedError } from "./locked_error.ts";
import { nameOf, readNote } from "./note.ts";
import { isClear } from "./sums.ts";

export interface GuardedBackups extends DecoratedStore {
  encryption(name: string, signal?: AbortSignal): Promise<EncryptionOfBackup | undefined>;
}

/** What is in clear is read as without it, request by request. */
export function createGuardedBackups(inner: ObjectStore): GuardedBackups {
  /** Backups that were found to be in clear. */
  const clear = new Set<string>();
  const encryption = async (name: string, signal?: AbortSignal): Promise<EncryptionOfBackup | undefined> => {
    const note = await readNote(inner, name, signal);
    return note && { note, locked: lockedError(note, name, inner.location), stored: inner };
  };
  const refuse = async (key: string, signal?: AbortSignal): Promise<void> => {
    const name = nameOf(key);
    if (name === undefined || isClear(name, key) || clear.has(name)) return;
    const found = await encryption(name, signal);
    if (found?.locked !== undefined) throw found.locked;
    clear.add(name);
  };
  return {
    inner,
    encryption,
    location: inner.location,
    head: (key, signal) => inner.head(key, signal),
    async get(key, range, signal) {
      const bytes = await inner.get(key, range, signal);
      if (range === undefined && AGE_MAGIC.every((byte, i) => bytes[i] === byte)) await refuse(key, signal);
      return bytes;
    },
    stream: (key, signal) => inner.stream(key, signal),
    async put(key, body, options, signal) {
      await refuse(key, signal);
      return await inner.put(key, body, options, signal);
    },
    async copyFrom(source, sourceKey, key, signal, size) {
      await refuse(key, signal);
      return await inner.copyFrom(source, sourceKey, key, signal, size);
    },
    list: (prefix, signal) => inner.list(prefix, signal),
    folders: (prefix, signal) => inner.folders(prefix, signal),
    delete: (keys, signal) => inner.delete(keys, signal),
    close: () => inner.close(),
  };
}
