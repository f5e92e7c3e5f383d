/**
 * A folder as an object store. Writes are atomic and durable: temporary file, fsync, rename (or link, for "only if
 * absent"), fsync of the folder.
 */
import { dirname, join } from "node:path";
import { TidemarkError, toTidemarkError } from "../../pipeline/errors.ts";
import type { ObjectInfo, ObjectStore } from "../../pipeline/model/mod.ts";
import { compareKeys, validateKey, validatePrefix } from "./key.ts";
import { walkFiles } from "./file_walk.ts";
import { undecorated } from "./undecorated.ts";

/** Half-written files; never listed, left behind only by a kill. */
const TEMPORARY = /^\.tidemark-[0-9a-f-]{36}\.tmp$/;
const READ_BYTES = 1 << 20;

interface FileStore extends ObjectStore {
  readonly folder: string;
}

/** `path`: the folder; it is created by the first write, not before. */
export function createFileStore(path: string): ObjectStore {
  const folder = path.length > 1 ? path.replace(/\/+$/, "") : path;
  const fileOf = (key: string): string => {
    validateKey(key);
    return join(folder, key);
  };

  const store: FileStore = {
    location: `file://${folder}`,
    folder,
    async head(key, signal) {
      signal?.throwIfAborted();
      return await stat(fileOf(key), key);
    },
    async get(key, range, signal) {
      signal?.throwIfAborted();
      using file = await open(fileOf(key), key, folder);
      const size = (await file.stat()).size;
      const start = Math.min(range?.start ?? 0, size);
      const end = Math.max(start, Math.min(range?.end ?? size, size));
      const bytes = new Uint8Array(end - start);
      await file.seek(start, Deno.SeekMode.Start);
      let filled = 0;
      while (filled < bytes.length) {
        signal?.throwIfAborted();
        const count = await file.read(bytes.subarray(filled));
        if (count === null) break;
        filled += count;
      }
      return bytes.subarray(0, filled);
    },
    async *stream(key, signal) {
      using file = await open(fileOf(key), key, folder);
      while (true) {
        signal?.throwIfAborted();
        const chunk = new Uint8Array(READ_BYTES);
        const count = await file.read(chunk);
        if (count === null) return;
        yield chunk.subarray(0, count);
      }
    },
    async put(key, body, options = {}, signal) {
      signal?.throwIfAborted();
      const target = fileOf(key);
      await replace(target, key, options.ifAbsent === true, async (temporary) => {
        using file = await Deno.open(temporary, { createNew: true, write: true });
        for await (const chunk of body instanceof Uint8Array ? [body] : body) {
          signal?.throwIfAborted();
          await writeAll(file, chunk);
        }
        signal?.throwIfAborted();
        await file.sync();
      });
      return (await stat(target, key))!;
    },
    async copyFrom(source, sourceKey, key, signal) {
      signal?.throwIfAborted();
      const other = undecorated(source) as Partial<FileStore>;
      if (other.folder === undefined) return undefined;
      validateKey(sourceKey);
      const from = join(other.folder, sourceKey);
      if (await stat(from, sourceKey) === undefined) {
        throw new TidemarkError("not_found", `No object ${sourceKey} in ${source.location}`);
      }
      // A copy, never a hard link: with a link, damage to the source's file would be damage to its backup. On Linux the
      // copy is copy_file_range, which shares the blocks on file systems that can (btrfs, XFS).
      await replace(fileOf(key), key, false, async (temporary) => {
        await Deno.copyFile(from, temporary);
        using file = await Deno.open(temporary, { write: true });
        await file.sync();
      });
      return { etag: "" };
    },
    async *list(prefix, signal) {
      validatePrefix(prefix);
      const parent = prefix.slice(0, prefix.lastIndexOf("/") + 1);
      signal?.throwIfAborted();
      yield* walk(folder, parent, prefix, signal);
    },
    async folders(prefix, signal) {
      signal?.throwIfAborted();
      validatePrefix(prefix);
      const names: string[] = [];
      for (const entry of await entries(join(folder, prefix))) if (entry.isDirectory) names.push(entry.name);
      return names.sort(compareKeys);
    },
    async delete(keys, signal) {
      for (const key of keys) {
        signal?.throwIfAborted();
        const target = fileOf(key);
        try {
          await Deno.remove(target);
        } catch (error) {
          if (isAbsent(error)) continue;
          throw mapped(error, key);
        }
        await removeEmptyParents(target, folder);
      }
    },
    async close() {},
  };
  return store;
}

/** Depth first, every folder sorted as its keys are: a folder counts with its slash. */
function walk(
  folder: string,
  parent: string,
  prefix: string,
  signal: AbortSignal | undefined,
): AsyncIterable<ObjectInfo> {
  const names = async (below: string) =>
    (await entries(join(folder, below)))
      .filter((entry) => !TEMPORARY.test(entry.name))
      .map((entry) => below + entry.name + (entry.isDirectory ? "/" : ""))
      .filter((name) => name.startsWith(prefix) || (name.endsWith("/") && prefix.startsWith(name)))
      .sort(compareKeys);
  return walkFiles({ names, file: (key) => stat(join(folder, key), key) }, parent, signal);
}

async function entries(folder: string): Promise<Deno.DirEntry[]> {
  try {
    return await Array.fromAsync(Deno.readDir(folder));
  } catch (error) {
    if (isAbsent(error)) return [];
    throw mapped(error, folder);
  }
}

async function stat(file: string, key: string): Promise<ObjectInfo | undefined> {
  try {
    const found = await Deno.stat(file);
    if (!found.isFile) return undefined;
    return { key, size: BigInt(found.size), etag: "", modifiedMs: found.mtime?.getTime() ?? 0 };
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw mapped(error, key);
  }
}

async function open(file: string, key: string, folder: string): Promise<Deno.FsFile> {
  try {
    const opened = await Deno.open(file, { read: true });
    if ((await opened.stat()).isFile) return opened;
    opened.close();
  } catch (error) {
    if (!isAbsent(error)) throw mapped(error, key);
  }
  throw new TidemarkError("not_found", `No object ${key} in file://${folder}`);
}

/** Writes a temporary file by `fill` and moves it to its place. */
async function replace(
  target: string,
  key: string,
  ifAbsent: boolean,
  fill: (temporary: string) => Promise<void>,
): Promise<void> {
  const parent = dirname(target);
  const temporary = join(parent, `.tidemark-${crypto.randomUUID()}.tmp`);
  try {
    await Deno.mkdir(parent, { recursive: true });
    await fill(temporary);
    if (ifAbsent) {
      await Deno.link(temporary, target);
      await Deno.remove(temporary);
    } else {
      await Deno.rename(temporary, target);
    }
    using directory = await Deno.open(parent, { read: true });
    await directory.sync();
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    if (ifAbsent && error instanceof Deno.errors.AlreadyExists) {
      throw new TidemarkError("refused", `Object ${key} exists already in ${parent}`, { cause: error });
    }
    throw mapped(error, key);
  }
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  let written = 0;
  while (written < bytes.length) written += await file.write(bytes.subarray(written));
}

/** S3 has no empty folders; neither has this store. Stops at the first folder that is not empty. */
async function removeEmptyParents(file: string, folder: string): Promise<void> {
  for (let parent = dirname(file); parent.length > folder.length; parent = dirname(parent)) {
    try {
      await Deno.remove(parent);
    } catch {
      return;
    }
  }
}

function isAbsent(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory;
}

function mapped(error: unknown, key: string): TidemarkError {
  if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable) {
    return new TidemarkError("authentication", `No permission for ${key}: ${error.message}`, {
      hint: "Give the user that runs Tidemark the right to read (and, for a destination, write) this folder.",
      cause: error,
    });
  }
  if (
    error instanceof Deno.errors.IsADirectory || error instanceof Deno.errors.NotADirectory ||
    error instanceof Deno.errors.AlreadyExists
  ) {
    return new TidemarkError("refused", `${key} is in the way of, or below, another object: ${error.message}`, {
      hint: "A folder cannot hold an object and other objects below its name.",
      cause: error,
    });
  }
  if (error instanceof Deno.errors.NotFound) return new TidemarkError("not_found", error.message, { cause: error });
  if (error instanceof Error && /ENOSPC|os error 28/.test(error.message)) {
    return new TidemarkError("refused", `The disk is full: ${error.message}`, { cause: error });
  }
  return toTidemarkError(error);
}
