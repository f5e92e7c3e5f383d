/** What an etcd says of the Milvus whose metadata it holds, for whoever has no configuration yet. */
import type { Segment } from "../../pipeline/model/mod.ts";
import { positionsOf } from "../../pipeline/positions/mod.ts";
import { connectEtcd, etcdOptions } from "../../stores/mod.ts";
import { openEtcdMeta } from "./etcd.ts";
import { generationOf } from "./generation.ts";
import { findQueueInUse, type QueueInUse } from "./queue_in_use.ts";
import { findMetaRoots } from "./roots.ts";
import type { EtcdMetaConfig } from "./spec.ts";

export interface FoundCluster {
  /** etcd.rootPath and etcd.metaSubPath of its milvus.yaml. */
  readonly rootPath: string;
  readonly metaSubPath: string;
  /** Of a registered session; empty where none is, as of a stopped cluster. */
  readonly version: string;
  /** Release line, major * 10 + minor. */
  readonly generation: number;
  readonly queue: QueueInUse | undefined;
  readonly collections: readonly string[];
  /** One with files, to look for them. */
  readonly segment: Segment | undefined;
}

/** Every cluster that the etcd has. Throws `unreachable`, `authentication`, and what a snapshot throws. */
export async function discoverClusters(config: EtcdMetaConfig, signal: AbortSignal): Promise<FoundCluster[]> {
  const etcd = connectEtcd({ ...await etcdOptions(config), pageSize: config.page_size });
  try {
    const found: FoundCluster[] = [];
    for (const root of await findMetaRoots(etcd, signal)) {
      const at = root.lastIndexOf("/");
      const [rootPath, metaSubPath] = [root.slice(0, at), root.slice(at + 1)];
      const queue = await findQueueInUse(etcd, rootPath, root, signal);
      const own = { ...config, root_path: rootPath, meta_sub_path: metaSubPath };
      await using meta = await openEtcdMeta(own, { positions: positionsOf("files") });
      const reading = await meta.snapshot(signal);
      found.push({
        rootPath,
        metaSubPath,
        version: reading.serverVersion,
        generation: generationOf(reading),
        queue,
        collections: reading.catalog.collections.map(({ dbName, name }) => `${dbName}.${name}`),
        segment: reading.segments.find((item) =>
          item.class === "rows" && item.binlogs.some((one) => one.files.length > 0)
        ),
      });
    }
    return found;
  } finally {
    await etcd.close();
  }
}
