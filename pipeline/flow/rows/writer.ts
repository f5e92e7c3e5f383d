/** Writes folded batches of the tail to a row sink, partitions made as they are needed. */
import { describeFieldData, type KeyField, keysOf } from "../../columns/mod.ts";
import {
  type Collection,
  type DeleteEvent,
  type HybridTs,
  type InsertEvent,
  type Keys,
  partitionKey,
  qualifiedName,
  type RowRefusal,
} from "../../model/mod.ts";
import type { FoldedBatch, FoldedWrite, FoldTarget } from "../../transforms/mod.ts";
import { keepRefused, keepRefusedDeletes, refusedWhole } from "../refusals/mod.ts";
import { asAgreed } from "../agreed.ts";
import type { CollectionSchema } from "../../proto/gen/schema_pb.ts";
import type { CollectionState } from "../state/mod.ts";
import type { RowTailOptions } from "./tail_options.ts";

/** Where rows go. `refused`: why the target has no such partition. */
interface Place {
  readonly name: string;
  readonly refused: string | undefined;
}

export class RowWriter {
  readonly #o: RowTailOptions;
  readonly #partitionsMade = new Set<bigint>();
  readonly #fieldIds = new WeakMap<CollectionSchema, ReadonlySet<bigint>>();
  /** Partition -> why the target has not made it; asked for again by the next run. */
  readonly #partitionsRefused = new Map<bigint, string>();

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
    const placeOf = (id: bigint, name: string) => this.#place(collectionId, id, name);
    const removes = await Promise.all(batch.removes.map(async (remove) => ({
      remove,
      place: remove.partitionId === undefined ? undefined : await placeOf(remove.partitionId, remove.partitionName),
    })));
    await this.#knowFields(collectionId, batch);
    const writes = await Promise.all(batch.writes.map(async (write) => ({
      write,
      place: await placeOf(write.partitionId, write.partitionName),
    })));
    let inserted = 0;
    let deleted = 0;
    await targets.writing(collectionId, async () => {
      // It may have been dropped, or renamed, while this waited.
      if ((own.phase as string) === "dropped") return;
      const { target } = own;
      await Promise.all(removes.map(async ({ remove: { keys, partitionId }, place }) => {
        if (place === null || place?.refused !== undefined) return own.refusedRows.supersede(partitionId, keys);
        const refusals: RowRefusal[] = [];
        const note = (keys: readonly RowRefusal[]) => void refusals.push(...keys);
        const request = { collectionId, target, partition: place?.name, keys };
        // Of a key in all partitions it would not be known which of its later rows the held delete concerns.
        const alone = partitionId !== undefined || fold.hasPartitionKey;
        await setup.sink.remove(alone ? { ...request, refused: note } : request, signal);
        own.refusedRows.supersede(partitionId, keys);
        deleted += keys.values.length - refusals.length;
        if (refusals.length > 0) this.#keepDeletes(own, keys, partitionId, place?.name ?? "", fold, refusals, events);
      }));
      await Promise.all(writes.map(async ({ write, place }) => {
        if (place === null) return;
        const { name: partition, refused: why } = place;
        const { rows } = write;
        const fieldsData = asAgreed(own, write.fieldsData, rows);
        const refusals: RowRefusal[] = [];
        const refused = (rows: readonly RowRefusal[]) => void refusals.push(...rows);
        const request = { collectionId, target, partition, mode: "upsert", rows, fieldsData, refused } as const;
        if (why === undefined) await setup.sink.write(request, signal);
        else refused(refusedWhole(why, rows));
        inserted += rows - refusals.length;
        await this.#settle(own, write, partition, fold, refusals, events);
      }));
    });
    own.duplicates += BigInt(batch.duplicates);
    if (own.plainInserts !== undefined) own.plainInserts += BigInt(batch.plain);
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

  #keepDeletes(
    own: CollectionState,
    keys: Keys,
    partitionId: bigint | undefined,
    partition: string,
    { hasPartitionKey }: FoldTarget,
    refusals: readonly RowRefusal[],
    events: () => readonly (InsertEvent | DeleteEvent)[],
  ): void {
    const scope = hasPartitionKey ? undefined : partitionId;
    const origins = originsOfDeletes(events(), scope);
    keepRefusedDeletes(this.#o.deps, {
      sink: this.#o.setup.sink.name,
      own,
      partitionId: scope ?? -1n,
      partition: scope === undefined ? "" : partition,
      keys,
      refusals,
      origin: (its) => origins.get(its) ?? { ts: 0n, position: "" },
    });
  }

  /** The partition on the target, made if need be; null if the source has dropped it: its rows matter no more. */
  async #place(collectionId: bigint, id: bigint, name: string): Promise<Place | null> {
    const { targets, deps, signal } = this.#o;
    const own = targets.state(collectionId)!;
    if (own.partitionsDropped.includes(id)) return null;
    let collection = targets.live(collectionId);
    let partition = collection?.partitions.find((item) => item.id === id);
    if (partition === undefined) {
      const found = await deps.meta.lookup(collectionId, signal);
      if (found.state !== "live") return null;
      targets.learn(found.collection, found.revision);
      collection = found.collection;
      partition = collection.partitions.find((item) => item.id === id);
      if (partition === undefined) return null;
    }
    const place = { name: partition.name || name, refused: this.#partitionsRefused.get(id) };
    if (place.refused !== undefined || this.#partitionsMade.has(id)) return place;
    await targets.ensure(collection!, "tail", false);
    const refused = own.partitionsRefused.get(partition.name);
    if (refused !== undefined) {
      this.#partitionsRefused.set(id, refused);
      return { ...place, refused };
    }
    if (await this.#leftOut(collection!, own, partition.name)) return null;
    this.#partitionsMade.add(id);
    return place;
  }

  /** Rows may bring a field before the watch on the metadata tells of it: the target has it, or it is agreed what becomes of it. */
  async #knowFields(collectionId: bigint, { writes }: FoldedBatch): Promise<void> {
    const { targets, deps, signal } = this.#o;
    const live = targets.live(collectionId);
    if (live === undefined) return;
    const known = this.#fieldIdsOf(live.schema);
    const brought = writes.flatMap(({ fieldsData }) => fieldsData.map((bytes) => describeFieldData(bytes).fieldId));
    if (brought.every((id) => id < 100n || known.has(id))) return;
    const found = await deps.meta.lookup(collectionId, signal);
    if (found.state !== "live") return;
    targets.learn(found.collection, found.revision);
    await targets.ensure(found.collection, "tail", false);
  }

  #fieldIdsOf(schema: CollectionSchema): ReadonlySet<bigint> {
    let ids = this.#fieldIds.get(schema);
    if (ids === undefined) {
      const nested = schema.structArrayFields.flatMap(({ fields }) => fields);
      this.#fieldIds.set(schema, ids = new Set([...schema.fields, ...nested].map(({ fieldID }) => fieldID)));
    }
    return ids;
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

/** Key -> where the log has its newest delete, in a partition or in all. */
function originsOfDeletes(
  events: readonly (InsertEvent | DeleteEvent)[],
  partitionId: bigint | undefined,
): Map<bigint | string, { ts: HybridTs; position: string }> {
  const origins = new Map<bigint | string, { ts: HybridTs; position: string }>();
  for (const event of events) {
    if (event.kind !== "delete") continue;
    if (partitionId !== undefined && event.partitionId !== partitionId && event.partitionId !== -1n) continue;
    const origin = { ts: event.ts, position: `${event.pchannel}@${event.offset}` };
    for (const its of event.keys.values) origins.set(its, origin);
  }
  return origins;
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
