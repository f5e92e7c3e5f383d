/** What of a collection says how operations on it are folded. */
import { TidemarkError } from "../../errors.ts";
import { type Collection, partitionKey, primaryKey, qualifiedName } from "../../model/mod.ts";
import type { FoldTarget } from "../../transforms/mod.ts";

/** Throws `damaged` for a collection without a key. */
export function foldTarget(collection: Collection): FoldTarget {
  const key = primaryKey(collection.schema);
  if (key === undefined) {
    throw new TidemarkError("damaged", `Collection ${qualifiedName(collection)} has no primary key`);
  }
  return { primaryKey: key, hasPartitionKey: partitionKey(collection.schema) !== undefined };
}
