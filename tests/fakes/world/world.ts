/**
 * A source in memory with databases, partitions, aliases, renames, imports and changes that reach their channels one after the
 * other, in records of either generation. Its rows are what all of its log and its imports leave, each at its time.
 */
import { catalogChange } from "../catalog_change.ts";
import { create } from "@bufbuild/protobuf";
import type { DescribeRecord } from "../../../pipeline/flow/mod.ts";
import {
  type BinlogSource,
  type Catalog,
  type CatalogChange,
  type Collection,
  hybridFromMs,
  type HybridTs,
  type ImportTask,
  type LogEvent,
  type LogRecord,
  type LogSource,
  type MetaSource,
  type Snapshot,
  type StoredPosition,
} from "../../../pipeline/model/mod.ts";
import { ConsistencyLevel } from "../../../pipeline/proto/gen/common_pb.ts";
import { CollectionSchemaSchema, DataType, FieldSchemaSchema } from "../../../pipeline/proto/gen/schema_pb.ts";
import { shardOf } from "../../../pipeline/transforms/mod.ts";
import type { Decoded } from "../../../sources/log/decoded.ts";
import { followPchannel } from "../../../sources/log/mod.ts";
import type { MemoryStore } from "../../../stores/mod.ts";
import { int64Column } from "../int64_column.ts";
import { FakeLog } from "../log.ts";
import type { PipelineSource } from "../pipeline.ts";
import { Changes } from "./changes.ts";
import { ALL, type Content, contentOf, type Deed } from "./deeds.ts";
import { type Row, WorldFiles } from "./files.ts";

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
}

const KEY = create(FieldSchemaSchema, { fieldID: 100n, name: "id", isPrimaryKey: true, dataType: DataType.Int64 });
const VALUE = create(FieldSchemaSchema, { fieldID: 101n, name: "value", dataType: DataType.Int64 });
const FIRST_MS = 1_795_000_000_000;

export class World implements PipelineSource {
  readonly log = new FakeLog({ maxRecords: 8 });
  readonly things = new Map<bigint, Thing>();
  /** What is still to come of changes that have begun. */
  readonly pending: (() => void)[] = [];
  generation: 1 | 2 = 1;
  readonly #events: Decoded[] = [];
  readonly #changes = new Changes();
  readonly #files: WorldFiles;
  /** Whether its metadata tells of changes that have not reached every channel; else a copy may begin in the middle of one. */
  readonly #tells: boolean;
  /** What was done, for people. */
  readonly said: string[] = [];
  readonly #checkpoints = new Map<string, StoredPosition>();
  #ms = FIRST_MS;
  #ids = 100n;
  #revision = 1n;

  /** `store`: where its segments have files. Left out: nobody copies them. */
  constructor(readonly pchannels: readonly string[], store?: MemoryStore) {
    this.#files = new WorldFiles(store);
    this.#tells = store !== undefined;
    this.binlogs = this.#files.binlogs;
    for (const pchannel of pchannels) this.log.createTopic(pchannel);
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

  #append(pchannel: string, event: Record<string, unknown>, ts = this.#now()): HybridTs {
    const n = this.#events.push({
      generation: this.generation,
      ts,
      pchannel,
      vchannel: "",
      ...event,
    } as unknown as Decoded) - 1;
    this.log.append(pchannel, [{ value: new TextEncoder().encode(`${n}`) }]);
    return ts;
  }

  #step(): void {
    this.#ms++;
  }

  tick(): void {
    this.#ms++;
    const ticking = new Set(this.live.flatMap(({ collection }) => collection.pchannels));
    for (const pchannel of this.pchannels) {
      if (ticking.has(pchannel)) this.#append(pchannel, { kind: "tick" }, hybridFromMs(this.#ms));
    }
  }

  ticking(): Disposable {
    const timer = setInterval(() => this.tick(), 2);
    return { [Symbol.dispose]: () => clearInterval(timer) };
  }

  create(db: string, name: string, ...pchannels: readonly string[]): Thing {
    this.#say(`create ${db}.${name} on ${pchannels}`);
    const id = ++this.#ids;
    this.#step();
    const ts = this.#now();
    const vchannels = pchannels.map((pchannel, shard) => `${pchannel}_${id}v${shard}`);
    const startOffsets = new Map(pchannels.map((pchannel, shard) => {
      this.#append(pchannel, ddl("create_collection", id, vchannels[shard]!), ts);
      return [pchannel, this.#latest(pchannel)];
    }));
    const collection: Collection = {
      id,
      dbId: db === "default" ? 1n : 2n,
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
      partitions: [{ id: ++this.#ids, name: "_default", createTs: ts }],
      aliases: [],
      indexes: [],
      load: { scope: "collection", partitionIds: [], replicas: 1, loadFields: [], loaded: true },
    };
    const thing: Thing = { id, collection, deeds: [], busy: false, imports: [] };
    this.things.set(id, thing);
    this.#step();
    this.#note({ changed: [id] });
    return thing;
  }

  #latest(pchannel: string): bigint {
    return this.log.append(pchannel, []);
  }

  change(thing: Thing, more: Partial<Collection>): void {
    this.#say(`change of ${thing.id}: ${Object.keys(more)}`);
    thing.collection = { ...thing.collection, ...more };
    this.#note({ changed: [thing.id] });
  }

  partition(thing: Thing, name: string): void {
    const { partitions } = thing.collection;
    if (partitions.some((one) => one.name === name)) return;
    this.change(thing, { partitions: [...partitions, { id: ++this.#ids, name, createTs: this.#now() }] });
  }

  dropPartition(thing: Thing, name: string, numbered: boolean): void {
    this.#say(`drop partition ${name} of ${thing.id} ${numbered} ${thing.busy}`);
    const gone = thing.collection.partitions.find((one) => one.name === name);
    if (gone === undefined || thing.busy || name === "_default") return;
    const more = { partitionIds: [gone.id], partitionName: name };
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
    operation: string,
    more: Record<string, unknown>,
    numbered: boolean,
    metadata: () => void,
    done: (shard: number, ts: HybridTs) => void = () => {},
  ): void {
    const { pchannels, vchannels } = thing.collection;
    thing.busy = true;
    const broadcast = { id: ++this.#ids, vchannels };
    if (this.generation === 1) {
      this.#step();
      const ts = this.#now();
      metadata();
      pchannels.forEach((pchannel, shard) => {
        done(shard, ts);
        this.#append(pchannel, { ...ddl(operation, thing.id, ""), ...more }, ts);
      });
      this.#step();
      thing.busy = false;
      return;
    }
    const copies = pchannels.map((pchannel, shard) => () => {
      this.#step();
      const event = { ...ddl(operation, thing.id, vchannels[shard]!), ...more, ...numbered ? { broadcast } : {} };
      done(shard, this.#append(pchannel, event));
      this.#say(`${operation} of ${thing.id} at ${shard}`);
      this.#step();
    });
    const last = () => {
      metadata();
      thing.busy = false;
    };
    copies.shift()!();
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

  delete(thing: Thing, partition: string | undefined, keys: readonly bigint[]): void {
    this.#say(`delete ${thing.id} ${partition} ${keys}`);
    const { collection: { pchannels, partitions } } = thing;
    const place = partitions.find(({ name }) => name === partition)?.id ?? ALL;
    this.#step();
    const ts = this.#now();
    for (const [shard, own] of Map.groupBy(keys, (key) => shardOf(key, pchannels.length))) {
      this.#delete(thing, shard, place, own, ts);
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
        const offset = this.#latest(pchannels[shard]!);
        this.#checkpoints.set(vchannel, { channel: vchannel, offset, ts: this.now });
      });
    }
    this.tick();
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

  /** A record is the number of its event. */
  readonly #decode = (value: Uint8Array, offset: bigint): Decoded => {
    const event = this.#events[Number(new TextDecoder().decode(value))]!;
    return event.kind === "tick" ? event : { ...event, offset, bytes: value.length } as Decoded;
  };

  readonly follow: PipelineSource["follow"] = (request, signal) => this.followOf(this.log)(request, signal);

  /** Follows a log that holds its records, an archive of them for instance. */
  followOf(log: LogSource): PipelineSource["follow"] {
    const decode = (record: LogRecord) => this.#decode(record.value!, record.offset);
    return (request, signal) => followPchannel(log, { ...request, decode }, signal);
  }

  readonly describe: DescribeRecord = (record) => {
    const event = this.#decode(record.value!, record.offset) as LogEvent | {
      readonly kind: "tick";
      readonly ts: bigint;
    };
    if (event.kind === "tick") return { ts: event.ts, vchannel: "", type: "tick", collectionId: undefined };
    const type = event.kind === "ddl" ? event.operation : event.kind;
    return { ts: event.ts, vchannel: event.vchannel, type, collectionId: event.collectionId };
  };

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
