/** What backups a storage holds. */
import { toTidemarkError } from "../../pipeline/errors.ts";
import type { HybridTs, ObjectInfo, ObjectStore } from "../../pipeline/model/mod.ts";
import { backupFolder, manifestKey, metaKey, readJsonObject, readText, removalKey } from "../../stores/mod.ts";

export interface BackupSummary {
  readonly name: string;
  /**
   * `half-written`: no `meta/backup_meta.json`: still running, or left by a run that died. `half-removed`: the same, and a
   * prune that was cut short is why. `unreadable`: see `problem`.
   */
  readonly state: "complete" | "half-written" | "half-removed" | "unreadable";
  readonly madeBy: "tidemark" | "milvus-backup" | "unknown";
  /** Unix ms: of the snapshot where Tidemark made it, otherwise of the metadata file; of the newest object if there is none. */
  readonly takenMs: number;
  /** Bytes of the base as its metadata says. */
  readonly bytes: bigint;
  readonly milvusVersion: string;
  /** -1 where it would take more than one small file to know. */
  readonly collections: number;
  readonly rows: bigint;
  readonly pipeline: string;
  /** The base before it in the same run. */
  readonly previous: string;
  /** The first moment that can be restored; 0 if unknown. */
  readonly exactFrom: HybridTs;
  readonly hasLog: boolean;
  /** Collections that are missing from it. */
  readonly failed: number;
  readonly problem: string;
}

/**
 * All folders that are backups or were to become one, oldest first. Three requests a backup, whatever its size.
 */
export async function listBackups(store: ObjectStore, signal?: AbortSignal): Promise<BackupSummary[]> {
  const found: BackupSummary[] = [];
  for (const name of await store.folders("", signal)) {
    const summary = await summarize(store, name, signal);
    if (summary !== undefined) found.push(summary);
  }
  return found.sort((a, b) => a.takenMs - b.takenMs || (a.name < b.name ? -1 : 1));
}

const BLANK = {
  madeBy: "unknown",
  takenMs: 0,
  bytes: 0n,
  milvusVersion: "",
  collections: -1,
  rows: -1n,
  pipeline: "",
  previous: "",
  exactFrom: 0n,
  hasLog: false,
  failed: 0,
  problem: "",
} as const;

async function summarize(
  store: ObjectStore,
  name: string,
  signal: AbortSignal | undefined,
): Promise<BackupSummary | undefined> {
  const info = await store.head(metaKey(name, "backup_meta"), signal);
  if (info === undefined) return await half(store, name, signal);
  try {
    return await complete(store, name, info, signal);
  } catch (thrown) {
    signal?.throwIfAborted();
    return { ...BLANK, name, state: "unreadable", takenMs: info.modifiedMs, problem: toTidemarkError(thrown).message };
  }
}

async function complete(
  store: ObjectStore,
  name: string,
  { key, modifiedMs }: ObjectInfo,
  signal: AbortSignal | undefined,
): Promise<BackupSummary> {
  const json = readJsonObject(await readText(store, key, signal), key);
  const own = json.object("tidemark");
  if (own !== undefined && await store.head(manifestKey(name), signal) === undefined) {
    const problem = "its tidemark.json is missing, without which it cannot be restored to a moment";
    return { ...BLANK, name, state: "unreadable", madeBy: "tidemark", takenMs: Number(own.int("taken_ms")), problem };
  }
  return {
    ...BLANK,
    name,
    state: "complete",
    madeBy: own === undefined ? "milvus-backup" : "tidemark",
    takenMs: own === undefined ? modifiedMs : Number(own.int("taken_ms")),
    bytes: json.int("size"),
    milvusVersion: json.text("milvus_version"),
    ...(own === undefined ? {} : {
      collections: own.small("collections"),
      rows: own.int("rows"),
      pipeline: own.text("pipeline"),
      previous: own.text("previous"),
      exactFrom: own.int("exact_from"),
      hasLog: own.flag("log_archive"),
      failed: own.small("failed"),
    }),
  };
}

/** Undefined for a folder that is no backup at all. */
async function half(
  store: ObjectStore,
  name: string,
  signal: AbortSignal | undefined,
): Promise<BackupSummary | undefined> {
  const parts = await store.folders(backupFolder(name), signal);
  const removing = await store.head(removalKey(name), signal) !== undefined;
  if (!removing && !["binlogs", "meta", "log", "_ledger"].some((part) => parts.includes(part))) return undefined;
  let takenMs = 0;
  let bytes = 0n;
  for await (const { modifiedMs, size } of store.list(backupFolder(name), signal)) {
    takenMs = Math.max(takenMs, modifiedMs);
    bytes += size;
  }
  if (removing) {
    return {
      ...BLANK,
      name,
      state: "half-removed",
      takenMs,
      bytes,
      hasLog: parts.includes("log"),
      problem: "its removal was cut short, or goes on: the next `backup prune` finishes it",
    };
  }
  return {
    ...BLANK,
    name,
    state: "half-written",
    madeBy: parts.includes("_ledger") || parts.includes("log") ? "tidemark" : "unknown",
    takenMs,
    bytes,
    hasLog: parts.includes("log"),
    problem: "meta/backup_meta.json is missing: its run is still going on, or died",
  };
}
