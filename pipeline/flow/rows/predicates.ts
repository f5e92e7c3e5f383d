/**
 * Deletes by predicate (3.0). Each vchannel has a copy of its own with a timestamp of its own, and the source deletes with it
 * what that vchannel holds, older than the copy. So does this: where the copy stands in its lane, everything before it is on the
 * target and nothing behind it, the target is asked for the keys that meet the predicate, and of these the vchannel's own are
 * deleted. No lane waits for another one, and a copy that never came to one channel deletes nothing there, as on the source.
 *
 * It can be repeated. After a crash the target may have rows from behind the copy: what this deletes of them too much was written
 * by records that are read again, which bring it back. A key without such a record is as it was when the copy was applied.
 */
import { fromBinary } from "@bufbuild/protobuf";
import { keysOf } from "../../columns/mod.ts";
import { TidemarkError } from "../../errors.ts";
import {
  type BlockEvent,
  type Collection,
  type DeleteByPredicate,
  type Keys,
  partitionKey,
  primaryKey,
  qualifiedName,
} from "../../model/mod.ts";
import { type PlanNode, PlanNodeSchema } from "../../proto/gen/plan_pb.ts";
import { predicateFilter, shardOf } from "../../transforms/mod.ts";
import type { CollectionState } from "../state/mod.ts";
import { Held } from "./held.ts";
import type { RowTailOptions } from "./tail_options.ts";
import { plural } from "../../units/mod.ts";

const ALL_PARTITIONS = -1n;

export class PredicateDeletes {
  readonly #o: RowTailOptions;

  constructor(options: RowTailOptions) {
    this.#o = options;
  }

  /** Throws {@link Held} for one that would not meet the source's rows exactly, and for a block that is no such delete. */
  async apply(event: BlockEvent): Promise<void> {
    const { targets, deps, signal } = this.#o;
    const { predicate } = event;
    if (predicate === undefined) {
      throw new Held(
        new TidemarkError("unsupported", event.reason, {
          hint:
            "The log holds something that this version cannot carry. Take a fresh copy of this collection once it is past it.",
        }),
      );
    }
    const own = targets.state(event.collectionId);
    if (own === undefined || own.phase === "dropped") return;
    const found = await deps.meta.lookup(event.collectionId, signal);
    // Gone from the source: only its drop is still to come.
    if (found.state !== "live") return;
    const { collection } = found;
    targets.learn(collection, found.revision);
    // It may name a field that no row has brought yet.
    if (await targets.ensure(collection, "tail", false) === undefined) return;
    const shard = shardAt(collection, event);
    const where = expressionOf(predicate, collection, own, event);
    this.#refuse(collection, own, event);
    await targets.writing(collection.id, async () => {
      // It may have been dropped while this waited.
      if ((own.phase as string) === "dropped") return;
      let deleted = 0;
      const doubt = doubtOf(collection, own);
      for (const partition of await this.#partitions(collection, own, predicate, event)) {
        const gone = await this.#keys(collection, own, partition, where, shard);
        // Where it meets no row, all that it may delete on the source is hidden behind newer ones.
        if (doubt !== undefined && gone.length > 0) throw held(event, doubt);
        deleted += await this.#delete(collection, own, partition, gone);
      }
      this.#o.applied(collection.id, 0, deleted);
      deps.report.info(
        `Delete by predicate on ${event.vchannel} of ${qualifiedName(collection)}: ${deleted} ${
          plural(deleted, "row")
        }`,
      );
    });
  }

  /** What makes it uncertain which rows it would meet. */
  #refuse(collection: Collection, own: CollectionState, event: BlockEvent): void {
    const { setup } = this.#o;
    const name = qualifiedName(collection);
    const strangers = setup.onExisting === "merge" && !own.made.has("collection");
    if (strangers) throw held(event, `on ${setup.sink.name} it would meet rows of others, too`);
    if (own.refusedRows.size > 0) {
      throw held(
        event,
        `${own.refusedRows.size} ${
          plural(own.refusedRows.size, "row")
        } of ${name} that the target refused may be among those that it meets`,
      );
    }
    if (own.duplicates > 0n) {
      throw held(
        event,
        `${own.duplicates} ${plural(own.duplicates, "key")} of ${name} ${
          plural(own.duplicates, "was inserted while it was there", "were inserted while they were there")
        }: the source has older rows of ${plural(own.duplicates, "it", "them")}, ` +
          "which would show again where it meets the newest alone",
      );
    }
    // Only after a crash: what the import brought was never in the log, so that nothing brings it back.
    if (event.ts <= (own.importsUpTo?.[event.pchannel] ?? 0n)) {
      throw held(event, `rows of an import into ${name} are on the target that may be newer than it`);
    }
  }

  /** Names on the target; undefined: all at once. */
  async #partitions(
    { id, partitions, schema }: Collection,
    own: CollectionState,
    { partitionId }: DeleteByPredicate,
    event: BlockEvent,
  ): Promise<readonly (string | undefined)[]> {
    const { setup, signal } = this.#o;
    if (partitionKey(schema) !== undefined) {
      if (partitionId !== ALL_PARTITIONS) {
        throw held(event, `it is of one partition of collection ${id}, which chooses them itself`);
      }
      return [undefined];
    }
    const there = (await setup.sink.state(own.target, signal)).partitions;
    if (partitionId === ALL_PARTITIONS) return there;
    const one = partitions.find((partition) => partition.id === partitionId);
    // Dropped on the source by now, or not made here yet: there is no row.
    return one !== undefined && there.includes(one.name) ? [one.name] : [];
  }

  /** Of the rows on the target that it meets, by page. */
  async #keys(
    collection: Collection,
    { target }: CollectionState,
    partition: string | undefined,
    where: string,
    shard: number,
  ): Promise<Keys[]> {
    const { setup: { sink }, signal } = this.#o;
    const key = primaryKey(collection.schema)!;
    const selection = { where, outputFields: [key.name], ...partition === undefined ? {} : { partition } };
    const gone: Keys[] = [];
    for await (const page of sink.read({ source: collection, target }, selection, signal)) {
      const keys = keysOf(page.fieldsData, { fieldID: -1n, name: key.name, dataType: key.dataType }, page.rows);
      const some = keysOfShard(keys, shard, collection.vchannels.length);
      if (some.values.length > 0) gone.push(some);
    }
    return gone;
  }

  /** Not while its pages are read. */
  async #delete(
    collection: Collection,
    { target }: CollectionState,
    partition: string | undefined,
    gone: readonly Keys[],
  ): Promise<number> {
    const { setup: { sink }, deps, signal } = this.#o;
    deps.crash("inside_barrier");
    for (const keys of gone) await sink.remove({ collectionId: collection.id, target, partition, keys }, signal);
    deps.crash("inside_barrier");
    return gone.reduce((sum, { values }) => sum + values.length, 0);
  }
}

/** Why the source may have an older row of a key, which would show again where the newest goes alone; undefined: it has none. */
function doubtOf(collection: Collection, { plainInserts, importsDone }: CollectionState): string | undefined {
  const { schema, properties } = collection;
  const name = qualifiedName(collection);
  const ownKeys = schema.autoID || primaryKey(schema)!.autoID;
  // 2.6 and later: clients may give keys there, too.
  if (ownKeys && properties["allow_insert_auto_id"] !== "true") return undefined;
  if (importsDone.length > 0) return `an import into ${name} may have brought keys that were there already`;
  if (plainInserts === 0n) return undefined;
  return `rows of ${name} came by insert, not by upsert: where the source had one of the same key already, it has both, and the ` +
    "older one would show again where it meets the newest alone";
}

/** Which shard of its collection a vchannel is, as the source chooses one by the key. */
function shardAt({ schema, vchannels }: Collection, event: BlockEvent): number {
  const shard = vchannels.indexOf(event.vchannel);
  if (schema.enableNamespace || shard < 0 || !event.vchannel.endsWith(`v${shard}`)) {
    throw held(event, `nobody can tell which keys ${event.vchannel} carries`);
  }
  return shard;
}

function expressionOf(
  { plan }: DeleteByPredicate,
  { schema }: Collection,
  { agreed }: CollectionState,
  event: BlockEvent,
): string {
  let node: PlanNode;
  try {
    node = fromBinary(PlanNodeSchema, plan);
  } catch {
    throw held(event, "its plan cannot be read");
  }
  const filter = predicateFilter(node, schema, agreed);
  if (filter.kind === "unknown") {
    throw held(event, `${filter.node} of its plan has no expression that means the same on every release`);
  }
  return filter.text;
}

function keysOfShard(keys: Keys, shard: number, shards: number): Keys {
  return keys.kind === "int64"
    ? { kind: "int64", values: BigInt64Array.from(keys.values).filter((key) => shardOf(key, shards) === shard) }
    : { kind: "varchar", values: keys.values.filter((key) => shardOf(key, shards) === shard) };
}

function held({ reason }: BlockEvent, why: string): Held {
  return new Held(
    new TidemarkError("unsupported", `${reason}. It is not applied: ${why}`, {
      hint: "Take a fresh copy of this collection once the source has compacted what it deleted.",
    }),
  );
}
