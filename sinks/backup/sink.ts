/** The sink `type: backup`. */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { ArchiveSink, BackupSession, ObjectStore, Queue } from "../../pipeline/model/mod.ts";
import {
  backupFolder,
  type BackupManifest,
  checkWritable,
  decodeManifest,
  ledgerFolder,
  logFolder,
  manifestKey,
  metaKey,
  readText,
  removalKey,
  type TokenBucket,
  validateBackupName,
} from "../../stores/mod.ts";
import { backupName } from "./name.ts";
import { nextRun } from "./schedule.ts";
import { type BackupPhase, openSession } from "./session.ts";
import type { BackupSinkConfig } from "./spec.ts";

export interface BackupSinkDependencies {
  /** Name of the sink in the configuration. */
  readonly name: string;
  /** The folder that holds all backups. The sink closes it. */
  readonly store: ObjectStore;
  /** Name of the pipeline, kept in the backup. */
  readonly pipeline: string;
  /** `tidemark <version>`, kept in the files. */
  readonly program: string;
  /** 1: msgstream (Milvus 2.2 to 2.5), 2: streaming WAL. */
  readonly generation?: 1 | 2;
  /** Of the source's log. Default: Kafka. */
  readonly queue?: Queue;
  /** Bytes per second for copying, shared with the source whose files are copied: it counts what it reads. */
  readonly bandwidth?: TokenBucket;
  readonly now?: () => number;
  readonly uuid?: () => string;
  /** For tests: a phase is passed at which the process may be killed. */
  readonly passed?: (phase: BackupPhase) => void;
}

export function createBackupSink(
  config: Omit<BackupSinkConfig, "type" | "storage">,
  dependencies: BackupSinkDependencies,
): ArchiveSink {
  const { store, pipeline, program, generation = 1, queue = "kafka", bandwidth } = dependencies;
  const now = dependencies.now ?? Date.now;
  const passed = dependencies.passed ?? (() => {});
  const uuid = dependencies.uuid ?? (() => crypto.randomUUID());
  return {
    kind: "archive",
    name: dependencies.name,
    logArchive: config.log_archive,
    check: (signal) => checkWritable(`backup storage ${store.location}`, store, "", signal),
    async open({ resume, previous, nowMs }, signal) {
      const name = resume ?? await freeName(store, config.name, nowMs, signal);
      validateBackupName(name);
      const base = await stateOf(store, name, signal);
      if (base === "partial" && await store.head(removalKey(name), signal) !== undefined) {
        throw new TidemarkError("target_not_empty", `Backup ${name} in ${store.location} is half-removed`, {
          hint:
            "Somebody pruned what this pipeline was writing. Finish it with `tidemark backup prune` and begin anew, with a state of its own.",
        });
      }
      const own = base === "complete" ? await manifestOf(store, name, signal) : undefined;
      const session = await openSession({
        store,
        name,
        config,
        pipeline,
        program,
        generation,
        queue,
        base,
        startedMs: nowMs,
        baseTakenAtMs: own?.source.takenAtMs ?? nowMs,
        previous: previous === undefined ? undefined : await manifestOf(store, previous, signal),
        known: own === undefined ? undefined : { cuts: own.cuts, revision: own.source.revision },
        archiveBytes: await bytesBelow(store, logFolder(name), signal),
        bandwidth,
        now,
        uuid,
        passed,
      }, signal);
      if (base === "complete") await removeLedger(store, name, signal);
      return session;
    },
    due: (session, nowMs) => due(config, session, nowMs),
    close: () => store.close(),
  };
}

function due(
  config: Omit<BackupSinkConfig, "type" | "storage">,
  session: BackupSession,
  nowMs: number,
): string | undefined {
  const { schedule, time_zone, rebase_after } = config;
  if (schedule !== undefined) {
    const next = nextRun(schedule, time_zone, session.baseTakenAtMs);
    if (next !== undefined && next <= nowMs) return `schedule ${schedule}`;
  }
  if (rebase_after.age !== undefined && nowMs - session.baseTakenAtMs >= rebase_after.age) {
    return "the base is older than rebase_after.age";
  }
  if (rebase_after.size !== undefined && session.archiveBytes >= BigInt(rebase_after.size)) {
    return "the log archive is larger than rebase_after.size";
  }
  return undefined;
}

async function stateOf(store: ObjectStore, name: string, signal: AbortSignal): Promise<BackupSession["base"]> {
  if (await store.head(metaKey(name, "backup_meta"), signal) !== undefined) return "complete";
  for await (const _ of store.list(backupFolder(name), signal)) return "partial";
  return "none";
}

/** Undefined where there is none: a half-written backup, or one of milvus-backup. */
async function manifestOf(store: ObjectStore, name: string, signal: AbortSignal): Promise<BackupManifest | undefined> {
  const key = manifestKey(name);
  if (await store.head(key, signal) === undefined) return undefined;
  return decodeManifest(await readText(store, key, signal), key);
}

async function bytesBelow(store: ObjectStore, prefix: string, signal: AbortSignal): Promise<bigint> {
  let bytes = 0n;
  for await (const { size } of store.list(prefix, signal)) bytes += size;
  return bytes;
}

async function removeLedger(store: ObjectStore, name: string, signal: AbortSignal): Promise<void> {
  const keys: string[] = [];
  for await (const { key } of store.list(ledgerFolder(name), signal)) keys.push(key);
  await store.delete(keys, signal);
}

/** Two bases within a second: the later one is called after the next. Throws `target_not_empty` where the name stays the same. */
async function freeName(store: ObjectStore, pattern: string, nowMs: number, signal: AbortSignal): Promise<string> {
  const name = backupName(pattern, nowMs);
  validateBackupName(name);
  const base = await stateOf(store, name, signal);
  if (base === "none") return name;
  const next = nowMs + 1000;
  if (backupName(pattern, next) === name) throw taken(store, name, base);
  return await freeName(store, pattern, next, signal);
}

function taken(store: ObjectStore, name: string, base: string): TidemarkError {
  return new TidemarkError(
    "target_not_empty",
    `There is ${base === "complete" ? "a backup" : "a half-written backup"} ${name} in ${store.location} already`,
    {
      hint: "Choose another name, put {date} and {time} into it, or remove the old one with `tidemark backup prune`.",
    },
  );
}
