/** What destroys rows in order: dropping collections and partitions, truncating. Doing any of it twice is no error. */
import { LoadState } from "../../pipeline/proto/gen/common_pb.ts";
import { BESIDE_ROWS, type Collection, type TargetName, type WhoseCollection } from "../../pipeline/model/mod.ts";
import { type ActualCollection, readActual, unless } from "./actual.ts";
import { METHOD, type MilvusClient, type Request } from "./client.ts";
import { type Describer, targetText } from "./described.ts";
import { execute } from "./reconcile/execute.ts";
import type { Features } from "./features.ts";
import { keyRanges, keysExpression } from "./key_expression.ts";
import { planCollection } from "./plan/collection.ts";
import { countRows, readRows } from "./query.ts";
import { DELETE_BOUNDS } from "./remove.ts";
import { FieldDataSchema } from "../../pipeline/proto/gen/schema_pb.ts";
import { fromBinary } from "@bufbuild/protobuf";
import { columnHead } from "./splice.ts";

function requestFor(target: TargetName, what: string, signal: AbortSignal): Request {
  return { what: `${what} ${targetText(target)}`, db: target.db, signal };
}

/**
 * Its aliases go first: newer servers refuse to drop what an alias points to, older ones leave the alias dangling. Where the
 * name is an alias, the collection behind it is another one and stays.
 */
export async function dropCollection(client: MilvusClient, target: TargetName, signal: AbortSignal): Promise<void> {
  const about = { dbName: target.db, collectionName: target.name };
  const actual = await readActual(client, target, signal);
  if (actual.kind !== "collection") return;
  for (const alias of actual.collection.aliases) {
    await client.call(
      METHOD.dropAlias,
      { dbName: target.db, alias },
      requestFor(target, `drop alias ${alias} of`, signal),
    );
  }
  await unless(["not_found"], client.call(METHOD.dropCollection, about, requestFor(target, "drop collection", signal)));
}

/** A loaded partition is released first. */
export async function dropPartition(
  client: MilvusClient,
  target: TargetName,
  partition: string,
  signal: AbortSignal,
): Promise<void> {
  const about = { dbName: target.db, collectionName: target.name };
  const has = await unless(
    ["not_found"],
    client.call(METHOD.hasPartition, { ...about, partitionName: partition }, requestFor(target, "look at", signal)),
  );
  if (has?.value !== true) return;
  const load = await client.call(
    METHOD.getLoadState,
    { ...about, partitionNames: [partition] },
    requestFor(target, `read the load state of partition ${partition} of`, signal),
  );
  if (load.state === LoadState.LoadStateLoaded || load.state === LoadState.LoadStateLoading) {
    await unless(
      ["unsupported"],
      client.call(
        METHOD.releasePartitions,
        { ...about, partitionNames: [partition] },
        requestFor(target, `release partition ${partition} of`, signal),
      ),
    );
  }
  await unless(
    ["not_found"],
    client.call(
      METHOD.dropPartition,
      { ...about, partitionName: partition },
      requestFor(target, `drop partition ${partition} of`, signal),
    ),
  );
}

export interface TruncateOptions {
  readonly client: MilvusClient;
  readonly describer: Describer;
  readonly features: Features;
  readonly target: TargetName;
  readonly signal: AbortSignal;
}

/**
 * Deletes every row and keeps the definition. Servers before 2.6 have no truncate: there the keys of a loaded collection
 * are read and deleted; one that is not loaded cannot be read, and is dropped and made again as it was.
 */
export async function truncate(options: TruncateOptions): Promise<void> {
  const { client, target, signal } = options;
  const about = { dbName: target.db, collectionName: target.name };
  const done = await unless(
    ["unsupported"],
    client.call(METHOD.truncateCollection, about, requestFor(target, "truncate", signal)),
  );
  if (done !== undefined) return;
  const actual = await readActual(client, target, signal);
  if (actual.kind !== "collection") return;
  if (actual.collection.load?.loaded && isWhollyLoaded(actual.collection)) await deleteAll(options);
  else await recreate(options, actual.collection);
}

function isWhollyLoaded({ load, partitions }: ActualCollection): boolean {
  return partitions.every((name) => load?.partitions.includes(name));
}

async function deleteAll({ client, describer, target, signal }: TruncateOptions): Promise<void> {
  const collection = await describer.describe(target, signal);
  const { primaryKey } = collection;
  while (await countRows(client, target, undefined, signal) > 0n) {
    const pages = readRows({
      client,
      target,
      collection,
      partition: undefined,
      keys: undefined,
      outputFields: [primaryKey],
      signal,
    });
    for await (const page of pages) {
      const column = page.fieldsData.find((bytes) => columnHead(bytes).name === primaryKey)!;
      const field = fromBinary(FieldDataSchema, column).field;
      const data = field.case === "scalars" ? field.value.data : undefined;
      const keys = data?.case === "longData"
        ? { kind: "int64" as const, values: data.value.data }
        : { kind: "varchar" as const, values: data?.case === "stringData" ? data.value.data : [] };
      for (const { start, end } of keyRanges(keys, DELETE_BOUNDS)) {
        const expr = keysExpression(primaryKey, keys, start, end);
        await client.call(
          METHOD.delete,
          { dbName: target.db, collectionName: target.name, expr },
          requestFor(target, `delete ${end - start} keys from`, signal),
        );
      }
    }
  }
}

/** What was there is made again as it was, whoever had made it. */
const ALL_ITS_OWN: WhoseCollection = {
  made: () => true,
  aliases: "keep_foreign",
  merge: false,
  aliasOf: () => "run",
};

async function recreate(options: TruncateOptions, actual: ActualCollection): Promise<void> {
  const { client, target, features, signal } = options;
  const source = asSource(actual, target);
  await dropCollection(client, target, signal);
  const steps = planCollection(
    { source, target, whose: ALL_ITS_OWN },
    { current: { kind: "missing" }, previous: undefined, aliasOwners: new Map() },
    { parts: "all", autoId: "regenerate", features, replicas: undefined },
  );
  for (const step of steps) {
    const done = execute(step.action, { client, target, step, signal });
    // Rows do not need them; they are planned again with the next look at the collection.
    await (BESIDE_ROWS.has(step.kind) ? unless(["refused", "unreachable", "throttled"], done) : done);
  }
}

/** The target's own collection in the form in which a source's is described. */
function asSource(actual: ActualCollection, target: TargetName): Collection {
  const partitions = actual.partitions.map((name, i) => ({ id: BigInt(i), name, createTs: 0n }));
  const loadedAll = actual.load !== undefined && isWhollyLoaded(actual);
  return {
    id: actual.id,
    dbId: 0n,
    dbName: target.db,
    name: target.name,
    schema: actual.schema,
    shards: actual.shards,
    vchannels: [],
    pchannels: [],
    startOffsets: new Map(),
    createTs: 0n,
    consistency: actual.consistency,
    properties: actual.properties,
    partitions,
    aliases: actual.aliases,
    indexes: actual.indexes.map((one, i) => ({
      id: BigInt(i),
      fieldId: 0n,
      fieldName: one.fieldName,
      name: one.name,
      params: one.params,
      typeParams: {},
      isAuto: false,
      createTs: 0n,
    })),
    load: actual.load === undefined ? undefined : {
      scope: loadedAll ? "collection" : "partitions",
      partitionIds: partitions.filter((one) => actual.load?.partitions.includes(one.name)).map((one) => one.id),
      replicas: Math.max(1, actual.load.replicas),
      loadFields: [],
      loaded: true,
    },
  };
}
