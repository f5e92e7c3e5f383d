/** Writes folded batches of the tail to a row sink, partitions made as they are needed. */
import { type KeyField, keysOf } from "../../columns/mod.ts";
import {
  type Collection,
  type DeleteEvent,
  type HybridTs,
  type InsertEvent,
  partitionKey,
  qualifiedName,
  type RowRefusal,
} from "../../model/mod.ts";
import type { FoldedBatch, FoldedWrite, FoldTarget } from "../../transforms/mod.ts";
import { keepRefused } from "../refusals/mod.ts";
import type { CollectionState } from "../state/mod.ts";
import type { RowTailOptions } from "./tail_options.ts";

export class RowWriter {
  readonly #o: RowTailOptions;
  readonly #partitionsMade = new Set<bigint>();

  constructor(options: RowTailOptions) {
    this.#o = options;
  }

  /** Applies a folded batch: deletes first, then upserts. `events`: what was folded. */
  async write(
    collectionId: bigint,
    batch: FoldedBatch,
    fold: FoldTarget,
    events: () => readonly (InsertEvent | DeleteEvent)[],
  ): Promise<void> {
    const { setup, targets, signal, applied } = this.#o;
    const own = targets.state(collectionId);
    if (own === undefined || own.phase === "dropped") return;
    const nameOf = (id: bigint, name: string) => this.#partitionName(collectionId, id, name);
    const removes = await Promise.all(batch.removes.map(async (remove) => ({
      keys: remove.keys,
      partition: remove.partitionId === undefined ? undefined : await nameOf(remove.partitionId, remove.partitionName),
    })));
    const writes = await Promise.all(batch.writes.map(async (write) => ({
      write,
      partition: await nameOf(write.partitionId, write.partitionName),
    })));
    let inserted = 0;
    let deleted = 0;
    await targets.writing(collectionId, async () => {
      // It may have been dropped, or renamed, while this waited.
      if ((own.phase as string) === "dropped") return;
      const { target } = own;
      await Promise.all(removes.map(async ({ keys, partition }) => {
        if (partition === null) return;
        await setup.sink.remove({ collectionId, target, partition, keys }, signal);
        deleted += keys.values.length;
      }));
      for (const { partitionId, keys } of batch.removes) own.refusedRows.supersede(partitionId, keys);
      await Promise.all(writes.map(async ({ write, partition }) => {
        if (partition === null) return;
        const { rows, fieldsData } = write;
        const refusals: RowRefusal[] = [];
        const refused = (rows: readonly RowRefusal[]) => void refusals.push(...rows);
        await setup.sink.write({ collectionId, target, partition, mode: "upsert", rows, fieldsData, refused }, signal);
        inserted += rows - refusals.length;
        await this.#settle(own, write, partition, fold, refusals, events);
      }));
    });
    own.duplicates += BigInt(batch.duplicates);
    applied(collectionId, inserted, deleted);
  }

  /** What the write made void, and what the target refused of it. */
  async #settle(
    own: CollectionState,
    { partitionId, rows, fieldsData }: FoldedWrite,
    partition: string,
    { primaryKey: key, hasPartitionKey }: FoldTarget,
    refusals: readonly RowRefusal[],
    events: () => readonly (InsertEvent | DeleteEvent)[],
  ): Promise<void> {
    if (own.refusedRows.size > 0) own.refusedRows.supersede(partitionId, keysOf(fieldsData, key, rows));
    if (refusals.length === 0) return;
    const origins = originsOf(events(), key, hasPartitionKey ? undefined : partitionId);
    await keepRefused(this.#o.deps, {
      sink: this.#o.setup.sink.name,
      own,
      key,
      hasPartitionKey,
      partitionId,
      partition,
      rows,
      fieldsData,
      refusals,
      origin: (_row, its) => origins.get(its) ?? { ts: 0n, position: "" },
    });
  }

  /** The partition's name on the target, made if need be; null if the source has dropped it: its rows matter no more. */
  async #partitionName(collectionId: bigint, id: bigint, name: string): Promise<string | null> {
    const { targets, deps, signal } = this.#o;
    const own = targets.state(collectionId)!;
    if (own.partitionsDropped.includes(id)) return null;
    let collection = targets.live(collectionId);
    let partition = collection?.partitions.find((item) => item.id === id);
    if (partition === undefined) {
      const found = await deps.meta.lookup(collectionId, signal);
      if (found.state !== "live") return null;
      targets.learn(found.collection);
      collection = found.collection;
      partition = collection.partitions.find((item) => item.id === id);
      if (partition === undefined) return null;
    }
    if (!this.#partitionsMade.has(id)) {
      await targets.ensure(collection!, "tail", false);
      if (await this.#leftOut(collection!, own, partition.name)) return null;
      this.#partitionsMade.add(id);
    }
    return partition.name || name;
  }

  /** True for a partition whose creation the policy left out: its rows have no place, which is said once. */
  async #leftOut(collection: Collection, own: CollectionState, name: string): Promise<boolean> {
    const { deps, setup, signal } = this.#o;
    if (deps.ddl.allows("create_partition") || partitionKey(collection.schema) !== undefined) return false;
    const there = await setup.sink.state(own.target, signal);
    if (!there.exists || there.partitions.includes(name)) return false;
    deps.report.warn(
      `left out ${own.id} ${name}`,
      `Rows of partition ${name} of ${qualifiedName(collection)} are left out: ` +
        `transforms.ddl did not let the partition be made on the target`,
    );
    return true;
  }
}

/** Key -> where the log has its newest row, in a partition or in all. */
function originsOf(
  events: readonly (InsertEvent | DeleteEvent)[],
  key: KeyField,
  partitionId: bigint | undefined,
): Map<bigint | string, { ts: HybridTs; position: string }> {
  const origins = new Map<bigint | string, { ts: HybridTs; position: string }>();
  for (const event of events) {
    if (event.kind !== "insert" || (partitionId !== undefined && event.partitionId !== partitionId)) continue;
    const origin = { ts: event.ts, position: `${event.pchannel}@${event.offset}` };
    for (const its of keysOf(event.fieldsData, key, event.rows).values) origins.set(its, origin);
  }
  return origins;
}
