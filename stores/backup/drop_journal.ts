/**
 * When collections were dropped: `<name>/dropped/<collection>-<hybrid timestamp>.json`, by the record of the drop in the source's
 * log. The catalog after it counts from when the writer saw it, by another clock. All that is needed stands in the key, so that
 * one listing reads it, and a record that is taken over twice is noted once.
 */
import { formatJson } from "../../pipeline/json.ts";
import type { HybridTs, ObjectStore } from "../../pipeline/model/mod.ts";

export interface DropNote {
  readonly key: string;
  readonly collectionId: bigint;
  readonly ts: HybridTs;
}

export const dropFolder = (name: string): string => `${name}/dropped/`;

export async function writeDrop(
  store: ObjectStore,
  name: string,
  collectionId: bigint,
  ts: HybridTs,
  signal?: AbortSignal,
): Promise<void> {
  const text = formatJson({ tidemark_drop: 1, collection: collectionId, ts });
  await store.put(`${dropFolder(name)}${collectionId}-${ts}.json`, new TextEncoder().encode(text), {}, signal);
}

/** Other objects in the folder are ignored. */
export async function* listDrops(store: ObjectStore, name: string, signal?: AbortSignal): AsyncIterable<DropNote> {
  for await (const { key } of store.list(dropFolder(name), signal)) {
    const match = /\/(\d+)-(\d+)\.json$/.exec(key);
    if (match !== null) yield { key, collectionId: BigInt(match[1]!), ts: BigInt(match[2]!) };
  }
}

/** Collection -> when it was dropped: the record of a drop may be sent again, later. */
export async function readDrops(
  store: ObjectStore,
  name: string,
  signal?: AbortSignal,
): Promise<Map<bigint, HybridTs>> {
  const drops = new Map<bigint, HybridTs>();
  for await (const { collectionId, ts } of listDrops(store, name, signal)) {
    const known = drops.get(collectionId);
    if (known === undefined || ts < known) drops.set(collectionId, ts);
  }
  return drops;
}
