/** Is the storage root where the config says? */
import { toTidemarkError } from "../../pipeline/errors.ts";
import type { CheckLine, ObjectStore } from "../../pipeline/model/mod.ts";
import { enumerate } from "../../pipeline/units/mod.ts";

/** What Milvus keeps directly below its root. */
const OWN_FOLDERS = new Set([
  "insert_log",
  "delta_log",
  "stats_log",
  "index_files",
  "index_v1",
  "bm25_stats",
  "part_stats",
  "wp",
]);

/** Folders below each other that are looked into for a root, and requests for that at most. */
const MAX_DEPTH = 3;
const MAX_PROBES = 100;

/** `root`: without slashes at the ends; empty for a store that is the root itself. */
export async function checkRoot(store: ObjectStore, root: string, signal: AbortSignal): Promise<CheckLine> {
  const what = `binlogs ${store.location}${root === "" ? "" : ` below ${root}`}`;
  // A folder is opened at the root itself.
  const bucket = root !== "" || /^(s3|azure|gs):/.test(store.location);
  const place = bucket ? "bucket" : "folder";
  try {
    const inRoot = await store.folders(root === "" ? "" : `${root}/`, signal);
    if (inRoot.some((name) => OWN_FOLDERS.has(name))) return { what, ok: "ok", detail: `Holds ${enumerate(inRoot)}` };
    const top = root === "" ? inRoot : await store.folders("", signal);
    if (top.length === 0) {
      const detail = `The ${place} is empty, which is right only for a source that never flushed a row`;
      return bucket ? { what, ok: "warn", detail } : { what, ok: "fail", detail, code: "not_found", absent: true };
    }
    const setting = bucket ? "root_path" : "path";
    const own = bucket ? "minio.rootPath" : "localStorage.path";
    const roots = await findRoots(store, signal);
    const shown = roots.map((found) => bucket ? (found === "" ? '""' : found) : `this folder's ${found}`);
    const advice = roots.length > 0
      ? `Set ${setting} to ${shown.join(" or ")}`
      : `Set ${setting} to ${own} of the source's milvus.yaml`;
    const where = root === "" ? `at the top of this ${place}` : `below ${root}`;
    const detail = `No binlogs ${where}; the ${place} has ${enumerate(top)}. ${advice}`;
    return { what, ok: "fail", detail, code: "not_found", absent: true };
  } catch (thrown) {
    const error = toTidemarkError(thrown);
    const detail = [error.message, error.hint].filter((part) => part !== undefined).join(". ");
    return { what, ok: "fail", detail, code: error.code };
  }
}

/** Folders that look like a root, the shallow ones first; the top itself as `""`. */
async function findRoots(store: ObjectStore, signal: AbortSignal): Promise<string[]> {
  const roots: string[] = [];
  let level = [""];
  let probes = 0;
  for (let depth = 0; depth <= MAX_DEPTH && level.length > 0; depth++) {
    const next: string[] = [];
    for (const folder of level) {
      if (++probes > MAX_PROBES) return roots;
      const names = await store.folders(folder === "" ? "" : `${folder}/`, signal);
      if (names.includes("insert_log")) roots.push(folder);
      // Nothing of a Milvus lies in its own folders.
      else {next.push(
          ...names.filter((name) => !OWN_FOLDERS.has(name)).map((name) => folder === "" ? name : `${folder}/${name}`),
        );}
    }
    level = next;
  }
  return roots;
}
