/** Whether the files that the metadata names are where the configuration says: a root may be another cluster's. */
import type { BinlogSource, CheckLine, Snapshot } from "../pipeline/model/mod.ts";

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
