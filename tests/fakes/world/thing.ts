/** What is in a world: its collections, with their imports and transactions. */
import type { Collection, HybridTs, ImportTask } from "../../../pipeline/model/mod.ts";
import type { Place } from "../streaming/action.ts";
import type { Deed } from "./deeds.ts";
import type { Row } from "./files.ts";

export interface Import {
  task: ImportTask;
  readonly ts: HybridTs;
  readonly segments: readonly bigint[];
  readonly rows: readonly Row[];
  readonly partition: bigint;
  commitTs: HybridTs;
}

export interface Thing {
  readonly id: bigint;
  collection: Collection;
  readonly deeds: Deed[];
  /** A change that destroys rows is under way to its channels. */
  busy: boolean;
  imports: Import[];
  /** Of generation 2, under way. */
  readonly transactions: Set<Transaction>;
}

export interface Transaction {
  readonly id: bigint;
  readonly shard: number;
  /** What its commit does, at the time of the commit. */
  readonly deeds: readonly Omit<Deed, "ts">[];
  /** Nobody may commit it any more from then on. */
  readonly expires: HybridTs;
}

export function placeOf({ dbName, name, id }: Pick<Collection, "dbName" | "name" | "id">): Place {
  const dbId = dbName === "default" ? 1n : 2n;
  return { collection: id, name, db: dbName, dbId, partition: 0n, partitionName: "" };
}

/** Columns that were added to it. */
export function addedTo({ collection: { schema } }: Thing): number {
  return schema.fields.length - 2;
}
