/** Opens the log source on Woodpecker. */
import { assertNever, TidemarkError } from "../../../pipeline/errors.ts";
import type { LogSource } from "../../../pipeline/model/mod.ts";
import type { EtcdConnectionConfig } from "../../../stores/etcd/spec.ts";
import { connectEtcd, etcdOptions, joinKey, openObjectStore, type RetryOptions } from "../../../stores/mod.ts";
import type { BinlogConfig } from "../../binlog/spec.ts";
import { WoodpeckerLogs } from "./logs.ts";
import { type NodeChannel, WoodpeckerNodes } from "./nodes.ts";
import { createWoodpeckerLog, type WoodpeckerLogOptions } from "./source.ts";
import type { WoodpeckerLogConfig } from "./spec.ts";

export interface WoodpeckerSurroundings extends Pick<WoodpeckerLogOptions, "onState" | "onFetched"> {
  /** Of the source's metadata: Woodpecker's keys are in the same etcd. */
  readonly etcd: EtcdConnectionConfig & { readonly root_path: string };
  /** Of the source's binlogs: the log lies beside them where the configuration does not say another place. */
  readonly binlogs?: BinlogConfig | undefined;
  /** Connects to one of Woodpecker's own servers, `host:port`. */
  readonly openNode?: (address: string) => Promise<NodeChannel>;
  readonly retry?: RetryOptions;
  readonly onRetry?: (error: TidemarkError) => void;
}

/** Throws `config` where a file that is named cannot be read, or no store is. */
export async function openWoodpeckerLog(
  config: WoodpeckerLogConfig,
  { etcd, binlogs, openNode, retry, onRetry, ...options }: WoodpeckerSurroundings,
): Promise<LogSource> {
  const place = placeOf(config, binlogs);
  const store = await openObjectStore(place.storage, retry === undefined ? {} : { retry });
  const client = connectEtcd({
    ...await etcdOptions(etcd),
    persistent: true,
    onRetry: (error) => onRetry?.(error),
    onState: (error) => options.onState?.("etcd", error?.message),
  });
  const logs = new WoodpeckerLogs(client, WoodpeckerLogs.candidates(etcd.root_path, config.meta_prefix));
  const bucket = bucketOf(place.storage);
  const nodes = bucket === undefined || openNode === undefined
    ? undefined
    : new WoodpeckerNodes({ open: openNode, bucket });
  const log = createWoodpeckerLog({
    ...options,
    store,
    root: place.root,
    isFolder: place.storage.type === "file",
    logs,
    nodes,
    pollMs: config.poll_ms,
    idlePollMs: config.idle_poll_ms,
  });
  return {
    queue: "woodpecker",
    topics: (signal) => log.topics(signal),
    bounds: (topic, signal) => log.bounds(topic, signal),
    tail: (...request) => log.tail(...request),
    retention: () =>
      Promise.resolve({
        ms: undefined,
        why: "Not known: streaming.walTruncate.retentionInterval of the source, which only its own configuration says",
      }),
    measure: (...request) => log.measure!(...request),
    check: (signal) => log.check(signal),
    async close() {
      await logs.close();
      await Promise.all([client.close(), store.close(), nodes?.close()]);
    },
  };
}

type Storage = NonNullable<WoodpeckerLogConfig["storage"]>;

/** As Milvus calls it: in Azure a container. */
function bucketOf(storage: Storage): string | undefined {
  switch (storage.type) {
    case "s3":
    case "gcs":
      return storage.bucket;
    case "azure":
      return storage.container;
    case "file":
      return undefined;
    default:
      return assertNever(storage);
  }
}

/** Where the log lies: as configured, else beside the binlogs. Throws `config`. */
export function placeOf(
  config: Pick<WoodpeckerLogConfig, "storage" | "root_path">,
  binlogs: BinlogConfig | undefined,
): { readonly storage: Storage; readonly root: string } {
  if (config.storage !== undefined) return { storage: config.storage, root: config.root_path ?? "files/wp" };
  if (binlogs === undefined) {
    throw new TidemarkError("config", "Nothing says where the log of Woodpecker lies", {
      hint: "Give sources.log.storage, or sources.binlogs.",
    });
  }
  const { gc: _gc, ...rest } = binlogs;
  if (rest.type === "file") {
    return { storage: { ...rest, prefix: "" }, root: config.root_path ?? "wp/files/wp" };
  }
  const { root_path, ...s3 } = rest as Extract<typeof rest, { root_path: string }>;
  return { storage: { ...s3, prefix: "" }, root: config.root_path ?? joinKey(root_path, "wp") };
}
