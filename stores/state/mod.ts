/** State stores: where a run remembers how far it is. */
import type { StateStore } from "../../pipeline/model/mod.ts";
import { connectEtcd, etcdOptions } from "../etcd.ts";
import { createEtcdStateStore } from "./etcd.ts";
import { createFileStateStore } from "./file.ts";
import type { StateConfig } from "./spec.ts";

export * from "./etcd.ts";
export * from "./file.ts";
export * from "./memory.ts";
export * from "./spec.ts";

/** The store that a checked config names. Connects when first used. Throws `config` for a secret's file that cannot be read. */
export async function openStateStore(config: StateConfig, pipeline: string): Promise<StateStore> {
  if (config.type === "file") return createFileStateStore({ path: config.path, pipeline });
  const client = connectEtcd(await etcdOptions(config));
  return createEtcdStateStore({ client, prefix: config.prefix, pipeline, leaseSecs: Math.ceil(config.lease / 1000) });
}
