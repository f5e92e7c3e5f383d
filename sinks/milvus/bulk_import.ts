/**
 * Milvus' own bulk import of a backup's files (`backup: true`), as 2.3.5 does it: its rootcoord keeps a queue of tasks, one
 * at a time a data node; a task's segments become visible when it is completed, and queryable some seconds later.
 */
import { TidemarkError, toTidemarkError } from "../../pipeline/errors.ts";
import type { BulkImport, ImportState, ObjectStore, WantedCollection } from "../../pipeline/model/mod.ts";
import { ImportState as Code } from "../../pipeline/proto/gen/common_pb.ts";
import type { GetImportStateResponse } from "../../pipeline/proto/gen/milvus_pb.ts";
import { encodeDeltaFile, joinKey, keyWithin } from "../../stores/mod.ts";
import { METHOD, type MilvusClient } from "./client.ts";
import { targetText } from "./described.ts";
import type { Features } from "./features.ts";
import type { MilvusSinkConfig } from "./spec.ts";

export interface BulkImportDeps {
  readonly client: MilvusClient;
  readonly features: (signal: AbortSignal) => Promise<Features>;
  /** The target's whole bucket or folder. */
  readonly store: ObjectStore;
}

/** Below the target's root, beside its own folders. Its garbage collection looks into those alone. */
const SCRATCH = "tidemark_import";

/** Undefined where the configuration does not say where the target's storage is. */
export function createBulkImport(
  config: Pick<MilvusSinkConfig, "restore_by" | "import_from" | "storage" | "auto_id" | "shards">,
  { client, features, store }: BulkImportDeps,
): BulkImport | undefined {
  const { restore_by: mode, storage } = config;
  if (storage === undefined) return undefined;
  const root = storage.type === "file" ? "" : storage.root_path;
  // Of a folder the target wants absolute paths.
  const base = storage.type === "file" ? `${storage.path.replace(/\/+$/, "")}/` : "";

  async function answerOf(task: bigint, signal: AbortSignal): Promise<GetImportStateResponse | TidemarkError> {
    try {
      return await client.call(METHOD.getImportState, { task }, { what: `look at import ${task}`, db: "", signal });
    } catch (error) {
      if (error instanceof TidemarkError && (error.code === "refused" || error.code === "not_found")) return error;
      throw error;
    }
  }

  return {
    mode,
    worthBytes: BigInt(config.import_from),
    workers: (signal) => dataNodes(client, signal),
    store,
    scratch: `${joinKey(root, SCRATCH)}/`,
    path: (key) => base + key,
    within: (source, key) => keyWithin(source, key, store),
    obstacle: async (wanted, made, signal) => {
      if (config.auto_id === "regenerate" && hasAutoId(wanted)) {
        return "auto_id is regenerate, an import keeps the keys";
      }
      if (config.shards !== undefined && config.shards !== wanted.source.shards) {
        return `the target's collection has ${config.shards} shards, the files are those of ${wanted.source.shards}`;
      }
      const { version, importsBackups } = await features(signal);
      if (!importsBackups) {
        return `the target is ${version}; its bulk import is known to be exact for 2.3.5 and later 2.3`;
      }
      return made ? await fieldObstacle(client, wanted, signal) : undefined;
    },
    encodeDeletes: (marks, of, writtenAt) => encodeDeltaFile([marks], { ...of, writtenAt })!.bytes,
    start: async ({ target, partition, inserts, deletes, endMs }, signal) => {
      const answer = await client.call(METHOD.import, {
        dbName: target.db,
        collectionName: target.name,
        partitionName: partition,
        files: [inserts, deletes],
        options: [
          { key: "backup", value: "true" },
          ...(endMs === undefined ? [] : [{ key: "end_ts", value: String(endMs) }]),
        ],
      }, {
        what: `import ${inserts} into ${targetText(target)}`,
        db: target.db,
        signal,
        // Tried again it could be imported twice; whoever asks looks for it first.
        patient: false,
      });
      const task = answer.tasks[0];
      if (task !== undefined) return task;
      throw new TidemarkError("unsupported", `The target gave no number to the import into ${targetText(target)}`);
    },
    find: async ({ target, inserts, deletes }, signal) => {
      const listed = await client.call(
        METHOD.listImportTasks,
        { collectionName: target.name, dbName: target.db, limit: 0n },
        { what: `list the imports into ${targetText(target)}`, db: target.db, signal },
      );
      return listed.tasks.find((task) => infoOf(task, "files") === `${inserts},${deletes}`)?.id;
    },
    state: async (task, signal) => {
      const answer = await answerOf(task, signal);
      if (!(answer instanceof TidemarkError)) return stateOf(answer);
      return { phase: "failed", percent: 0, rows: 0n, reason: answer.message };
    },
  };
}

function hasAutoId({ source }: WantedCollection): boolean {
  return source.schema.autoID || source.schema.fields.some((field) => field.isPrimaryKey && field.autoID);
}

/** Files are matched by the number of their field, so the target's must be the source's. */
async function fieldObstacle(
  client: MilvusClient,
  { source, target }: WantedCollection,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { schema } = await client.call(METHOD.describeCollection, { dbName: target.db, collectionName: target.name }, {
    what: `describe the collection ${targetText(target)}`,
    db: target.db,
    signal,
  });
  const ids = new Map(schema?.fields.map((field) => [field.name, field.fieldID]));
  const user = source.schema.fields.filter((field) => field.fieldID >= 100n);
  for (const [i, field] of user.entries()) {
    // The dynamic field, which no description shows, has the number behind the last.
    const own = field.isDynamic ? 100n + BigInt(i) : ids.get(field.name);
    if (own === undefined || own !== field.fieldID) {
      return `the field ${field.name} has the number ${own ?? "none"} on the target and ${field.fieldID} in the files`;
    }
  }
  return undefined;
}

/** 1 where the target does not say it: a standalone has one, and login may lack the right to ask. */
async function dataNodes(client: MilvusClient, signal: AbortSignal): Promise<number> {
  try {
    const { response } = await client.call(METHOD.getMetrics, { request: '{"metric_type":"system_info"}' }, {
      what: "ask for the target's nodes",
      db: "",
      signal,
    });
    return countDataNodes(response);
  } catch (thrown) {
    const error = toTidemarkError(thrown);
    if (error.code === "aborted" || error.retriable) throw error;
    return 1;
  }
}

/** Of an answer about `system_info`. */
export function countDataNodes(answer: string): number {
  let nodes: unknown;
  try {
    nodes = (JSON.parse(answer) as { nodes_info?: unknown } | null)?.nodes_info;
  } catch {
    return 1;
  }
  if (!Array.isArray(nodes)) return 1;
  const found = nodes.filter((node: { infos?: { type?: unknown; has_error?: unknown } } | null) =>
    node?.infos?.type === "datanode" && node.infos.has_error !== true
  );
  return Math.max(1, found.length);
}

function infoOf(task: GetImportStateResponse, key: string): string {
  return task.infos.find((info) => info.key === key)?.value ?? "";
}

function stateOf(task: GetImportStateResponse): ImportState {
  const percent = Math.min(100, Math.max(0, parseInt(infoOf(task, "progress_percent"), 10) || 0));
  const common = { percent, rows: task.rowCount, reason: infoOf(task, "failed_reason") };
  switch (task.state) {
    case Code.ImportFailed:
    case Code.ImportFailedAndCleaned:
      return { ...common, phase: "failed", reason: common.reason || "no reason given" };
    case Code.ImportCompleted:
      return { ...common, phase: "completed" };
    case Code.ImportPending:
      return { ...common, phase: "pending" };
    default:
      return { ...common, phase: "running" };
  }
}
