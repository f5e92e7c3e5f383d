/** Collections, partitions and aliases of a world, and the changes that destroy their rows, which reach channel after channel. */
import { create } from "@bufbuild/protobuf";
import type { Collection, HybridTs } from "../../../pipeline/model/mod.ts";
import { ConsistencyLevel } from "../../../pipeline/proto/gen/common_pb.ts";
import { CollectionSchemaSchema, DataType, FieldSchemaSchema } from "../../../pipeline/proto/gen/schema_pb.ts";
import { addedColumn, type Altered, type Change, type Place } from "../streaming/action.ts";
import { ALL } from "./deeds.ts";
import { WorldRows } from "./rows.ts";
import { addedTo, placeOf, type Thing } from "./thing.ts";

const KEY = create(FieldSchemaSchema, { fieldID: 100n, name: "id", isPrimaryKey: true, dataType: DataType.Int64 });
const VALUE = create(FieldSchemaSchema, { fieldID: 101n, name: "value", dataType: DataType.Int64 });

export abstract class WorldStructure extends WorldRows {
  create(db: string, name: string, ...pchannels: readonly string[]): Thing {
    this.say(`create ${db}.${name} on ${pchannels}`);
    const id = ++this.ids;
    this.step();
    const ts = this.next();
    const vchannels = pchannels.map((pchannel, shard) => `${pchannel}_${id}v${shard}`);
    const partition = { id: ++this.ids, name: "_default", createTs: ts };
    const place: Place = {
      ...placeOf({ dbName: db, name, id }),
      partition: partition.id,
      partitionName: partition.name,
    };
    const broadcast = this.broadcast(vchannels);
    const message: Change = { ...place, kind: "create_collection", broadcast, vchannels, pchannels };
    const startOffsets = new Map(pchannels.map((pchannel, shard): [string, bigint] => {
      const vchannel = vchannels[shard]!;
      if (this.generation === 2) return [pchannel, this.nodes.writeAlone(pchannel, { ...message, vchannel, tt: ts })];
      this.append(pchannel, ddl("create_collection", id, vchannel), ts);
      return [pchannel, this.written.latest(pchannel)];
    }));
    this.control(message);
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
    this.step();
    this.note({ changed: [id] });
    return thing;
  }

  /** On a channel of its own, on which nothing is written any more. */
  createSilent(name: string, pchannel: string): void {
    this.grow(pchannel);
    this.create("default", name, pchannel);
    this.nodes.tick(pchannel, this.now);
    this.silent.add(pchannel);
  }

  change(thing: Thing, more: Partial<Collection>): void {
    this.say(`change of ${thing.id}: ${Object.keys(more)}`);
    thing.collection = { ...thing.collection, ...more };
    this.note({ changed: [thing.id] });
  }

  partition(thing: Thing, name: string): void {
    const { partitions } = thing.collection;
    if (partitions.some((one) => one.name === name)) return;
    const id = ++this.ids;
    if (this.generation === 2) {
      const broadcast = this.broadcast(thing.collection.vchannels);
      const place = { ...placeOf(thing.collection), partition: id, partitionName: name };
      this.tell(thing, { ...place, kind: "create_partition", broadcast });
    }
    this.change(thing, { partitions: [...partitions, { id, name, createTs: this.next() }] });
  }

  dropPartition(thing: Thing, name: string, numbered: boolean): void {
    this.say(`drop partition ${name} of ${thing.id} ${numbered} ${thing.busy}`);
    const gone = thing.collection.partitions.find((one) => one.name === name);
    if (gone === undefined || thing.busy || name === "_default") return;
    const more = { partition: gone.id, partitionName: name };
    this.#destroy(thing, "drop_partition", more, numbered, () => {
      this.change(thing, { partitions: thing.collection.partitions.filter(({ id }) => id !== gone.id) });
    }, (shard, ts) => thing.deeds.push({ ts, partition: gone.id, shard }));
  }

  truncate(thing: Thing): void {
    this.say(`truncate ${thing.id}`);
    if (this.generation === 1 || thing.busy || thing.imports.some(({ task }) => task.state !== "completed")) return;
    const times: HybridTs[] = [];
    this.#destroy(thing, "truncate_collection", {}, true, () => {
      this.files.segments = this.files.segments.map((segment) =>
        segment.collectionId === thing.id &&
          this.files.rowsOf(segment).every(([ts]) => ts < times[thing.collection.vchannels.indexOf(segment.vchannel)]!)
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
    this.say(`drop ${thing.id} ${numbered} ${thing.busy}`);
    if (thing.busy) return;
    this.#destroy(thing, "drop_collection", {}, numbered, () => {
      this.things.delete(thing.id);
      this.files.segments = this.files.segments.filter(({ collectionId }) => collectionId !== thing.id);
      this.note({ gone: [thing.id] });
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
      this.step();
      const ts = this.next();
      metadata();
      pchannels.forEach((pchannel, shard) => {
        done(shard, ts);
        const partition = of.partition === undefined
          ? {}
          : { partitionIds: [of.partition], partitionName: of.partitionName };
        this.append(pchannel, { ...ddl(kind, thing.id, ""), ...partition }, ts);
      });
      this.step();
      thing.busy = false;
      return;
    }
    this.fail(thing);
    const message: Change = { ...place, kind, ...numbered ? { broadcast: this.broadcast(vchannels) } : {} };
    const copies = pchannels.map((pchannel, shard) => () => {
      this.step();
      const tt = this.next();
      this.nodes.writeAlone(pchannel, { ...message, vchannel: vchannels[shard]!, tt });
      done(shard, tt);
      this.say(`${kind} of ${thing.id} at ${shard}`);
      this.step();
    });
    const last = () => {
      metadata();
      thing.busy = false;
    };
    copies.shift()!();
    this.control(message);
    this.step();
    this.pending.push(...copies, last);
  }

  /** Of generation 2: its rows bring the column from then on. */
  addColumn(thing: Thing): void {
    if (thing.busy || this.generation === 1) return;
    const at = addedTo(thing);
    const field = create(FieldSchemaSchema, {
      fieldID: 102n + BigInt(at),
      name: addedColumn(at),
      dataType: DataType.Int64,
      nullable: true,
    });
    const { schema } = thing.collection;
    const grown = create(CollectionSchemaSchema, { ...schema, fields: [...schema.fields, field], version: at + 1 });
    this.#alter(thing, { columns: at + 1 }, { schema: grown });
  }

  setProperties(thing: Thing, properties: Readonly<Record<string, string>>): void {
    if (!thing.busy) this.#alter(thing, { properties }, { properties });
  }

  /** Of generation 1 only the metadata tells. */
  #alter(thing: Thing, altered: Altered, collection: Partial<Collection>): void {
    if (this.generation === 2) {
      this.fail(thing);
      this.step();
      const broadcast = this.broadcast(thing.collection.vchannels);
      this.tell(thing, { ...placeOf(thing.collection), kind: "alter_collection", broadcast, altered });
    }
    this.change(thing, collection);
  }

  rename(thing: Thing, db: string, name: string): void {
    if (thing.busy || this.find(db, name) !== undefined) return;
    if (this.live.some(({ collection: { dbName, aliases } }) => dbName === db && aliases.includes(name))) return;
    const dbId = db === "default" ? 1n : 2n;
    const aliases = db === thing.collection.dbName ? thing.collection.aliases : [];
    const moved = db === thing.collection.dbName ? {} : { db: { id: dbId, name: db } };
    this.#alter(thing, { name, ...moved }, { dbId, dbName: db, name, aliases });
  }

  alias(thing: Thing, alias: string): void {
    this.say(`alias ${thing.id} ${alias}`);
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
    this.note({ changed: [...changed, thing.id] });
  }

  unalias(thing: Thing): void {
    this.change(thing, { aliases: thing.collection.aliases.slice(1) });
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
