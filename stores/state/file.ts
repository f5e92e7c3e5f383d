/**
 * The state as a file: `<path>/<pipeline>.state.json`, replaced by rename. The lease is an exclusive lock of the operating
 * system on `<pipeline>.lock`: it ends with the process that holds it, however that ends.
 */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { LeaseHolder, StateStore } from "../../pipeline/model/mod.ts";
import { formatHolder, lockedError, lostError, parseHolder, thisProcess } from "./locked.ts";

export interface FileStateOptions {
  /** The folder; created if it is not there. */
  readonly path: string;
  readonly pipeline: string;
  readonly now?: () => Date;
  /** Default: this process. */
  readonly holder?: LeaseHolder;
}

interface Held {
  readonly file: Deno.FsFile;
  readonly lost: AbortController;
}

/** Opens the state of `pipeline` in a folder. Nothing is touched before `lock` or `read`. */
export function createFileStateStore(options: FileStateOptions): StateStore {
  const folder = options.path.replace(/\/+$/, "") || "/";
  const documentPath = `${folder}/${options.pipeline}.state.json`;
  const lockPath = `${folder}/${options.pipeline}.lock`;
  const location = documentPath;
  let held: Held | undefined;

  async function lock(signal: AbortSignal): Promise<{ readonly lost: AbortSignal } & AsyncDisposable> {
    signal.throwIfAborted();
    if (held !== undefined) throw lockedError(location, await readHolder(lockPath), HINT);
    const file = await openLock(folder, lockPath);
    try {
      if (!await file.tryLock(true)) throw lockedError(location, await readHolder(lockPath), HINT);
      // Between open and lock the previous holder's folder may have been replaced: a lock on a file nobody sees is none.
      if (!await isSameFile(file, lockPath)) throw lostError(location, "the lock file was removed while it was taken");
      await file.truncate(0);
      await file.seek(0, Deno.SeekMode.Start);
      await writeAll(
        file,
        new TextEncoder().encode(formatHolder(options.holder ?? thisProcess(options.now?.() ?? new Date()))),
      );
      await file.sync();
      await removeLeftovers(folder, `${options.pipeline}.state.json.tmp-`);
    } catch (error) {
      file.close();
      throw error;
    }
    const mine: Held = { file, lost: new AbortController() };
    held = mine;
    return {
      lost: mine.lost.signal,
      [Symbol.asyncDispose]: async () => {
        if (held !== mine) return;
        held = undefined;
        try {
          // An empty lock file says that nobody holds it; it stays, because removing it would race with the next holder.
          await file.truncate(0);
        } finally {
          file.close();
        }
      },
    };
  }

  async function write(text: string, signal?: AbortSignal): Promise<void> {
    await requireLease(signal);
    await replaceFile(folder, documentPath, text);
  }

  async function remove(signal?: AbortSignal): Promise<void> {
    await requireLease(signal);
    try {
      await Deno.remove(documentPath);
      await syncFolder(folder);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw unusable("remove", documentPath, error);
    }
  }

  async function requireLease(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    const current = held;
    if (current === undefined) throw lostError(location, "it was never taken, or was released");
    if (current.lost.signal.aborted || !await isSameFile(current.file, lockPath)) {
      const error = lostError(location, "its lock file was removed or replaced");
      current.lost.abort(error);
      throw error;
    }
  }

  return {
    location,
    lock,
    read: async (signal) => {
      signal?.throwIfAborted();
      try {
        return await Deno.readTextFile(documentPath);
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return undefined;
        throw unusable("read", documentPath, error);
      }
    },
    write,
    remove,
    close: async () => {
      const current = held;
      held = undefined;
      current?.file.close();
      await Promise.resolve();
    },
  };
}

const HINT = "Wait for that run to end, or stop it. Two pipelines need two names, or two places for their state.";

async function openLock(folder: string, lockPath: string): Promise<Deno.FsFile> {
  try {
    await Deno.mkdir(folder, { recursive: true });
    return await Deno.open(lockPath, { create: true, read: true, write: true });
  } catch (error) {
    throw unusable("lock", lockPath, error);
  }
}

async function readHolder(lockPath: string): Promise<LeaseHolder | undefined> {
  try {
    return parseHolder(await Deno.readTextFile(lockPath));
  } catch {
    return undefined;
  }
}

async function isSameFile(file: Deno.FsFile, path: string): Promise<boolean> {
  try {
    const [open, named] = await Promise.all([file.stat(), Deno.stat(path)]);
    return open.ino === named.ino && open.dev === named.dev;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw unusable("look at", path, error);
  }
}

/** Temporary file, fsync, rename, fsync of the folder: after a power cut there is the old document or the new one. */
async function replaceFile(folder: string, path: string, text: string): Promise<void> {
  const temporary = `${path}.tmp-${crypto.randomUUID()}`;
  try {
    {
      using file = await Deno.open(temporary, { createNew: true, write: true, mode: 0o600 });
      await writeAll(file, new TextEncoder().encode(text));
      await file.sync();
    }
    await Deno.rename(temporary, path);
    await syncFolder(folder);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw unusable("write", path, error);
  }
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  let written = 0;
  while (written < bytes.length) written += await file.write(bytes.subarray(written));
}

async function syncFolder(folder: string): Promise<void> {
  // Windows cannot open a folder; its rename is durable without.
  if (Deno.build.os === "windows") return;
  using handle = await Deno.open(folder);
  await handle.sync();
}

async function removeLeftovers(folder: string, prefix: string): Promise<void> {
  for await (const entry of Deno.readDir(folder)) {
    if (entry.isFile && entry.name.startsWith(prefix)) await Deno.remove(`${folder}/${entry.name}`).catch(() => {});
  }
}

function unusable(what: string, path: string, cause: unknown): TidemarkError {
  if (cause instanceof TidemarkError) return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new TidemarkError("refused", `Cannot ${what} the state file ${path}: ${why}`, {
    hint: "Set state.path to a folder that this process may write, with room on its disk.",
    cause,
  });
}
