/** When collections and partitions were dropped, by the records of their drops. */
import type { HybridTs } from "../../model/mod.ts";
import type { DescribeRecord } from "../dependencies.ts";

/**
 * Adds what a record says of a dropped collection, or of dropped partitions, by id. The record of a drop may be sent again, later;
 * each channel drops its part of a partition at a time of its own, of which the last one counts.
 */
export function addDrop(
  drops: Map<bigint, HybridTs>,
  { type, collectionId, partitionIds = [], ts }: ReturnType<DescribeRecord>,
): void {
  if (ts === 0n) return;
  if (type === "drop_collection" && collectionId !== undefined) {
    const known = drops.get(collectionId);
    if (known === undefined || ts < known) drops.set(collectionId, ts);
  }
  if (type !== "drop_partition") return;
  for (const id of partitionIds) {
    const known = drops.get(id);
    if (known === undefined || ts > known) drops.set(id, ts);
  }
}
