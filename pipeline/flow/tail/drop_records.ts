/** When collections were dropped, by the records of their drops. */
import type { HybridTs } from "../../model/mod.ts";
import type { DescribeRecord } from "../dependencies.ts";

/** Adds what a record says of a dropped collection. The record of a drop may be sent again, later. */
export function addDrop(
  drops: Map<bigint, HybridTs>,
  { type, collectionId, ts }: ReturnType<DescribeRecord>,
): void {
  if (type !== "drop_collection" || collectionId === undefined || ts === 0n) return;
  const known = drops.get(collectionId);
  if (known === undefined || ts < known) drops.set(collectionId, ts);
}
