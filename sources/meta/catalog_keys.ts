/** The keys that make up the catalog, decoded and kept by id; changed key by key as etcd reports changes. */
import {
  AliasInfoSchema,
  CollectionInfoSchema,
  DatabaseInfoSchema,
  PartitionInfoSchema,
} from "../../pipeline/proto/gen/etcd_meta_pb.ts";
import type { AliasInfo, CollectionInfo, DatabaseInfo, PartitionInfo } from "../../pipeline/proto/gen/etcd_meta_pb.ts";
import { type FieldIndex, FieldIndexSchema } from "../../pipeline/proto/gen/index_coord_pb.ts";
import type { CollectionLoadInfo, PartitionLoadInfo, Replica } from "../../pipeline/proto/gen/query_coord_pb.ts";
import {
  CollectionLoadInfoSchema,
  PartitionLoadInfoSchema,
  ReplicaSchema,
} from "../../pipeline/proto/gen/query_coord_pb.ts";
import {
  FieldSchemaSchema,
  FunctionSchemaSchema,
  StructArrayFieldSchemaSchema,
} from "../../pipeline/proto/gen/schema_pb.ts";
import type { FieldSchema, FunctionSchema, StructArrayFieldSchema } from "../../pipeline/proto/gen/schema_pb.ts";
import type { PositionForms } from "../../pipeline/model/mod.ts";
import { kafkaPositions } from "../../pipeline/positions/mod.ts";
import { DamagedCatalog } from "./damaged_catalog.ts";
import { decodeStored, decodeValue, mustMatch } from "./decode.ts";
import { ImportKeys } from "./imports.ts";
import { damagedKey, DELETED, idOf, partsOf, type Stored } from "./keys.ts";
import { RbacKeys } from "./rbac.ts";

/** Milvus' own database; 0 is what records from before databases say. */
export const DEFAULT_DB = 1n;

/** Values by id within a collection. */
export class ByCollection<T> {
  readonly #maps = new Map<bigint, Map<bigint, T>>();

  of(collectionId: bigint): ReadonlyMap<bigint, T> {
    return this.#maps.get(collectionId) ?? new Map();
  }

  collectionIds(): IterableIterator<bigint> {
    return this.#maps.keys();
  }

  set(collectionId: bigint, id: bigint, value: T | undefined): void {
    let map = this.#maps.get(collectionId);
    if (map === undefined) this.#maps.set(collectionId, map = new Map());
    if (value === undefined) map.delete(id);
    else map.set(id, value);
    if (map.size === 0) this.#maps.delete(collectionId);
  }
}

/** Where an alias is kept: with its database (2.2.9+), without (2.1+), as a collection record (before). */
export type AliasLayout = "database/aliases" | "aliases" | "collection-alias";

export interface StoredAlias {
  readonly layout: AliasLayout;
  /** Undefined where the key does not say. */
  readonly dbId: bigint | undefined;
  readonly name: string;
  readonly value: Stored<AliasInfo>;
}

/** What changed since it was last asked for. */
export interface Touched {
  readonly collections: Set<bigint>;
  readonly imports: Set<bigint>;
  databases: boolean;
  rbac: boolean;
}

export class CatalogKeys {
  /** Of the queue in which collections begin. */
  readonly positions: PositionForms;
  readonly databases = new Map<bigint, Stored<DatabaseInfo>>();
  /** Layout from before databases. */
  readonly collectionsV1 = new Map<bigint, Stored<CollectionInfo>>();
  /** Collection id, then id of the database in the key. */
  readonly collectionsV2 = new ByCollection<Stored<CollectionInfo>>();
  readonly partitions = new ByCollection<Stored<PartitionInfo>>();
  readonly fields = new ByCollection<Stored<FieldSchema>>();
  readonly functions = new ByCollection<Stored<FunctionSchema>>();
  readonly structArrays = new ByCollection<Stored<StructArrayFieldSchema>>();
  readonly indexes = new ByCollection<FieldIndex>();
  readonly loads = new Map<bigint, CollectionLoadInfo>();
  readonly partitionLoads = new ByCollection<PartitionLoadInfo>();
  readonly replicas = new ByCollection<Replica>();
  /** By their key. */
  readonly aliases = new Map<string, StoredAlias>();
  readonly rbac = new RbacKeys();
  readonly imports = new ImportKeys();
  readonly damaged = new DamagedCatalog();
  /** Root-coord keys seen, the deleted ones too: none means a wrong root. */
  rootCoordKeys = 0;
  #touched: Touched = newTouched();

  constructor(positions: PositionForms = kafkaPositions) {
    this.positions = positions;
  }

  /** What changed since the last call. */
  takeTouched(): Touched {
    const touched = this.#touched;
    this.#touched = newTouched();
    return touched;
  }

  /**
   * Takes one key, relative to the meta root; `value` undefined = the key was removed. Keys that are not of the catalog are
   * left alone. A value that is not what its key says is in `damaged`, and what was there before stays; throws `damaged`
   * where it is of no one collection.
   */
  apply(key: string, value: Uint8Array | undefined): void {
    this.damaged.guard(key, () => this.#apply(key, value));
  }

  #apply(key: string, value: Uint8Array | undefined): void {
    if (key.startsWith("root-coord/")) this.#applyRootCoord(key, value);
    else if (key.startsWith("field-index/")) this.#applyIndex(key, value);
    else if (key.startsWith("querycoord-collection-loadinfo/")) this.#applyLoad(key, value);
    else if (key.startsWith("querycoord-partition-loadinfo/")) this.#applyPartitionLoad(key, value);
    else if (key.startsWith("querycoord-replica/")) this.#applyReplica(key, value);
    else {
      const touched = this.imports.apply(key, value);
      if (touched !== undefined) this.#touched.imports.add(touched);
    }
  }

  #applyRootCoord(key: string, value: Uint8Array | undefined): void {
    this.rootCoordKeys++;
    const [kind = "", ...rest] = partsOf(key, "root-coord/");
    switch (kind) {
      case "database":
        return this.#applyDatabase(key, rest, value);
      case "collection":
        return this.#applyCollection(key, rest[0], undefined, value);
      case "partitions": {
        const { collectionId, id } = this.#child(key, rest);
        const info = value === undefined ? undefined : decodeStored(PartitionInfoSchema, value, key);
        if (info !== undefined && info !== DELETED) mustMatch(info.partitionID, id, "partition", key);
        return this.partitions.set(collectionId, id, info);
      }
      case "fields": {
        const { collectionId, id } = this.#child(key, rest);
        const field = value === undefined ? undefined : decodeStored(FieldSchemaSchema, value, key);
        if (field !== undefined && field !== DELETED) mustMatch(field.fieldID, id, "field", key);
        return this.fields.set(collectionId, id, field);
      }
      case "functions": {
        const { collectionId, id } = this.#child(key, rest);
        const func = value === undefined ? undefined : decodeStored(FunctionSchemaSchema, value, key);
        if (func !== undefined && func !== DELETED) mustMatch(func.id, id, "function", key);
        return this.functions.set(collectionId, id, func);
      }
      case "struct-array-fields": {
        const { collectionId, id } = this.#child(key, rest);
        const field = value === undefined ? undefined : decodeStored(StructArrayFieldSchemaSchema, value, key);
        if (field !== undefined && field !== DELETED) mustMatch(field.fieldID, id, "struct-array field", key);
        return this.structArrays.set(collectionId, id, field);
      }
      case "aliases":
        return this.#applyAlias(key, "aliases", undefined, rest.join("/"), value);
      case "collection-alias":
        return this.#applyAlias(key, "collection-alias", undefined, rest.join("/"), value);
      case "credential":
      case "privilege-group":
        this.rbac.apply(key, value);
        this.#touched.rbac = true;
    }
  }

  #applyDatabase(key: string, [kind, first, second]: readonly string[], value: Uint8Array | undefined): void {
    if (kind === "db-info") {
      const id = idOf(first, key);
      this.#touched.databases = true;
      if (value === undefined) return void this.databases.delete(id);
      const info = decodeStored(DatabaseInfoSchema, value, key);
      if (info !== DELETED) mustMatch(info.id, id, "database", key);
      this.databases.set(id, info);
    } else if (kind === "collection-info") {
      this.#applyCollection(key, second, idOf(first, key), value);
    } else if (kind === "aliases" && second !== undefined) {
      this.#applyAlias(key, "database/aliases", idOf(first, key), second, value);
    }
  }

  #applyCollection(
    key: string,
    part: string | undefined,
    dbId: bigint | undefined,
    value: Uint8Array | undefined,
  ): void {
    const id = idOf(part, key);
    this.#touched.collections.add(id);
    const info = value === undefined ? undefined : decodeStored(CollectionInfoSchema, value, key);
    if (info !== undefined && info !== DELETED) {
      mustMatch(info.ID, id, "collection", key);
      if (info.schema === undefined) throw damagedKey(key, "it has no schema");
    }
    if (dbId !== undefined) this.collectionsV2.set(id, dbId, info);
    else if (info === undefined) this.collectionsV1.delete(id);
    else this.collectionsV1.set(id, info);
  }

  #applyAlias(
    key: string,
    layout: AliasLayout,
    dbId: bigint | undefined,
    name: string,
    value: Uint8Array | undefined,
  ): void {
    const before = this.aliases.get(key)?.value;
    if (before !== undefined && before !== DELETED) this.#touched.collections.add(before.collectionId);
    if (value === undefined) return void this.aliases.delete(key);
    const info = layout === "collection-alias" ? legacyAlias(value, key) : decodeStored(AliasInfoSchema, value, key);
    if (info !== DELETED) {
      if (info.collectionId === 0n) throw damagedKey(key, "it names no collection");
      this.#touched.collections.add(info.collectionId);
    }
    this.aliases.set(key, { layout, dbId, name, value: info });
  }

  #applyIndex(key: string, value: Uint8Array | undefined): void {
    const [collection, index] = partsOf(key, "field-index/");
    const [collectionId, id] = [idOf(collection, key), idOf(index, key)];
    this.#touched.collections.add(collectionId);
    const info = value === undefined ? undefined : decodeValue(FieldIndexSchema, value, key);
    if (info !== undefined) {
      if (info.indexInfo === undefined) throw damagedKey(key, "it describes no index");
      mustMatch(info.indexInfo.indexID, id, "index", key);
      mustMatch(info.indexInfo.collectionID, collectionId, "collection", key);
    }
    this.indexes.set(collectionId, id, info);
  }

  #applyLoad(key: string, value: Uint8Array | undefined): void {
    const id = idOf(partsOf(key, "querycoord-collection-loadinfo/")[0], key);
    this.#touched.collections.add(id);
    if (value === undefined) return void this.loads.delete(id);
    const info = decodeValue(CollectionLoadInfoSchema, value, key);
    mustMatch(info.collectionID, id, "collection", key);
    this.loads.set(id, info);
  }

  #applyPartitionLoad(key: string, value: Uint8Array | undefined): void {
    const [collection, partition] = partsOf(key, "querycoord-partition-loadinfo/");
    const [collectionId, id] = [idOf(collection, key), idOf(partition, key)];
    this.#touched.collections.add(collectionId);
    const info = value === undefined ? undefined : decodeValue(PartitionLoadInfoSchema, value, key);
    if (info !== undefined) mustMatch(info.partitionID, id, "partition", key);
    this.partitionLoads.set(collectionId, id, info);
  }

  #applyReplica(key: string, value: Uint8Array | undefined): void {
    const [collection, replica] = partsOf(key, "querycoord-replica/");
    const [collectionId, id] = [idOf(collection, key), idOf(replica, key)];
    this.#touched.collections.add(collectionId);
    const info = value === undefined ? undefined : decodeValue(ReplicaSchema, value, key);
    if (info !== undefined) mustMatch(info.ID, id, "replica", key);
    this.replicas.set(collectionId, id, info);
  }

  #child(key: string, [collection, child]: readonly string[]): { collectionId: bigint; id: bigint } {
    const collectionId = idOf(collection, key);
    this.#touched.collections.add(collectionId);
    return { collectionId, id: idOf(child, key) };
  }
}

function newTouched(): Touched {
  return { collections: new Set(), imports: new Set(), databases: false, rbac: false };
}

/** Before 2.1 an alias was a collection record: its name in the schema, the collection in the id. */
function legacyAlias(value: Uint8Array, key: string): Stored<AliasInfo> {
  const info = decodeStored(CollectionInfoSchema, value, key);
  if (info === DELETED) return DELETED;
  return {
    $typeName: "milvus.proto.etcd.AliasInfo",
    aliasName: info.schema?.name ?? "",
    collectionId: info.ID,
    createdTime: info.createTime,
    // CollectionState and AliasState have the same numbers.
    state: info.state as number,
    dbId: 0n,
  };
}
