/** Whether the files that the metadata names are where the configuration says: a root may be another cluster's. */
import type { BinlogSource, CheckLine, ObjectStore, Snapshot } from "../pipeline/model/mod.ts";

/** A file up to this size is copied to try whether it can be. */
const TRIED_BYTES = 8n << 20n;

/** Files that are asked for, of different segments. */
const ASKED = 8;

/** One line; none where the metadata names no file yet. Throws what the store throws. */
export async function checkFiles(
  snapshot: Snapshot,
  binlogs: Pick<BinlogSource, "object">,
  signal: AbortSignal,
): Promise<CheckLine[]> {
  const files = snapshot.segments.filter((segment) => segment.class === "rows")
    .flatMap(({ binlogs }) => binlogs[0]?.files[0] ?? []).slice(-ASKED);
  if (files.length === 0) return [];
  const found = await Promise.all(files.map(async (file) => {
    const { store, key } = binlogs.object(file);
    return await store.head(key, signal) !== undefined;
  }));
  const there = found.filter((is) => is).length;
  const what = "binlogs of the metadata";
  if (there > 0) return [{ what, ok: "ok", detail: `${there} of ${files.length} files that it names are there` }];
  const { store, key } = binlogs.object(files.at(-1)!);
  return [{
    what,
    ok: "fail",
    code: "not_found",
    detail: `None of ${files.length} files that the metadata names is in ${store.location}, for example ${key}: ` +
      "sources.binlogs is the storage of another Milvus than sources.meta, or has another root_path",
  }];
}

/** A small file that the metadata vouches for and that is there; undefined where there is none. */
export async function smallFile(
  snapshot: Snapshot,
  binlogs: Pick<BinlogSource, "object">,
  signal: AbortSignal,
): Promise<{ readonly store: ObjectStore; readonly key: string } | undefined> {
  const files = snapshot.segments.filter((segment) => segment.class === "rows")
    .flatMap(({ binlogs }) => binlogs[0]?.files[0] ?? [])
    .sort((a, b) => Number(a.size - b.size)).slice(0, ASKED);
  for (const file of files) {
    const object = binlogs.object(file);
    const info = await object.store.head(object.key, signal);
    if (info !== undefined && info.size > 1n && info.size <= TRIED_BYTES) return object;
  }
  return undefined;
}
