/** Is the storage root where the config says? */
import { toTidemarkError } from "../../pipeline/errors.ts";
import type { CheckLine, ObjectStore } from "../../pipeline/model/mod.ts";

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

/** `root`: without slashes at the ends; empty for a store that is the root itself. */
export async function checkRoot(store: ObjectStore, root: string, signal: AbortSignal): Promise<CheckLine> {
  const what = `binlogs ${store.location}${root === "" ? "" : ` below ${root}`}`;
  try {
    const inRoot = await store.folders(root === "" ? "" : `${root}/`, signal);
    if (inRoot.some((name) => OWN_FOLDERS.has(name))) return { what, ok: "ok", detail: `Holds ${inRoot.join(", ")}` };
    if (root === "") {
      const found = inRoot.length === 0 ? "it is empty" : `it has ${inRoot.join(", ")}`;
      const detail = `No binlogs in this folder: ${found}. Set path to localStorage.path of the source's milvus.yaml`;
      return { what, ok: "fail", detail, code: "not_found" };
    }
    const top = await store.folders("", signal);
    if (top.length === 0) {
      const detail = "The bucket is empty, which is right only for a source that never flushed a row";
      return { what, ok: "warn", detail };
    }
    const roots = await rootsAmong(store, top, signal);
    const advice = roots.length > 0
      ? `Set root_path to ${roots.join(" or ")}`
      : "Set root_path to minio.rootPath of the source's milvus.yaml";
    const detail = `No binlogs below ${root}; the bucket has ${top.slice(0, 20).join(", ")}. ${advice}`;
    return { what, ok: "fail", detail, code: "not_found" };
  } catch (thrown) {
    const error = toTidemarkError(thrown);
    const detail = [error.message, error.hint].filter((part) => part !== undefined).join(". ");
    return { what, ok: "fail", detail, code: error.code };
  }
}

/** Folders that look like a root; the bucket itself as `""`. */
async function rootsAmong(store: ObjectStore, top: readonly string[], signal: AbortSignal): Promise<string[]> {
  if (top.includes("insert_log")) return ['""'];
  const roots: string[] = [];
  for (const name of top.slice(0, 20)) {
    if ((await store.folders(`${name}/`, signal)).includes("insert_log")) roots.push(name);
  }
  return roots;
}
