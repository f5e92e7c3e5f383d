/** What is written into the collections of a world: rows and deletes, in transactions or alone. */
import { hybridFromMs, type HybridTs } from "../../../pipeline/model/mod.ts";
import { shardOf } from "../../../pipeline/transforms/mod.ts";
import { int64Column } from "../int64_column.ts";
import { KEEPALIVE_MS } from "../streaming/action.ts";
import { WorldCluster } from "./cluster.ts";
import { ALL, type Content, contentOf, type Deed } from "./deeds.ts";
import type { Row } from "./files.ts";
import { addedTo, placeOf, type Thing, type Transaction } from "./thing.ts";

export abstract class WorldRows extends WorldCluster {
  insert(thing: Thing, partition: string, rows: readonly Row[], upsert = false): void {
    this.say(`insert ${thing.id} ${partition} ${rows.join(" ")} ${upsert}`);
    const { id, collection: { pchannels, vchannels, partitions } } = thing;
    const place = partitions.find(({ name }) => name === partition) ?? partitions[0]!;
    if (this.generation === 2) return this.#write(thing, place, rows, upsert ? rows.map(([key]) => key) : []);
    this.step();
    const ts = this.next();
    for (const [shard, own] of Map.groupBy(rows, ([key]) => shardOf(key, pchannels.length))) {
      const [keys, values] = [own.map(([key]) => key), own.map(([, value]) => value)];
      this.append(pchannels[shard]!, {
        kind: "insert",
        collectionId: id,
        vchannel: vchannels[shard],
        partitionId: place.id,
        partitionName: place.name,
        segmentId: 1n,
        msgId: 0n,
        rows: own.length,
        fieldsData: [int64Column(100n, "id", keys), int64Column(101n, "value", values)],
      }, ts);
      if (upsert) this.#delete(thing, shard, place.id, keys, ts);
      for (const [key, value] of own) thing.deeds.push({ ts, partition: place.id, shard, key, value });
    }
    this.step();
  }

  /** Of generation 2, without a transaction where it is one message for a shard. */
  #write(
    thing: Thing,
    partition: { readonly id: bigint; readonly name: string },
    rows: readonly Row[],
    deleted: readonly bigint[],
  ) {
    this.step();
    for (let shard = 0; shard < thing.collection.pchannels.length; shard++) {
      const own = <T>(all: readonly T[], keyOf: (one: T) => bigint) =>
        all.filter((one) => shardOf(keyOf(one), thing.collection.pchannels.length) === shard);
      const inserted = own(rows, ([key]) => key);
      const keys = own(deleted, (key) => key);
      if (inserted.length === 0 && keys.length === 0) continue;
      if (keys.length === 0) {
        this.#insertion(thing, shard, partition, inserted, this.next());
        thing.deeds.push(...deedsOf(shard, partition.id, inserted, []).map((deed) => ({ ...deed, ts: this.next() })));
      } else this.#commit(thing, this.#transaction(thing, shard, partition, inserted, keys));
    }
    this.step();
  }

  /** Writes its beginning and its bodies. */
  #transaction(
    thing: Thing,
    shard: number,
    partition: { readonly id: bigint; readonly name: string },
    rows: readonly Row[],
    keys: readonly bigint[],
  ): Transaction {
    const { vchannels, pchannels } = thing.collection;
    const id = ++this.ids;
    const [pchannel, vchannel] = [pchannels[shard]!, vchannels[shard]!];
    // Times before that of the commit, which are nobody's.
    const begin = this.now - 8n;
    this.nodes.write(pchannel, { kind: "begin", vchannel, tt: begin, txn: id });
    if (rows.length > 0) this.#insertion(thing, shard, partition, rows, begin + 2n, id);
    if (keys.length > 0) this.#deletion(thing, shard, partition.id, partition.name, keys, begin + 1n, id);
    const transaction = {
      id,
      shard,
      deeds: deedsOf(shard, partition.id, rows, keys),
      expires: begin + hybridFromMs(Number(KEEPALIVE_MS)),
    };
    thing.transactions.add(transaction);
    return transaction;
  }

  #commit(thing: Thing, transaction: Transaction, kind: "commit" | "rollback" = "commit"): void {
    if (!thing.transactions.delete(transaction)) return;
    const { shard, id, deeds } = transaction;
    const { pchannels, vchannels } = thing.collection;
    const ts = this.next();
    this.nodes.write(pchannels[shard]!, { kind, vchannel: vchannels[shard]!, tt: ts, txn: id });
    if (kind === "commit") { for (const deed of deeds) thing.deeds.push({ ...deed, ts }); }
  }

  /** A transaction that stays open. */
  begin(thing: Thing, partition: string, rows: readonly Row[], deleted: readonly bigint[]): void {
    this.say(`begin ${thing.id} ${partition} ${rows.join(" ")} without ${deleted}`);
    const { pchannels, partitions } = thing.collection;
    if (this.generation === 1 || thing.busy) return;
    const place = partitions.find(({ name }) => name === partition) ?? partitions[0]!;
    const shard = shardOf(rows[0]![0], pchannels.length);
    const own = (key: bigint) => shardOf(key, pchannels.length) === shard;
    this.step();
    this.#transaction(thing, shard, place, rows.filter(([key]) => own(key)), deleted.filter(own));
    this.step();
  }

  /** Of the transaction that is open for longest. */
  finish(thing: Thing, kind: "commit" | "rollback"): void {
    this.say(`${kind} ${thing.id}`);
    const [first] = thing.transactions;
    if (first === undefined || thing.busy) return;
    if (first.expires <= this.now) return void thing.transactions.delete(first);
    this.step();
    this.#commit(thing, first, kind);
    this.step();
  }

  /** Its open transactions, as a change of structure makes them: they are rolled back, or left until they have expired. */
  protected fail(thing: Thing): void {
    if (thing.transactions.size === 0) return;
    this.step();
    if (this.chance(2)) {
      for (const transaction of thing.transactions) this.#commit(thing, transaction, "rollback");
    } else {
      this.say("open transactions expire");
      for (const { transactions } of this.live) transactions.clear();
      this.ms += Number(KEEPALIVE_MS) + 1;
    }
    this.step();
  }

  #insertion(
    thing: Thing,
    shard: number,
    { id, name }: { readonly id: bigint; readonly name: string },
    rows: readonly Row[],
    tt: HybridTs,
    txn?: bigint,
  ): void {
    const { pchannels, vchannels } = thing.collection;
    const [pchannel, vchannel] = [pchannels[shard]!, vchannels[shard]!];
    const place = { ...placeOf(thing.collection), partition: id, partitionName: name };
    const growing = `${vchannel} ${id}`;
    let segment = this.growing.get(growing);
    if (segment === undefined) {
      segment = ++this.ids;
      this.growing.set(growing, segment);
      this.nodes.write(pchannel, { ...place, kind: "create_segment", vchannel, segment, tt: tt - 1n });
    }
    const clock = tt + 3n;
    const msgId = this.ids += BigInt(rows.length);
    this.nodes.write(pchannel, {
      ...place,
      kind: "insert",
      vchannel,
      segment,
      rows,
      columns: addedTo(thing),
      clock,
      msgId,
      tt,
      ...txn === undefined ? {} : { txn },
    });
  }

  #deletion(
    thing: Thing,
    shard: number,
    partition: bigint,
    partitionName: string,
    keys: readonly bigint[],
    tt: HybridTs,
    txn?: bigint,
  ): void {
    const { pchannels, vchannels } = thing.collection;
    const place = { ...placeOf(thing.collection), partition, partitionName };
    const [clock, msgId] = [tt - 2n, ++this.ids];
    const asked = { ...place, kind: "delete" as const, keys, clock, msgId, vchannel: vchannels[shard]!, tt };
    this.nodes.write(pchannels[shard]!, { ...asked, ...txn === undefined ? {} : { txn } });
  }

  delete(thing: Thing, partition: string | undefined, keys: readonly bigint[]): void {
    this.say(`delete ${thing.id} ${partition} ${keys}`);
    const { collection: { pchannels, partitions } } = thing;
    const found = partitions.find(({ name }) => name === partition);
    const place = found?.id ?? ALL;
    this.step();
    const ts = this.next();
    for (const [shard, own] of Map.groupBy(keys, (key) => shardOf(key, pchannels.length))) {
      if (this.generation === 2) {
        this.#deletion(thing, shard, place, found?.name ?? "", own, ts);
        thing.deeds.push(...deedsOf(shard, place, [], own).map((deed) => ({ ...deed, ts })));
      } else this.#delete(thing, shard, place, own, ts);
    }
    this.step();
  }

  #delete({ id, collection, deeds }: Thing, shard: number, partition: bigint, keys: readonly bigint[], ts: HybridTs) {
    this.append(collection.pchannels[shard]!, {
      kind: "delete",
      collectionId: id,
      vchannel: collection.vchannels[shard],
      partitionId: partition,
      partitionName: "",
      msgId: 0n,
      keys: { kind: "int64", values: keys },
    }, ts);
    for (const key of keys) deeds.push({ ts, partition, shard, key });
  }

  /** Partition -> key -> value, `at` a moment or now. */
  rowsOf({ deeds, collection }: Thing, at?: HybridTs): Content {
    return contentOf(collection, at === undefined ? deeds : deeds.filter(({ ts }) => ts <= at));
  }
}

function deedsOf(
  shard: number,
  partition: bigint,
  rows: readonly Row[],
  deleted: readonly bigint[],
): Omit<Deed, "ts">[] {
  return [
    ...deleted.map((key) => ({ partition, shard, key })),
    ...rows.map(([key, value]) => ({ partition, shard, key, value })),
  ];
}
