/** What a collection is on the target, from the target's own descriptions. */
import { toTidemarkError } from "../../pipeline/errors.ts";
import type { AliasOwner, Properties, TargetName } from "../../pipeline/model/mod.ts";
import { type ConsistencyLevel, type KeyValuePair, LoadState } from "../../pipeline/proto/gen/common_pb.ts";
import { ShowType } from "../../pipeline/proto/gen/milvus_pb.ts";
import type { CollectionSchema } from "../../pipeline/proto/gen/schema_pb.ts";
import { METHOD, type MilvusClient, type Request } from "./client.ts";
import { targetText } from "./described.ts";

export interface ActualIndex {
  readonly name: string;
  readonly fieldName: string;
  readonly params: Properties;
  /** As the target numbers it; empty where it does not tell. */
  readonly id: string;
}

export interface ActualLoad {
  /** False while loading. */
  readonly loaded: boolean;
  /** Names of the partitions that are loaded or loading. */
  readonly partitions: readonly string[];
  /** 0 where the server does not say. */
  readonly replicas: number;
}

export interface ActualCollection {
  readonly id: bigint;
  readonly schema: CollectionSchema;
  readonly shards: number;
  readonly consistency: ConsistencyLevel;
  readonly properties: Properties;
  readonly partitions: readonly string[];
  readonly aliases: readonly string[];
  readonly indexes: readonly ActualIndex[];
  readonly load: ActualLoad | undefined;
}

export type Actual =
  | { readonly kind: "missing" }
  /** The name is taken by an alias of another collection. */
  | { readonly kind: "alias"; readonly of: AliasOwner }
  | { readonly kind: "collection"; readonly collection: ActualCollection };

export function propertiesOf(pairs: readonly KeyValuePair[]): Properties {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, value]));
}

/** Undefined for the given error codes, the value otherwise. */
export async function unless<T>(codes: readonly string[], promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (thrown) {
    const error = toTidemarkError(thrown);
    if (codes.includes(error.code)) return undefined;
    throw error;
  }
}

/** A describe by alias answers with the collection behind it; the alias is then among its aliases, or the name differs. */
export function isNamed(
  described: { readonly aliases: readonly string[]; readonly collectionName: string },
  name: string,
) {
  return !described.aliases.includes(name) && described.collectionName === name;
}

/** Reads what the target has under a name. A missing database counts as a missing collection. */
export async function readActual(client: MilvusClient, target: TargetName, signal: AbortSignal): Promise<Actual> {
  const about = { dbName: target.db, collectionName: target.name };
  const request = (what: string): Request => ({ what: `${what} ${targetText(target)}`, db: target.db, signal });

  const described = await unless(
    ["not_found"],
    client.call(METHOD.describeCollection, about, request("describe the collection")),
  );
  if (described?.schema === undefined) return { kind: "missing" };
  if (!isNamed(described, target.name)) {
    return { kind: "alias", of: ownerOf(described.schema.name, described.collectionID) };
  }
  const [partitions, aliases, indexes, load] = await Promise.all([
    client.call(METHOD.showPartitions, about, request("list the partitions of")),
    // DescribeCollection of milvus-lite leaves the aliases out; 2.2 does not know ListAliases.
    unless(["unsupported"], client.call(METHOD.listAliases, about, request("list the aliases of"))),
    unless(["not_found"], client.call(METHOD.describeIndex, about, request("describe the indexes of"))),
    readLoad(client, target, described.collectionID, signal),
  ]);
  return {
    kind: "collection",
    collection: {
      id: described.collectionID,
      schema: described.schema,
      shards: described.shardsNum,
      consistency: described.consistencyLevel,
      properties: propertiesOf(described.properties),
      partitions: partitions.partitionNames,
      aliases: [...new Set([...described.aliases, ...(aliases?.aliases ?? [])])],
      indexes: (indexes?.indexDescriptions ?? []).map((one) => ({
        name: one.indexName,
        fieldName: one.fieldName,
        params: propertiesOf(one.params),
        id: one.indexID === 0n ? "" : String(one.indexID),
      })),
      load,
    },
  };
}

/** Which collection a name is an alias of; undefined where it is none. */
export async function readAliasOwner(
  client: MilvusClient,
  alias: TargetName,
  signal: AbortSignal,
): Promise<AliasOwner | undefined> {
  const described = await unless(
    ["not_found", "refused"],
    client.call(METHOD.describeCollection, { dbName: alias.db, collectionName: alias.name }, {
      what: `look for the alias ${targetText(alias)}`,
      db: alias.db,
      signal,
    }),
  );
  if (described?.schema === undefined) return undefined;
  if (!isNamed(described, alias.name)) return ownerOf(described.schema.name, described.collectionID);
  // DescribeCollection of milvus-lite does not tell an alias from a name.
  const answer = await unless(
    ["not_found", "unsupported", "refused"],
    client.call(METHOD.describeAlias, { dbName: alias.db, alias: alias.name }, {
      what: `describe the alias ${targetText(alias)}`,
      db: alias.db,
      signal,
    }),
  );
  if (answer === undefined || answer.collection === "" || answer.collection === alias.name) return undefined;
  return ownerOf(answer.collection, described.collectionID);
}

function ownerOf(name: string, id: bigint): AliasOwner {
  return { name, identity: id === 0n ? "" : String(id) };
}

/** Undefined where nothing of the collection is loaded. */
export async function readLoad(
  client: MilvusClient,
  target: TargetName,
  collectionId: bigint,
  signal: AbortSignal,
): Promise<ActualLoad | undefined> {
  const about = { dbName: target.db, collectionName: target.name };
  const request = (what: string): Request => ({ what: `${what} ${targetText(target)}`, db: target.db, signal });
  const state = await readLoadState(client, target, signal);
  if (state !== LoadState.LoadStateLoaded && state !== LoadState.LoadStateLoading) return undefined;
  const [inMemory, replicas] = await Promise.all([
    // Without names, the answer lists just the loaded partitions; it fails where the load has been undone meanwhile.
    unless(
      ["not_found", "refused", "unsupported"],
      client.call(
        METHOD.showPartitions,
        { ...about, type: ShowType.InMemory },
        request("list the loaded partitions of"),
      ),
    ),
    unless(
      ["not_found", "refused", "unsupported"],
      client.call(METHOD.getReplicas, { ...about, collectionID: collectionId }, request("list the replicas of")),
    ),
  ]);
  if (inMemory === undefined) return undefined;
  return {
    loaded: state === LoadState.LoadStateLoaded,
    partitions: inMemory.partitionNames,
    replicas: replicas?.replicas.length ?? 0,
  };
}

export async function readLoadState(client: MilvusClient, target: TargetName, signal: AbortSignal): Promise<LoadState> {
  const answer = await unless(
    ["not_found"],
    client.call(METHOD.getLoadState, { dbName: target.db, collectionName: target.name }, {
      what: `read the load state of ${targetText(target)}`,
      db: target.db,
      signal,
    }),
  );
  return answer?.state ?? LoadState.LoadStateNotExist;
}
