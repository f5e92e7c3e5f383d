/**
 * The store of all backups, of which some are encrypted: each is as a whole or not at all, for the same recipients from its
 * first object to its last, as its `encryption.json` says. Whoever reads or writes one sees contents and their sizes.
 */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { ObjectStore } from "../../pipeline/model/mod.ts";
import { linkObject } from "../objects/link.ts";
import { undecorated } from "../objects/undecorated.ts";
import type { Keys } from "./keys.ts";
import { encodeNote, type EncryptionNote, nameOf, noteKey, readNote } from "./note.ts";
import type { EncryptionOfBackup } from "./locked_error.ts";
import { createSeal } from "./seal.ts";
import { createSealedStore, type SealedStore } from "./sealed_store.ts";
import type { StoredObject } from "./sealed_store.ts";
import { hasSum, isClear, openSums, readSums, type SumsWriter } from "./sums.ts";

/** A backup that has a note. */
interface Encrypted {
  readonly note: EncryptionNote;
  /** Undefined where no key is at hand: `locked` says so. */
  readonly store: SealedStore | undefined;
  readonly locked: TidemarkError | undefined;
  /** For what this process writes. */
  sums(): Promise<SumsWriter>;
  sumOf(key: string): Promise<StoredObject | undefined>;
  removing: boolean;
}

export interface EncryptedBackups extends ObjectStore {
  /** Not `inner`: nobody may take what is below for the contents. */
  readonly stored: ObjectStore;
  /** As {@link linkObject}, within this store. */
  link(sourceKey: string, key: string): Promise<boolean>;
  /** Undefined for a backup in clear, or none. */
  encryption(name: string, signal?: AbortSignal): Promise<EncryptionOfBackup | undefined>;
}

/** `keys`: of this configuration; new backups are encrypted with them. */
export function createEncryptedBackups(stored: ObjectStore, keys: Keys): EncryptedBackups {
  const { location } = stored;
  const known = new Map<string, Promise<Encrypted | undefined>>();

  const open = async (name: string, note: EncryptionNote): Promise<Encrypted> => {
    let sums: Promise<SumsWriter> | undefined;
    const writer = () => {
      sums ??= openSums(stored, name);
      sums.catch(() => sums = undefined);
      return sums;
    };
    let read: Promise<ReadonlyMap<string, StoredObject>> | undefined;
    const sumOf = async (key: string) => {
      if (sums !== undefined) return (await sums).get(key);
      read ??= readSums(stored, name).then((found) => found.sums);
      return (await read).get(key);
    };
    const common = { note, sums: writer, sumOf, removing: false };
    try {
      const identities = await keys.forBackup(note, name, location);
      const onPut: Parameters<typeof createSealedStore>[2] = {
        async onPut(key, object) {
          if (hasSum(name, key)) await (await writer()).add(key, object);
        },
      };
      const store = createSealedStore(stored, createSeal(note.recipients, identities, note.headBytes), onPut);
      return { ...common, store, locked: undefined };
    } catch (error) {
      if (!(error instanceof TidemarkError && error.code === "authentication")) throw error;
      return { ...common, store: undefined, locked: error };
    }
  };
  /** Undefined: in clear, or not there at all. Only what is encrypted is remembered: what is not there may become so. */
  const find = (name: string, signal?: AbortSignal): Promise<Encrypted | undefined> => {
    const found = known.get(name);
    if (found !== undefined) return found;
    const finding = readNote(stored, name, signal).then((note) => note && open(name, note));
    known.set(name, finding);
    const forget = () => {
      if (known.get(name) === finding) known.delete(name);
    };
    finding.then((encrypted) => {
      if (encrypted === undefined) forget();
    }, forget);
    return finding;
  };
  /** The folder's first object is its note. Throws `refused` where there are others already. */
  const begin = (name: string, signal?: AbortSignal): Promise<Encrypted> => {
    const beginning = (async () => {
      const there = await readNote(stored, name, signal);
      if (there !== undefined) return await open(name, there);
      for await (const { key } of stored.list(`${name}/`, signal)) {
        throw new TidemarkError("refused", `Backup ${name} in ${location} was begun in clear (${key}) and stays so`, {
          hint:
            "A backup is encrypted as a whole or not at all. Take storage.encrypt away until its run is done, or begin a new backup: another `pipeline` has a state of its own, and makes one.",
        });
      }
      const note = await keys.forNew(stored, signal);
      try {
        await stored.put(noteKey(name), encodeNote(note), { ifAbsent: true }, signal);
      } catch (error) {
        if (!(error instanceof TidemarkError && error.code === "refused")) throw error;
        throw new TidemarkError("locked", `Backup ${name} in ${location} was begun by another run`, { cause: error });
      }
      return await open(name, note);
    })();
    known.set(name, beginning);
    beginning.catch(() => known.delete(name));
    return beginning;
  };
  /** For writing. Throws where the key is missing, or the backup is one in clear. */
  const writable = async (name: string, signal?: AbortSignal): Promise<Encrypted & { readonly store: SealedStore }> => {
    const encrypted = await find(name, signal) ?? await (known.get(name) as Promise<Encrypted> ?? begin(name, signal));
    if (encrypted.store === undefined) throw encrypted.locked!;
    return { ...encrypted, store: encrypted.store };
  };
  /** Where the contents of a key are. */
  const reading = async (key: string, signal?: AbortSignal): Promise<ObjectStore> => {
    const name = nameOf(key);
    if (name === undefined || isClear(name, key)) return stored;
    const encrypted = await find(name, signal);
    if (encrypted === undefined) return stored;
    if (encrypted.store === undefined) throw encrypted.locked!;
    return encrypted.store;
  };
  /** Whether what lies under one key may lie under the other just so. */
  const alike = async (from: string, to: string): Promise<boolean> => {
    const [a, b] = [await find(from), await writable(to)];
    return a?.store !== undefined && a.note.headBytes === b.note.headBytes &&
      a.note.recipients.join() === b.note.recipients.join();
  };
  /**
   * After an object was given a second name. Its checksum is what was noted when it was written, not what it has now: what
   * rotted since is found under both names.
   */
  const noteCopy = async (sourceKey: string, key: string): Promise<void> => {
    const name = nameOf(key)!;
    if (!hasSum(name, key)) return;
    const sums = await (await writable(name)).sums();
    const noted = await (await find(nameOf(sourceKey)!))?.sumOf(sourceKey);
    if (noted === undefined) await sums.addRead(key);
    else await sums.add(key, noted);
  };

  const self: EncryptedBackups = {
    stored,
    location,
    async encryption(name, signal) {
      const encrypted = await find(name, signal);
      return encrypted && { note: encrypted.note, locked: encrypted.locked, stored };
    },
    async head(key, signal) {
      const name = nameOf(key);
      const encrypted = name === undefined || isClear(name, key) ? undefined : await find(name, signal);
      return await (encrypted?.store ?? stored).head(key, signal);
    },
    get: async (key, range, signal) => await (await reading(key, signal)).get(key, range, signal),
    async *stream(key, signal) {
      yield* (await reading(key, signal)).stream(key, signal);
    },
    async put(key, body, options, signal) {
      signal?.throwIfAborted();
      const name = nameOf(key);
      if (name === undefined) return await stored.put(key, body, options, signal);
      if (isClear(name, key)) {
        const encrypted = await find(name, signal);
        if (encrypted !== undefined && key.endsWith("/_removing.json")) encrypted.removing = true;
        return await stored.put(key, body, options, signal);
      }
      const { store, sums } = await writable(name, signal);
      if (hasSum(name, key) && options?.ifAbsent !== true) await (await sums()).retract([key], signal);
      return await store.put(key, body, options, signal);
    },
    async copyFrom(source, sourceKey, key, signal, size) {
      const [from, to] = [nameOf(sourceKey), nameOf(key)];
      if (undecorated(source) !== self) return undefined;
      // Beside the backups everything is in clear: what `check` tries.
      if (from === undefined && to === undefined) return await stored.copyFrom(stored, sourceKey, key, signal, size);
      if (from === undefined || to === undefined) return undefined;
      if (!await alike(from, to)) return undefined;
      const { store, sums } = await writable(to, signal);
      await (await sums()).retract([key], signal);
      const done = await store.copyFrom((await find(from))!.store!, sourceKey, key, signal, size);
      if (done !== undefined) await noteCopy(sourceKey, key);
      return done;
    },
    async link(sourceKey, key) {
      const [from, to] = [nameOf(sourceKey), nameOf(key)];
      if (from === undefined || to === undefined || !await alike(from, to)) return false;
      const present = await stored.head(key) !== undefined;
      if (!await linkObject(stored, sourceKey, stored, key)) return false;
      const sums = await (await writable(to)).sums();
      if (!present) await noteCopy(sourceKey, key);
      else if (hasSum(to, key) && sums.get(key) === undefined) await sums.addRead(key);
      return true;
    },
    async *list(prefix, signal) {
      for await (const info of stored.list(prefix, signal)) {
        const name = nameOf(info.key);
        const encrypted = name === undefined || isClear(name, info.key) ? undefined : await find(name, signal);
        yield encrypted?.store?.opened(info) ?? info;
      }
    },
    folders: (prefix, signal) => stored.folders(prefix, signal),
    async delete(gone, signal) {
      for (const [name, all] of Map.groupBy(gone, nameOf)) {
        if (name === undefined) continue;
        const encrypted = await find(name, signal);
        if (encrypted === undefined) continue;
        const summed = all.filter((key) => hasSum(name, key));
        if (!encrypted.removing && encrypted.store !== undefined && summed.length > 0) {
          await (await encrypted.sums()).retract(summed, signal);
        }
        if (all.includes(noteKey(name))) known.delete(name);
      }
      await stored.delete(gone, signal);
    },
    close: () => stored.close(),
  };
  return self;
}
