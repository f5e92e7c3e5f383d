/**
 * When collections and partitions were dropped: `<name>/dropped/<its id>-<hybrid timestamp>.json`, by the record of the drop in the
 * source's log, which gives all of them ids of one sequence. The catalog after it counts from when the writer saw it, by another clock. All that is needed stands in the key, so that
 * one listing reads it, and a record that is taken over twice is noted once.
 */
import { formatJson } from "../../pipeline/json.ts";
import type { HybridTs, ObjectStore } from "../../pipeline/model/mod.ts";

export interface DropNote {
  readonly key: string;
  /** Of a collection or a partition. */
  readonly id: bigint;
  readonly ts: HybridTs;
}

export const dropFolder = (name: string): string => `${name}/dropped/`;

export async function writeDrop(
  store: ObjectStore,
  name: string,
  id: bigint,
  ts: HybridTs,
  signal?: AbortSignal,
): Promise<void> {
  const text = formatJson({ tidemark_drop: 1, id, ts });
  await store.put(`${dropFolder(name)}${id}-${ts}.json`, new TextEncoder().encode(text), {}, signal);
}

/** Other objects in the folder are ignored. */
export async function* listDrops(store: ObjectStore, name: string, signal?: AbortSignal): AsyncIterable<DropNote> {
  for await (const { key } of store.list(dropFolder(name), signal)) {
    const match = /\/(\d+)-(\d+)\.json$/.exec(key);
    if (match !== null) yield { key, id: BigInt(match[1]!), ts: BigInt(match[2]!) };
  }
}

/** Each channel has its own record of a drop, and it may be sent again, later. */
export interface DropTimes {
  readonly first: HybridTs;
  readonly last: HybridTs;
}

/** Id -> when it was dropped. */
export async function readDrops(
  store: ObjectStore,
  name: string,
  signal?: AbortSignal,
): Promise<Map<bigint, DropTimes>> {
  const drops = new Map<bigint, DropTimes>();
  for await (const { id, ts } of listDrops(store, name, signal)) {
    const { first, last } = drops.get(id) ?? { first: ts, last: ts };
    drops.set(id, { first: ts < first ? ts : first, last: ts > last ? ts : last });
  }
  return drops;
}
