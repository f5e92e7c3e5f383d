/** The catalog that the keys describe: live objects joined, everything else with the reason why it is not live. */
import { create } from "@bufbuild/protobuf";
import { TidemarkError } from "../../pipeline/errors.ts";
import type {
  Catalog,
  Collection,
  Database,
  HybridTs,
  Index,
  LoadState,
  Partition,
  PositionForms,
  Properties,
} from "../../pipeline/model/mod.ts";
import {
  type CollectionInfo,
  CollectionState,
  DatabaseState,
  PartitionState,
} from "../../pipeline/proto/gen/etcd_meta_pb.ts";
import { LoadStatus, LoadType } from "../../pipeline/proto/gen/query_coord_pb.ts";
import { type CollectionSchema, CollectionSchemaSchema } from "../../pipeline/proto/gen/schema_pb.ts";
import { type AliasReading, readAliases } from "./aliases.ts";
import { type CatalogKeys, DEFAULT_DB } from "./catalog_keys.ts";
import { reasonOf } from "./damaged_catalog.ts";
import { propertiesOf } from "./decode.ts";
import { damagedKey, DELETED, type Stored } from "./keys.ts";
import type { NotLiveReading } from "./readings.ts";

/** What the keys say of one collection id. */
export interface CollectionReading {
  readonly id: bigint;
  /** `live`, or in which state of its life; `deleted`: tombstone; `orphan`: children without a collection key. */
  readonly state: "live" | "creating" | "dropping" | "deleted" | "orphan";
  readonly name: string;
  readonly dbId: bigint;
  readonly collection: Collection | undefined;
  /** Children that are not live, then the collection itself where it is not. */
  readonly notLive: readonly NotLiveReading[];
  readonly vchannels: readonly string[];
  /** vchannel -> time of its last truncation (2.6.x, 3.0): older segments are gone although they may not be Dropped yet. */
  readonly truncated: ReadonlyMap<string, HybridTs>;
}

export interface DatabasesReading {
  readonly live: ReadonlyMap<bigint, Database>;
  /** No database key exists: a release before databases. */
  readonly implied: boolean;
  readonly notLive: readonly NotLiveReading[];
}

export function readDatabases(keys: CatalogKeys): DatabasesReading {
  const live = new Map<bigint, Database>();
  const notLive: NotLiveReading[] = [];
  for (const [id, info] of [...keys.databases].sort(byId)) {
    if (info === DELETED) notLive.push({ kind: "database", id: id.toString(), reason: "tombstone" });
    else if (info.state === DatabaseState.DatabaseCreated) {
      live.set(id, { id, name: info.name, createTs: info.createdTime, properties: propertiesOf(info.properties) });
    } else {
      const reason = DatabaseState[info.state] ?? `state ${info.state}`;
      notLive.push({ kind: "database", id: id.toString(), name: info.name, reason });
    }
  }
  const implied = !keys.databases.has(DEFAULT_DB);
  if (implied) live.set(DEFAULT_DB, { id: DEFAULT_DB, name: "default", createTs: 0n, properties: {} });
  return { live, implied, notLive };
}

/** Ids of all collections that any key speaks of, by id. */
export function collectionIds(keys: CatalogKeys): bigint[] {
  const ids = new Set([
    ...keys.collectionsV1.keys(),
    ...keys.collectionsV2.collectionIds(),
    ...keys.damaged.collectionIds,
  ]);
  for (const children of [keys.partitions, keys.fields, keys.functions, keys.structArrays]) {
    for (const id of children.collectionIds()) ids.add(id);
  }
  return [...ids].sort((a, b) => a < b ? -1 : 1);
}

/**
 * A live collection that contradicts itself, or of which a key is damaged, is `damaged`. Throws `damaged` where it is its record
 * and the name is known from nowhere: which one it is, and whether it is selected, nobody can say.
 */
export function readCollection(
  keys: CatalogKeys,
  id: bigint,
  databases: DatabasesReading,
  aliases: AliasReading,
): CollectionReading {
  const found = collectionInfo(keys, id);
  const nameless = found === undefined || found.info === DELETED ? keys.damaged.ofRecord(id) : undefined;
  if (nameless !== undefined) throw nameless;
  const none = { id, name: "", dbId: 0n, collection: undefined, vchannels: [], truncated: new Map() };
  if (found === undefined) {
    // From 2.6.5 on children are written before the collection, so this can be a creation in progress.
    if ([...keys.partitions.of(id).values(), ...keys.fields.of(id).values()].every((child) => child === DELETED)) {
      return { ...none, state: "orphan", notLive: [] };
    }
    const reason = "orphan children, no collection key";
    return { ...none, state: "orphan", notLive: [{ kind: "collection", id: id.toString(), reason }] };
  }
  if (found.info === DELETED) {
    return { ...none, state: "deleted", notLive: [{ kind: "collection", id: id.toString(), reason: "tombstone" }] };
  }
  const { info, keyDbId } = found;
  const stored = info.dbId === 0n ? keyDbId ?? 0n : info.dbId;
  const dbId = stored === 0n ? DEFAULT_DB : stored;
  const name = info.schema!.name;
  const reading = {
    id,
    name,
    dbId,
    collection: undefined,
    vchannels: info.virtualChannelNames,
    truncated: new Map(
      info.shardInfos.map((shard, at) => [info.virtualChannelNames[at] ?? "", shard.lastTruncateTimeTick]),
    ),
  };
  const dead = (state: CollectionReading["state"], reason: string): CollectionReading => ({
    ...reading,
    state,
    notLive: [{ kind: "collection", id: id.toString(), name, reason }],
  });
  if (info.state !== CollectionState.CollectionCreated) {
    const state = info.state === CollectionState.CollectionCreating ? "creating" : "dropping";
    return dead(state, CollectionState[info.state] ?? `state ${info.state}`);
  }
  const database = databases.live.get(dbId);
  if (database === undefined) return dead("dropping", `its database ${dbId} is not live`);
  const { notLive, ...parts } = partsOf(keys, info);
  return {
    ...reading,
    state: "live",
    notLive,
    collection: {
      id,
      dbId,
      dbName: database.name,
      name,
      ...parts,
      createTs: info.createTime,
      ...([...reading.truncated.values()].some((ts) => ts > 0n) ? { truncated: reading.truncated } : {}),
      consistency: info.consistencyLevel,
      properties: propertiesOf(info.properties),
      aliases: aliases.byCollection.get(id) ?? [],
      indexes: indexesOf(keys, id, parts.schema),
      load: loadOf(keys, id),
      ...truncations(reading.truncated),
    },
  };
}

type Parts =
  & Pick<Collection, "schema" | "partitions" | "shards" | "vchannels" | "pchannels" | "startOffsets" | "damaged">
  & Pick<CollectionReading, "notLive">;

function partsOf(keys: CatalogKeys, info: CollectionInfo): Parts {
  const damage = keys.damaged.of(info.ID);
  try {
    if (damage !== undefined) throw damage;
    return { ...childrenOf(keys, info), ...channelsOf(info, keys.positions) };
  } catch (thrown) {
    if (!(thrown instanceof TidemarkError) || thrown.code !== "damaged") throw thrown;
    const { virtualChannelNames: vchannels } = info;
    return {
      schema: info.schema!,
      partitions: [],
      shards: vchannels.length,
      vchannels,
      pchannels: vchannels.map((vchannel) => vchannel.replace(/_\d+v\d+$/, "")),
      startOffsets: new Map(),
      notLive: [],
      damaged: reasonOf(thrown),
    };
  }
}

function truncations(all: ReadonlyMap<string, HybridTs>): Pick<Collection, "truncatedAt"> {
  const truncatedAt = new Map([...all].filter(([vchannel, ts]) => vchannel !== "" && ts > 0n));
  return truncatedAt.size === 0 ? {} : { truncatedAt };
}

/** The whole catalog from readings of its collections. */
export function catalogOf(
  keys: CatalogKeys,
  databases: DatabasesReading,
  collections: readonly CollectionReading[],
  aliases: AliasReading,
): Catalog & { readonly notLive: readonly NotLiveReading[] } {
  const children = collections.filter(({ state }) => state === "live").flatMap(({ notLive }) => notLive);
  const dead = collections.filter(({ state }) => state !== "live").flatMap((reading) => reading.notLive);
  const tombstones = (list: readonly NotLiveReading[]) => list.filter(({ reason }) => reason === "tombstone");
  const others = (list: readonly NotLiveReading[]) => list.filter(({ reason }) => reason !== "tombstone");
  return {
    databases: [...databases.live.values()].sort((a, b) => a.id < b.id ? -1 : 1),
    collections: collections.flatMap(({ collection }) => collection ?? []),
    rbac: keys.rbac.build(),
    notLive: [
      ...databases.notLive,
      ...tombstones(children),
      ...tombstones(aliases.notLive),
      ...others(children),
      ...others(aliases.notLive),
      ...dead.filter(({ reason }) => !reason.startsWith("orphan")),
      ...dead.filter(({ reason }) => reason.startsWith("orphan")),
      ...deletedIndexes(keys),
    ],
  };
}

/** Reads everything in `keys`. Throws `damaged` as {@link readCollection} does. */
export function readCatalog(keys: CatalogKeys): {
  readonly databases: DatabasesReading;
  readonly aliases: AliasReading;
  readonly collections: readonly CollectionReading[];
  readonly catalog: ReturnType<typeof catalogOf>;
} {
  const databases = readDatabases(keys);
  const aliases = readAliases(keys);
  const collections = collectionIds(keys).map((id) => readCollection(keys, id, databases, aliases));
  return { databases, aliases, collections, catalog: catalogOf(keys, databases, collections, aliases) };
}

/** The same collection can be under the old and the new key for a moment: the new one wins, a live one over a tombstone. */
function collectionInfo(
  keys: CatalogKeys,
  id: bigint,
): { info: Stored<CollectionInfo>; keyDbId: bigint | undefined } | undefined {
  const v2 = [...keys.collectionsV2.of(id)];
  const live = v2.find(([, info]) => info !== DELETED);
  if (live !== undefined) return { info: live[1], keyDbId: live[0] };
  if (v2.length > 0) return { info: DELETED, keyDbId: undefined };
  const v1 = keys.collectionsV1.get(id);
  return v1 === undefined ? undefined : { info: v1, keyDbId: undefined };
}

/** Fields, functions, struct arrays and partitions are in keys of their own unless the record has them inline. */
function childrenOf(keys: CatalogKeys, info: CollectionInfo): {
  schema: CollectionSchema;
  partitions: readonly Partition[];
  notLive: readonly NotLiveReading[];
} {
  const stored = info.schema!;
  const notLive: NotLiveReading[] = [];
  const live = <T>(map: ReadonlyMap<bigint, Stored<T>>, kind: string): T[] =>
    [...map].sort(byId).flatMap(([id, value]) => {
      if (value !== DELETED) return [value];
      notLive.push({ kind, id: id.toString(), reason: "tombstone" });
      return [];
    });
  const key = `of collection ${info.ID}`;

  const partitions: Partition[] = [];
  if (info.partitionIDs.length + info.partitionNames.length + info.partitionCreatedTimestamps.length > 0) {
    info.partitionIDs.forEach((id, at) => {
      const name = info.partitionNames[at];
      if (name === undefined) throw damagedKey(key, `partition ${id} has no name`);
      partitions.push({ id, name, createTs: info.partitionCreatedTimestamps[at] ?? info.createTime });
    });
  } else {
    for (const partition of live(keys.partitions.of(info.ID), "partition")) {
      const { partitionID: id, partitionName: name, partitionCreatedTimestamp: createTs, state } = partition;
      if (state === PartitionState.PartitionCreated) partitions.push({ id, name, createTs });
      else {
        const reason = PartitionState[state] ?? `state ${state}`;
        notLive.push({ kind: "partition", id: id.toString(), reason });
      }
    }
  }
  const inline = stored.fields.length + stored.structArrayFields.length > 0;
  const schema = create(CollectionSchemaSchema, {
    ...stored,
    ...(inline ? { fields: [...stored.fields].sort((a, b) => a.fieldID < b.fieldID ? -1 : 1) } : {
      fields: live(keys.fields.of(info.ID), "field"),
      structArrayFields: live(keys.structArrays.of(info.ID), "struct_array_field"),
    }),
    functions: stored.functions.length > 0 ? stored.functions : live(keys.functions.of(info.ID), "function"),
  });
  if (!schema.fields.some((field) => field.isPrimaryKey)) throw damagedKey(key, "no field is the primary key");
  return { schema, partitions, notLive };
}

function channelsOf(
  info: CollectionInfo,
  forms: PositionForms,
): Pick<Collection, "shards" | "vchannels" | "pchannels" | "startOffsets"> {
  const { virtualChannelNames: vchannels, physicalChannelNames: pchannels } = info;
  if (vchannels.length === 0 || vchannels.length !== pchannels.length) {
    throw damagedKey(
      `of collection ${info.ID}`,
      `it has ${vchannels.length} vchannels on ${pchannels.length} pchannels`,
    );
  }
  const startOffsets = info.startPositions.flatMap(({ key, data }) => {
    const offset = forms.fromMilvus(data);
    return offset === undefined ? [] : [[key, offset] as const];
  });
  const shards = info.shardsNum === 0 ? vchannels.length : info.shardsNum;
  return { shards, vchannels, pchannels, startOffsets: new Map(startOffsets) };
}

function indexesOf(keys: CatalogKeys, collectionId: bigint, schema: CollectionSchema): Index[] {
  const fields = [...schema.fields, ...schema.structArrayFields.flatMap((parent) => parent.fields)];
  return [...keys.indexes.of(collectionId)].sort(byId).flatMap(([id, { indexInfo, deleted, createTime }]) => {
    if (deleted) return [];
    const info = indexInfo!;
    const field = fields.find((candidate) => candidate.fieldID === info.fieldID);
    return [{
      id,
      fieldId: info.fieldID,
      fieldName: field?.name ?? "",
      name: info.indexName,
      params: indexParams(info),
      typeParams: propertiesOf(info.typeParams),
      isAuto: info.isAutoIndex,
      createTs: createTime,
    }];
  });
}

/** As the user gave them; records from before they were kept have only what the server made of them. */
function indexParams(
  info: { userIndexParams: Parameters<typeof propertiesOf>[0]; indexParams: Parameters<typeof propertiesOf>[0] },
): Properties {
  return propertiesOf(info.userIndexParams.length > 0 ? info.userIndexParams : info.indexParams);
}

function deletedIndexes(keys: CatalogKeys): NotLiveReading[] {
  return [...keys.indexes.collectionIds()].sort((a, b) => a < b ? -1 : 1).flatMap((collectionId) =>
    [...keys.indexes.of(collectionId)].sort(byId).flatMap(([id, { deleted, indexInfo }]) =>
      deleted ? [{ kind: "index", id: id.toString(), name: indexInfo!.indexName, reason: "deleted=true" }] : []
    )
  );
}

function loadOf(keys: CatalogKeys, collectionId: bigint): LoadState | undefined {
  const whole = keys.loads.get(collectionId);
  const parts = [...keys.partitionLoads.of(collectionId)].sort(byId);
  if (whole === undefined && parts.length === 0) return undefined;
  const groups = [...keys.replicas.of(collectionId)].map(([, { resourceGroup }]) => resourceGroup).filter(Boolean)
    .sort();
  const partsLoaded = parts.every(([, part]) => part.status === LoadStatus.Loaded);
  return {
    scope: whole === undefined || whole.loadType === LoadType.LoadPartition ? "partitions" : "collection",
    partitionIds: parts.map(([id]) => id),
    replicas: whole?.replicaNumber ?? parts[0]![1].replicaNumber,
    ...groups.length === 0 ? {} : { resourceGroups: groups },
    loadFields: whole?.loadFields ?? [],
    loaded: partsLoaded && (whole === undefined || whole.status === LoadStatus.Loaded),
  };
}

function byId(a: readonly [bigint, unknown], b: readonly [bigint, unknown]): number {
  return a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0;
}
