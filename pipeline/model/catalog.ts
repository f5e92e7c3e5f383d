/** What the source consists of: databases, collections and what hangs on them, as of one etcd revision. */
import type { CollectionSchema } from "../proto/gen/schema_pb.ts";
import type { ConsistencyLevel } from "../proto/gen/common_pb.ts";
import type { HybridTs } from "./hybrid.ts";
import type { Position } from "./position.ts";

export type Properties = Readonly<Record<string, string>>;

/** Databases exist since 2.2.9; before, everything is in `default` (id 1). */
export interface Database {
  readonly id: bigint;
  readonly name: string;
  readonly createTs: HybridTs;
  readonly properties: Properties;
}

export interface Partition {
  readonly id: bigint;
  readonly name: string;
  readonly createTs: HybridTs;
}

/** One index as the user defined it. */
export interface Index {
  readonly id: bigint;
  readonly fieldId: bigint;
  readonly fieldName: string;
  readonly name: string;
  /** The parameters of CreateIndex as the user gave them: `index_type`, `metric_type`, `params` (JSON text), … */
  readonly params: Properties;
  readonly typeParams: Properties;
  readonly isAuto: boolean;
  readonly createTs: HybridTs;
}

/** Present while a collection, or some of its partitions, is loaded or loading. */
export interface LoadState {
  /** `collection`: all partitions, also future ones; `partitions`: just the ones named. */
  readonly scope: "collection" | "partitions";
  readonly partitionIds: readonly bigint[];
  readonly replicas: number;
  /** Resource group of each replica; left out where that is not known. */
  readonly resourceGroups?: readonly string[];
  /** Field ids, empty = all (2.4+). */
  readonly loadFields: readonly bigint[];
  readonly loaded: boolean;
}

/** A live collection (CollectionState Created) with its live partitions. Identity is `id`, never the name. */
export interface Collection {
  readonly id: bigint;
  readonly dbId: bigint;
  readonly dbName: string;
  readonly name: string;
  /** With fields, functions and struct-array fields joined from their own keys; system fields 0 and 1 included as stored. */
  readonly schema: CollectionSchema;
  readonly shards: number;
  /** `vchannels[i]` is carried by `pchannels[i]`. */
  readonly vchannels: readonly string[];
  readonly pchannels: readonly string[];
  /** pchannel -> place of the CreateCollection record. */
  readonly startOffsets: ReadonlyMap<string, Position>;
  readonly createTs: HybridTs;
  /** vchannel -> moment of its last truncation, of that channel's own time (2.6, 3.0). */
  readonly truncated?: ReadonlyMap<string, HybridTs>;
  readonly consistency: ConsistencyLevel;
  readonly properties: Properties;
  readonly partitions: readonly Partition[];
  readonly aliases: readonly string[];
  readonly indexes: readonly Index[];
  readonly load: LoadState | undefined;
  /**
   * vchannel -> time of its last truncation (2.6.x, 3.0), which differs from channel to channel: rows up to it are gone.
   * Channels that were never truncated are not in it; undefined: none was.
   */
  readonly truncatedAt?: ReadonlyMap<string, HybridTs>;
  /**
   * Why its metadata cannot be read; undefined: it can. Then of all that is here only ids, names and vchannels can be believed.
   */
  readonly damaged?: string;
}

export interface Grant {
  readonly role: string;
  readonly objectType: string;
  readonly object: string;
  readonly dbName: string;
  readonly privilege: string;
  readonly grantor: string;
}

export interface Rbac {
  /** User name and the stored bcrypt hash; the password itself is nowhere. */
  readonly users: readonly {
    readonly name: string;
    readonly passwordHash: string;
    readonly roles: readonly string[];
  }[];
  readonly roles: readonly string[];
  readonly grants: readonly Grant[];
  readonly privilegeGroups: readonly { readonly name: string; readonly privileges: readonly string[] }[];
}

/** Something in the metadata that is not usable, with the reason (tombstone, Creating, Dropping, orphan, …). */
export interface NotLive {
  readonly kind: string;
  readonly id: string;
  readonly reason: string;
}

export interface Catalog {
  readonly databases: readonly Database[];
  readonly collections: readonly Collection[];
  readonly rbac: Rbac;
  readonly notLive: readonly NotLive[];
}

/**
 * The primary key field of a collection.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { create } from "@bufbuild/protobuf";
 * import { CollectionSchemaSchema } from "../proto/gen/schema_pb.ts";
 * import { primaryKey } from "./catalog.ts";
 *
 * const schema = create(CollectionSchemaSchema, { fields: [{ name: "id", isPrimaryKey: true }, { name: "title" }] });
 * assert.equal(primaryKey(schema)?.name, "id");
 * ```
 */
export function primaryKey(schema: CollectionSchema): CollectionSchema["fields"][number] | undefined {
  return schema.fields.find((field) => field.isPrimaryKey);
}

/**
 * The partition-key field, if the collection has one: its partitions are then chosen by hash, never by name.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { create } from "@bufbuild/protobuf";
 * import { CollectionSchemaSchema } from "../proto/gen/schema_pb.ts";
 * import { partitionKey } from "./catalog.ts";
 *
 * const schema = create(CollectionSchemaSchema, { fields: [{ name: "id" }, { name: "tenant", isPartitionKey: true }] });
 * assert.equal(partitionKey(schema)?.name, "tenant");
 * ```
 */
export function partitionKey(schema: CollectionSchema): CollectionSchema["fields"][number] | undefined {
  return schema.fields.find((field) => field.isPartitionKey);
}

/**
 * `database.collection`, the form that select and route patterns match.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { qualifiedName } from "./catalog.ts";
 *
 * assert.equal(qualifiedName({ dbName: "default", name: "books" }), "default.books");
 * ```
 */
export function qualifiedName(collection: Pick<Collection, "dbName" | "name">): string {
  return `${collection.dbName}.${collection.name}`;
}
