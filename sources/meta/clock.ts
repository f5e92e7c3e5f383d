/** The source's clock, by what its timestamp allocators save. */
import type { EtcdClient } from "../../stores/mod.ts";
import { ClusterKeys } from "./cluster.ts";
import { CLOCK_KEYS, type MetaRoots } from "./keys.ts";

/** Milvus saves its clock up to 3 s ahead and renews it within that time. */
export const CLOCK_AHEAD_MS = 3000;

/** Unix ms, never later than the source's clock; undefined where none is saved. */
export async function sourceClock(
  etcd: EtcdClient,
  { kvRoot }: MetaRoots,
  signal: AbortSignal,
): Promise<number | undefined> {
  const cluster = new ClusterKeys();
  for (const key of CLOCK_KEYS) {
    const kv = await etcd.get(`${kvRoot}/${key}`, signal);
    if (kv !== undefined) cluster.applyClock(key, kv.value);
  }
  return cluster.clockMs === undefined ? undefined : cluster.clockMs - CLOCK_AHEAD_MS;
}
