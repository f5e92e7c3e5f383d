/**
 * A source in memory with databases, partitions, aliases, renames, imports and changes that reach their channels one after the
 * other, in records of either generation. Its rows are what all of its log and its imports leave, each at its time.
 */
import { catalogChange } from "../catalog_change.ts";
import { create } from "@bufbuild/protobuf";
import {
  type BinlogSource,
  type Catalog,
  type CatalogChange,
  type Collection,
  hybridFromMs,
  type HybridTs,
  type ImportTask,
  type LogSource,
  type MetaSource,
  type Snapshot,
  type StoredPosition,
} from "../../../pipeline/model/mod.ts";
import { ConsistencyLevel } from "../../../pipeline/proto/gen/common_pb.ts";
import { CollectionSchemaSchema, DataType, FieldSchemaSchema } from "../../../pipeline/proto/gen/schema_pb.ts";
import { shardOf } from "../../../pipeline/transforms/mod.ts";
import type { MemoryStore } from "../../../stores/mod.ts";
import { int64Column } from "../int64_column.ts";
import type { PipelineSource } from "../pipeline.ts";
import { type Change, KEEPALIVE_MS, type MessageBuilder, type Place } from "../streaming/action.ts";
import { buildMessage } from "../streaming/own_builder.ts";
import { chanceOf } from "../streaming/random.ts";
import { Changes } from "./changes.ts";
import { ALL, type Content, contentOf, type Deed } from "./deeds.ts";
import { type Row, WorldFiles } from "./files.ts";
import { WorldLog } from "./world_log.ts";

interface Import {
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

interface Transaction {
  readonly id: bigint;
  readonly shard: number;
  /** What its commit does, at the time of the commit. */
  readonly deeds: readonly Omit<Deed, "ts">[];
}

const KEY = create(FieldSchemaSchema, { fieldID: 100n, name: "id", isPrimaryKey: true, dataType: DataType.Int64 });
const VALUE = create(FieldSchemaSchema, { fieldID: 101n, name: "value", dataType: DataType.Int64 });
const FIRST_MS = 1_795_000_000_000;

export class World implements PipelineSource {
  readonly things = new Map<bigint, Thing>();
  /** What is still to come of changes that have begun. */
  readonly pending: (() => void)[] = [];
  #generation: 1 | 2 = 1;
  readonly #written: WorldLog;
  readonly #chance: (of: number) => boolean;
  /** Others write to the channels all the time, so that ticks come; without them a run has to wait a second for silence. */
  readonly #neighbours: boolean;
  readonly #changes = new Changes();
  readonly #files: WorldFiles;
  /** Whether its metadata tells of changes that have not reached every channel; else a copy may begin in the middle of one. */
  readonly #tells: boolean;
  /** What was done, for people. */
  readonly said: string[] = [];
  /** vchannel and partition -> the segment that takes its rows. */
  readonly #growing = new Map<string, bigint>();
  readonly #checkpoints = new Map<string, StoredPosition>();
  #ms = FIRST_MS;
  #ids = 100n;
  #revision = 1n;

  /**
   * `store`: where its segments have files; left out, nobody copies them. `build` makes the messages of generation 2; `seed` decides
   * what its nodes do by chance.
   */
  constructor(
    readonly pchannels: readonly string[],
    { store, seed = 1, build = buildMessage }: {
      readonly store?: MemoryStore | undefined;
      readonly seed?: number;
      readonly build?: MessageBuilder;
    } = {},
  ) {
    this.#files = new WorldFiles(store);
    this.#tells = store !== undefined;
    this.binlogs = this.#files.binlogs;
    this.#chance = chanceOf(seed);
    this.#written = new WorldLog(build, this.#chance);
    this.#neighbours = !this.#chance(4);
    for (const pchannel of pchannels) this.log.createTopic(pchannel);
  }

  get log(): WorldLog["log"] {
    return this.#written.log;
  }

  get generation(): 1 | 2 {
    return this.#generation;
  }

  /** To 2: streaming nodes take all channels. */
  set generation(generation: 1 | 2) {
    if (generation === this.#generation) return;
    this.#generation = generation;
    this.#ms++;
    for (const pchannel of this.pchannels) this.#nodes.open(pchannel, this.now);
  }

  /** The streaming node of a channel goes, and another takes it. */
  handOver(pchannel: string): void {
    if (this.generation === 1) return;
    this.#say(`hand over ${pchannel}`);
    this.#ms++;
    this.#nodes.open(pchannel, this.now);
  }

  get #nodes(): WorldLog["nodes"] {
    return this.#written.nodes;
  }

  get live(): Thing[] {
    return [...this.things.values()];
  }

  find(db: string, name: string): Thing | undefined {
    return this.live.find(({ collection }) => collection.dbName === db && collection.name === name);
  }

  grow(pchannel: string): void {
    if (this.pchannels.includes(pchannel)) return;
    (this.pchannels as string[]).push(pchannel);
    this.log.createTopic(pchannel);
    if (this.generation === 2) this.#nodes.open(pchannel, this.now);
  }

  #say(what: string): void {
    this.said.push(`${this.#ms - FIRST_MS} ms: ${what}`);
  }

  #now(): HybridTs {
    return hybridFromMs(this.#ms) + 1n;
  }

  get now(): HybridTs {
    return hybridFromMs(this.#ms);
  }

  /** A record of generation 1. */
  #append(pchannel: string, event: Record<string, unknown>, ts = this.#now()): void {
    this.#written.append(pchannel, event, ts);
  }

  #step(): void {
    this.#ms++;
  }

  tick(): void {
    this.#ms++;
    if (this.generation === 2) {
      for (const pchannel of this.pchannels) this.#nodes.tick(pchannel, this.now);
      return;
    }
    const ticking = new Set(this.live.flatMap(({ collection }) => collection.pchannels));
    for (const pchannel of this.pchannels) {
      if (ticking.has(pchannel)) this.#append(pchannel, { kind: "tick" }, hybridFromMs(this.#ms));
    }
  }

  ticking(): Disposable {
    const timer = setInterval(() => {
      if (this.#neighbours && this.generation === 2) this.#neighbour();
      this.tick();
    }, 2);
    return { [Symbol.dispose]: () => clearInterval(timer) };
  }

  /** A message on each channel to a collection that nobody knows. */
  #neighbour(): void {
    const place = placeOf({ dbName: "neighbours", name: "other", id: 1n });
    for (const pchannel of this.pchannels) {
      const [vchannel, segment] = [`${pchannel}_1v0`, ++this.#ids];
      this.#nodes.write(pchannel, { ...place, kind: "create_segment", vchannel, segment, tt: this.#now() });
    }
  }

  create(db: string, name: string, ...pchannels: readonly string[]): Thing {
    this.#say(`create ${db}.${name} on ${pchannels}`);
    const id = ++this.#ids;
    this.#step();
    const ts = this.#now();
    const vchannels = pchannels.map((pchannel, shard) => `${pchannel}_${id}v${shard}`);
    const partition = { id: ++this.#ids, name: "_default", createTs: ts };
    const place: Place = {
      ...placeOf({ dbName: db, name, id }),
      partition: partition.id,
      partitionName: partition.name,
    };
    const broadcast = this.#broadcast(vchannels);
    const message: Change = { ...place, kind: "create_collection", broadcast, vchannels, pchannels };
    const startOffsets = new Map(pchannels.map((pchannel, shard): [string, bigint] => {
      const vchannel = vchannels[shard]!;
      if (this.generation === 2) return [pchannel, this.#nodes.writeAlone(pchannel, { ...message, vchannel, tt: ts })];
      this.#append(pchannel, ddl("create_collection", id, vchannel), ts);
      return [pchannel, this.#written.latest(pchannel)];
    }));
    this.#control(message);
    const collection: Collection = {
      id,
      dbId: place.dbId,
      dbName: db,
      name,
      schema: create(CollectionSchemaSchema, { name, fields: [KEY, VALUE] }),
      shards: pchannels.length,
      vchannels,
      pchannels,
      startOffsets,
      createTs: ts,
      consistency: ConsistencyLevel.Bounded,
      properties: {},
      partitions: [partition],
      aliases: [],
      indexes: [],
      load: { scope: "collection", partitionIds: [], replicas: 1, loadFields: [], loaded: true },
    };
    const thing: Thing = { id, collection, deeds: [], busy: false, imports: [], transactions: new Set() };
    this.things.set(id, thing);
    this.#step();
    this.#note({ changed: [id] });
    return thing;
  }

  get #controlChannel(): string {
    return `${this.pchannels[0]}_vcchan`;
  }

  #broadcast(vchannels: readonly string[]): NonNullable<Change["broadcast"]> {
    return { id: ++this.#ids, vchannels: [...vchannels, this.#controlChannel] };
  }

  /** The copy of a change for the control channel, which orders what the cluster does. */
  #control(message: Change): void {
    if (this.generation === 1 || message.broadcast === undefined) return;
    const tt = this.#now() + 1n;
    this.#nodes.writeAlone(this.pchannels[0]!, { ...message, vchannel: this.#controlChannel, tt });
  }

  /** A message to all vchannels of a collection. */
  #tell({ collection }: Thing, message: Change, tt = this.#now()): void {
    if (message.broadcast!.vchannels.includes(this.#controlChannel)) this.#control(message);
    collection.pchannels.forEach((pchannel, shard) => {
      this.#nodes.writeAlone(pchannel, { ...message, vchannel: collection.vchannels[shard]!, tt });
    });
    this.#step();
  }

  change(thing: Thing, more: Partial<Collection>): void {
    this.#say(`change of ${thing.id}: ${Object.keys(more)}`);
    thing.collection = { ...thing.collection, ...more };
    this.#note({ changed: [thing.id] });
  }

  partition(thing: Thing, name: string): void {
    const { partitions } = thing.collection;
    if (partitions.some((one) => one.name === name)) return;
    const id = ++this.#ids;
    if (this.generation === 2) {
      const broadcast = this.#broadcast(thing.collection.vchannels);
      const place = { ...placeOf(thing.collection), partition: id, partitionName: name };
      this.#tell(thing, { ...place, kind: "create_partition", broadcast });
    }
    this.change(thing, { partitions: [...partitions, { id, name, createTs: this.#now() }] });
  }

  dropPartition(thing: Thing, name: string, numbered: boolean): void {
    this.#say(`drop partition ${name} of ${thing.id} ${numbered} ${thing.busy}`);
    const gone = thing.collection.partitions.find((one) => one.name === name);
    if (gone === undefined || thing.busy || name === "_default") return;
    const more = { partition: gone.id, partitionName: name };
    this.#destroy(thing, "drop_partition", more, numbered, () => {
      this.change(thing, { partitions: thing.collection.partitions.filter(({ id }) => id !== gone.id) });
    }, (shard, ts) => thing.deeds.push({ ts, partition: gone.id, shard }));
  }

  truncate(thing: Thing): void {
    this.#say(`truncate ${thing.id}`);
    if (this.generation === 1 || thing.busy || thing.imports.some(({ task }) => task.state !== "completed")) return;
    const times: HybridTs[] = [];
    this.#destroy(thing, "truncate_collection", {}, true, () => {
      this.#files.segments = this.#files.segments.map((segment) =>
        segment.collectionId === thing.id &&
          this.#files.rowsOf(segment).every(([ts]) => ts < times[thing.collection.vchannels.indexOf(segment.vchannel)]!)
          ? { ...segment, state: "dropped", class: "none" }
          : segment
      );
      const { vchannels } = thing.collection;
      const truncated = new Map(vchannels.map((vchannel, shard) => [vchannel, times[shard]!]));
      this.change(thing, { truncated });
    }, (shard, ts) => {
      times[shard] = ts;
      thing.deeds.push({ ts, partition: ALL, shard });
    });
  }

  drop(thing: Thing, numbered: boolean): void {
    this.#say(`drop ${thing.id} ${numbered} ${thing.busy}`);
    if (thing.busy) return;
    this.#destroy(thing, "drop_collection", {}, numbered, () => {
      this.things.delete(thing.id);
      this.#files.segments = this.#files.segments.filter(({ collectionId }) => collectionId !== thing.id);
      this.#note({ gone: [thing.id] });
    });
  }

  /** Generation 1: the metadata first, then one time on all channels. Generation 2: channel after channel, then the metadata. */
  #destroy(
    thing: Thing,
    kind: Change["kind"],
    of: Partial<Pick<Place, "partition" | "partitionName">>,
    numbered: boolean,
    metadata: () => void,
    done: (shard: number, ts: HybridTs) => void = () => {},
  ): void {
    const { pchannels, vchannels } = thing.collection;
    thing.busy = true;
    const place = { ...placeOf(thing.collection), ...of };
    if (this.generation === 1) {
      this.#step();
      const ts = this.#now();
      metadata();
      pchannels.forEach((pchannel, shard) => {
        done(shard, ts);
        const partition = of.partition === undefined
          ? {}
          : { partitionIds: [of.partition], partitionName: of.partitionName };
        this.#append(pchannel, { ...ddl(kind, thing.id, ""), ...partition }, ts);
      });
      this.#step();
      thing.busy = false;
      return;
    }
    this.#fail(thing);
    const message: Change = { ...place, kind, ...numbered ? { broadcast: this.#broadcast(vchannels) } : {} };
    const copies = pchannels.map((pchannel, shard) => () => {
      this.#step();
      const tt = this.#now();
      this.#nodes.writeAlone(pchannel, { ...message, vchannel: vchannels[shard]!, tt });
      done(shard, tt);
      this.#say(`${kind} of ${thing.id} at ${shard}`);
      this.#step();
    });
    const last = () => {
      metadata();
      thing.busy = false;
    };
    copies.shift()!();
    this.#control(message);
    this.#step();
    this.pending.push(...copies, last);
  }

  rename(thing: Thing, db: string, name: string): void {
    if (thing.busy || this.find(db, name) !== undefined) return;
    if (this.live.some(({ collection: { dbName, aliases } }) => dbName === db && aliases.includes(name))) return;
    const dbId = db === "default" ? 1n : 2n;
    const aliases = db === thing.collection.dbName ? thing.collection.aliases : [];
    this.change(thing, { dbId, dbName: db, name, aliases });
  }

  alias(thing: Thing, alias: string): void {
    this.#say(`alias ${thing.id} ${alias}`);
    const { dbName } = thing.collection;
    if (this.find(dbName, alias) !== undefined) return;
    const changed = [];
    for (const other of this.live) {
      if (other.collection.dbName !== dbName || !other.collection.aliases.includes(alias)) continue;
      if (other === thing) return;
      const aliases = other.collection.aliases.filter((one) => one !== alias);
      other.collection = { ...other.collection, aliases };
      changed.push(other.id);
    }
    thing.collection = { ...thing.collection, aliases: [...thing.collection.aliases, alias] };
    this.#note({ changed: [...changed, thing.id] });
  }

  unalias(thing: Thing): void {
    this.change(thing, { aliases: thing.collection.aliases.slice(1) });
  }

  insert(thing: Thing, partition: string, rows: readonly Row[], upsert = false): void {
    this.#say(`insert ${thing.id} ${partition} ${rows.join(" ")} ${upsert}`);
    const { id, collection: { pchannels, vchannels, partitions } } = thing;
    const place = partitions.find(({ name }) => name === partition) ?? partitions[0]!;
    if (this.generation === 2) return this.#write(thing, place, rows, upsert ? rows.map(([key]) => key) : []);
    this.#step();
    const ts = this.#now();
    for (const [shard, own] of Map.groupBy(rows, ([key]) => shardOf(key, pchannels.length))) {
      const [keys, values] = [own.map(([key]) => key), own.map(([, value]) => value)];
      this.#append(pchannels[shard]!, {
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
    this.#step();
  }

  /** Of generation 2, without a transaction where it is one message for a shard. */
  #write(
    thing: Thing,
    partition: { readonly id: bigint; readonly name: string },
    rows: readonly Row[],
    deleted: readonly bigint[],
  ) {
    this.#step();
    for (let shard = 0; shard < thing.collection.pchannels.length; shard++) {
      const own = <T>(all: readonly T[], keyOf: (one: T) => bigint) =>
        all.filter((one) => shardOf(keyOf(one), thing.collection.pchannels.length) === shard);
      const inserted = own(rows, ([key]) => key);
      const keys = own(deleted, (key) => key);
      if (inserted.length === 0 && keys.length === 0) continue;
      if (keys.length === 0) {
        this.#insertion(thing, shard, partition, inserted, this.#now());
        thing.deeds.push(...deedsOf(shard, partition.id, inserted, []).map((deed) => ({ ...deed, ts: this.#now() })));
      } else this.#commit(thing, this.#transaction(thing, shard, partition, inserted, keys));
    }
    this.#step();
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
    const id = ++this.#ids;
    const [pchannel, vchannel] = [pchannels[shard]!, vchannels[shard]!];
    // Times before that of the commit, which are nobody's.
    const begin = this.now - 8n;
    this.#nodes.write(pchannel, { kind: "begin", vchannel, tt: begin, txn: id });
    if (rows.length > 0) this.#insertion(thing, shard, partition, rows, begin + 2n, id);
    if (keys.length > 0) this.#deletion(thing, shard, partition.id, partition.name, keys, begin + 1n, id);
    const transaction = { id, shard, deeds: deedsOf(shard, partition.id, rows, keys) };
    thing.transactions.add(transaction);
    return transaction;
  }

  #commit(thing: Thing, transaction: Transaction, kind: "commit" | "rollback" = "commit"): void {
    if (!thing.transactions.delete(transaction)) return;
    const { shard, id, deeds } = transaction;
    const { pchannels, vchannels } = thing.collection;
    const ts = this.#now();
    this.#nodes.write(pchannels[shard]!, { kind, vchannel: vchannels[shard]!, tt: ts, txn: id });
    if (kind === "commit") { for (const deed of deeds) thing.deeds.push({ ...deed, ts }); }
  }

  /** A transaction that stays open. */
  begin(thing: Thing, partition: string, rows: readonly Row[], deleted: readonly bigint[]): void {
    this.#say(`begin ${thing.id} ${partition} ${rows.join(" ")} without ${deleted}`);
    const { pchannels, partitions } = thing.collection;
    if (this.generation === 1 || thing.busy) return;
    const place = partitions.find(({ name }) => name === partition) ?? partitions[0]!;
    const shard = shardOf(rows[0]![0], pchannels.length);
    const own = (key: bigint) => shardOf(key, pchannels.length) === shard;
    this.#step();
    this.#transaction(thing, shard, place, rows.filter(([key]) => own(key)), deleted.filter(own));
    this.#step();
  }

  /** Of the transaction that is open for longest. */
  finish(thing: Thing, kind: "commit" | "rollback"): void {
    this.#say(`${kind} ${thing.id}`);
    const [first] = thing.transactions;
    if (first === undefined || thing.busy) return;
    this.#step();
    this.#commit(thing, first, kind);
    this.#step();
  }

  /** Its open transactions, as a change of structure makes them: they are rolled back, or left until they have expired. */
  #fail(thing: Thing): void {
    if (thing.transactions.size === 0) return;
    this.#step();
    if (this.#chance(2)) {
      for (const transaction of thing.transactions) this.#commit(thing, transaction, "rollback");
    } else {
      this.#say("open transactions expire");
      for (const { transactions } of this.live) transactions.clear();
      this.#ms += Number(KEEPALIVE_MS) + 1;
    }
    this.#step();
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
    let segment = this.#growing.get(growing);
    if (segment === undefined) {
      segment = ++this.#ids;
      this.#growing.set(growing, segment);
      this.#nodes.write(pchannel, { ...place, kind: "create_segment", vchannel, segment, tt: tt - 1n });
    }
    const clock = tt + 3n;
    const msgId = this.#ids += BigInt(rows.length);
    this.#nodes.write(pchannel, {
      ...place,
      kind: "insert",
      vchannel,
      segment,
      rows,
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
    const [clock, msgId] = [tt - 2n, ++this.#ids];
    const asked = { ...place, kind: "delete" as const, keys, clock, msgId, vchannel: vchannels[shard]!, tt };
    this.#nodes.write(pchannels[shard]!, { ...asked, ...txn === undefined ? {} : { txn } });
  }

  delete(thing: Thing, partition: string | undefined, keys: readonly bigint[]): void {
    this.#say(`delete ${thing.id} ${partition} ${keys}`);
    const { collection: { pchannels, partitions } } = thing;
    const found = partitions.find(({ name }) => name === partition);
    const place = found?.id ?? ALL;
    this.#step();
    const ts = this.#now();
    for (const [shard, own] of Map.groupBy(keys, (key) => shardOf(key, pchannels.length))) {
      if (this.generation === 2) {
        this.#deletion(thing, shard, place, found?.name ?? "", own, ts);
        thing.deeds.push(...deedsOf(shard, place, [], own).map((deed) => ({ ...deed, ts })));
      } else this.#delete(thing, shard, place, own, ts);
    }
    this.#step();
  }

  #delete({ id, collection, deeds }: Thing, shard: number, partition: bigint, keys: readonly bigint[], ts: HybridTs) {
    this.#append(collection.pchannels[shard]!, {
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

  /** Its rows come with {@link complete}. */
  import(thing: Thing, partition: string, rows: readonly Row[]): void {
    this.#say(`import ${thing.id} ${partition} ${rows.join(" ")}`);
    if (thing.busy) return;
    const { id, collection: { pchannels, vchannels, partitions } } = thing;
    const place = partitions.find(({ name }) => name === partition) ?? partitions[0]!;
    this.#step();
    const ts = this.#now();
    const segments = [...Map.groupBy(rows, ([key]) => shardOf(key, pchannels.length))].map(([shard, own]) =>
      this.#files.add(
        ++this.#ids,
        thing.collection,
        vchannels[shard]!,
        place.id,
        own.map((row) => [ts, ...row] as const),
        {
          state: "importing",
          class: "none",
          isImporting: true,
          imported: true,
        },
      )
    );
    const task: ImportTask = {
      id: ++this.#ids,
      collectionId: id,
      state: "pending",
      segmentIds: segments,
      rows: BigInt(rows.length),
    };
    if (this.generation === 2) {
      const broadcast = { id: ++this.#ids, vchannels };
      const at = { ...placeOf(thing.collection), partition: place.id, partitionName: place.name };
      this.#tell(thing, { ...at, kind: "import", broadcast, job: task.id });
    }
    thing.imports.push({ task, ts, segments, rows, partition: place.id, commitTs: 0n });
    this.#step();
    this.#note({ importsUnderWay: [task] });
  }

  /** `newest`: of several the last that was asked for. */
  complete(thing: Thing, commit: boolean, newest = false): void {
    this.#say(`complete ${thing.id} ${commit}`);
    const under = thing.imports.filter(({ task }) => task.state === "pending");
    const own = newest ? under.at(-1) : under[0];
    if (own === undefined || thing.busy) return;
    this.#step();
    own.commitTs = commit ? this.#now() : 0n;
    if (commit && this.generation === 2) {
      const broadcast = { id: ++this.#ids, vchannels: thing.collection.vchannels };
      this.#tell(
        thing,
        { ...placeOf(thing.collection), kind: "commit_import", broadcast, job: own.task.id },
        own.commitTs,
      );
    }
    this.#step();
    own.task = { ...own.task, state: "completed" };
    const ts = commit ? own.commitTs : own.ts;
    const { length } = thing.collection.pchannels;
    const { partition } = own;
    for (const [key, value] of own.rows) {
      thing.deeds.push({ ts, partition, shard: shardOf(key, length), key, value, imported: true });
    }
    this.#files.segments = this.#files.segments.map((segment) =>
      own.segments.includes(segment.id)
        ? { ...segment, state: "flushed", class: "rows", isImporting: false, commitTimestamp: own.commitTs }
        : segment
    );
    this.#note({ importsCompleted: [own.task] });
  }

  /** The source forgets a completed import. */
  forget(thing: Thing): void {
    thing.imports = thing.imports.filter(({ task }) => task.state !== "completed");
  }

  /** All rows of the log so far are in files, and the checkpoints say so. */
  flush(): void {
    for (const thing of this.live) {
      // A copy that begins between two channels of a change that destroys rows holds the collection, which is known and open.
      if (this.generation === 2 && thing.busy) continue;
      const { deeds, collection: { vchannels, pchannels } } = thing;
      vchannels.forEach((vchannel, shard) => {
        const from = this.#checkpoints.get(vchannel)?.ts ?? 0n;
        const destroyed = deeds.filter(({ key, shard: its }) => key === undefined && its === shard);
        const rows = deeds.filter((deed) =>
          deed.shard === shard && deed.value !== undefined && deed.ts > from && deed.imported !== true &&
          // A truncation takes what is in memory, too.
          !destroyed.some(({ ts, partition }) => ts > deed.ts && (partition === ALL || partition === deed.partition))
        );
        for (const [partition, own] of Map.groupBy(rows, (deed) => deed.partition)) {
          if (!thing.collection.partitions.some((one) => one.id === partition)) continue;
          const all = own.map(({ ts, key, value }) => [ts, key!, value!] as const);
          this.#files.add(++this.#ids, thing.collection, vchannel, partition, all, {});
        }
        const offset = this.#flushed(thing, shard);
        this.#checkpoints.set(vchannel, { channel: vchannel, offset, ts: this.now });
      });
    }
    this.tick();
  }

  /** Of generation 2, a message says so. Returns from where on the log has what is in no file. */
  #flushed(thing: Thing, shard: number): bigint {
    const [pchannel, vchannel] = [thing.collection.pchannels[shard]!, thing.collection.vchannels[shard]!];
    if (this.generation === 1) return this.#written.latest(pchannel);
    const own = [...this.#growing].filter(([growing]) => growing.startsWith(`${vchannel} `));
    for (const [growing] of own) this.#growing.delete(growing);
    const asked = { ...placeOf(thing.collection), kind: "manual_flush" as const, segments: own.map(([, id]) => id) };
    this.#nodes.write(pchannel, { ...asked, vchannel, clock: this.now, tt: this.#now() });
    return this.#nodes.safe(pchannel);
  }

  /** Partition -> key -> value, `at` a moment or now. */
  rowsOf({ deeds, collection }: Thing, at?: HybridTs): Content {
    return contentOf(collection, at === undefined ? deeds : deeds.filter(({ ts }) => ts <= at));
  }

  readonly meta: MetaSource = {
    snapshot: () => Promise.resolve(this.#snapshot()),
    watch: (revision, signal) => this.#changes.after(revision, signal),
    lookup: (id) => {
      const thing = this.things.get(id);
      return Promise.resolve(
        thing === undefined ? { state: "unknown" } : { state: "live", collection: thing.collection },
      );
    },
    check: () => Promise.resolve([]),
    close: () => Promise.resolve(),
  };

  readonly binlogs: BinlogSource;

  get follow(): PipelineSource["follow"] {
    return this.#written.follow;
  }

  /** Follows a log that holds its records, an archive of them for instance. */
  followOf(log: LogSource): PipelineSource["follow"] {
    return this.#written.followOf(log);
  }

  get describe(): PipelineSource["describe"] {
    return this.#written.describe;
  }

  #catalog(): Catalog {
    return {
      databases: [{ id: 1n, name: "default", createTs: 0n, properties: {} }, {
        id: 2n,
        name: "other",
        createTs: 0n,
        properties: {},
      }],
      collections: this.live.map(({ collection }) => collection),
      rbac: { users: [], roles: [], grants: [], privilegeGroups: [] },
      notLive: [],
    };
  }

  #note(change: Partial<CatalogChange>): void {
    this.#changes.add(catalogChange(++this.#revision, this.#catalog(), change));
  }

  #snapshot(): Snapshot {
    return {
      revision: this.#revision,
      clusterId: "1",
      catalog: this.#catalog(),
      segments: this.#files.segments,
      checkpoints: this.#checkpoints,
      droppedChannels: [],
      imports: this.live.flatMap(({ imports }) => imports.map(({ task }) => task)),
      unsettled: this.live.filter(({ busy }) => this.#tells && busy).map(({ id }) => ({
        broadcastId: id,
        collectionId: id,
        typeName: "TruncateCollection",
      })),
      serverVersion: "2.6.0",
      takenAtMs: Date.now(),
    };
  }
}

function ddl(operation: string, collectionId: bigint, vchannel: string) {
  return {
    kind: "ddl",
    operation,
    type: 0,
    typeName: operation,
    collectionId,
    vchannel,
    collectionName: "",
    partitionIds: [],
    partitionName: "",
    message: undefined,
  };
}

function placeOf({ dbName, name, id }: Pick<Collection, "dbName" | "name" | "id">): Place {
  const dbId = dbName === "default" ? 1n : 2n;
  return { collection: id, name, db: dbName, dbId, partition: 0n, partitionName: "" };
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
