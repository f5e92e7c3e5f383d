/** Queries of the target: an exact count, and all rows page by page, as bytes. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { TidemarkError } from "../../pipeline/errors.ts";
import type { Keys, TargetName } from "../../pipeline/model/mod.ts";
import { ConsistencyLevel, StatusSchema } from "../../pipeline/proto/gen/common_pb.ts";
import { type QueryRequest, QueryRequestSchema } from "../../pipeline/proto/gen/milvus_pb.ts";
import { DataType, FieldDataSchema } from "../../pipeline/proto/gen/schema_pb.ts";
import { METHOD, type MilvusClient } from "./client.ts";
import { type DescribedCollection, targetText } from "./described.ts";
import { isSuccess, isTooLargeFault, ServerAnswer, statusFault } from "./fault.ts";
import { int64Literal, stringLiteral } from "../../pipeline/columns/mod.ts";
import { keyRanges, keysExpression } from "./key_expression.ts";
import { columnHead } from "./splice.ts";
import { wireFields } from "./wire.ts";

export interface Page {
  readonly rows: number;
  readonly fieldsData: readonly Uint8Array[];
  /** Of which value of the partition key. */
  readonly partitionKey?: bigint | string;
}

export interface ReadOptions {
  readonly client: MilvusClient;
  readonly target: TargetName;
  readonly collection: DescribedCollection;
  readonly partition: string | undefined;
  readonly keys: Keys | undefined;
  /** Rows for which this does not hold are passed over. */
  readonly where?: string | undefined;
  readonly outputFields: readonly string[];
  readonly signal: AbortSignal;
}

/** quotaAndLimits.limits.maxQueryResultWindow of the server, by default. */
const LARGEST_PAGE = 16_384;
const FIRST_PAGE = 1_000;
const AIM_BYTES = 8 * 1024 * 1024;
const KEYS_PER_PAGE = { maxKeys: 2_000, maxBytes: 256 * 1024 } as const;

/**
 * A hybrid timestamp of the target, fresh enough to see every acknowledged write: Connect hands one out as identifier.
 * A query at it waits once until the target has caught up with it; "strong" would wait on every page anew (200 ms each).
 * 0 where the server gives none: then strong it is.
 */
export async function freshTimestamp(client: MilvusClient, db: string, signal: AbortSignal): Promise<bigint> {
  const answer = await client.call(METHOD.connect, { clientInfo: { sdkType: "tidemark" } }, {
    what: "connect",
    db,
    signal,
  });
  // A hybrid timestamp of this century is beyond 2^58; anything smaller is a plain number.
  return answer.identifier > 2n ** 58n ? answer.identifier : 0n;
}

/** Number of rows with every acknowledged write. Throws `refused` where the collection is not loaded. */
export async function countRows(
  client: MilvusClient,
  target: TargetName,
  partition: string | undefined,
  signal: AbortSignal,
): Promise<bigint> {
  const request = create(QueryRequestSchema, {
    dbName: target.db,
    collectionName: target.name,
    outputFields: ["count(*)"],
    partitionNames: partition === undefined ? [] : [partition],
    consistencyLevel: ConsistencyLevel.Strong,
  });
  for (const bytes of await query(client, request, target, signal)) {
    const field = fromBinary(FieldDataSchema, bytes).field;
    if (field.case === "scalars" && field.value.data.case === "longData") return field.value.data.value.data[0] ?? 0n;
  }
  return 0n;
}

/**
 * All rows, or those of the given keys. Pages are in the order of the key; a key that is there several times comes once.
 * 2.3 cannot show the row of the largest int64 key, 2^63-1, to any query, though it stores, counts and deletes it.
 */
export async function* readRows(options: ReadOptions): AsyncGenerator<Page> {
  yield* readNarrowed(options, await freshTimestamp(options.client, options.target.db, options.signal), undefined);
}

/**
 * What `key == value` finds, value after value, all as of one moment: the equality makes the server look into the one
 * partition that the value belongs to. A value's rows come in one answer where it is not too large for that.
 */
export async function* readByPartitionKey(
  options: ReadOptions,
  values: readonly (bigint | string)[],
): AsyncGenerator<Page> {
  const guaranteeTimestamp = await freshTimestamp(options.client, options.target.db, options.signal);
  for (const partitionKey of values) {
    for await (const page of readNarrowed(options, guaranteeTimestamp, partitionKey)) yield { ...page, partitionKey };
  }
}

async function* readNarrowed(
  options: ReadOptions,
  guaranteeTimestamp: bigint,
  partitionKey: bigint | string | undefined,
): AsyncGenerator<Page> {
  const { client, target, collection, signal } = options;
  const narrowed = (all: string) => {
    const expr = options.where === undefined ? all : `(${options.where}) and (${all})`;
    if (partitionKey === undefined) return expr;
    const literal = typeof partitionKey === "bigint" ? int64Literal(partitionKey) : stringLiteral(partitionKey);
    return `${collection.partitionKey} == ${literal} and (${expr})`;
  };
  const base = {
    dbName: target.db,
    collectionName: target.name,
    outputFields: [...options.outputFields],
    partitionNames: options.partition === undefined || collection.hasPartitionKey ? [] : [options.partition],
    // Level 0 with a timestamp of its own: the server waits for that timestamp; without one it is strong.
    consistencyLevel: ConsistencyLevel.Strong,
    guaranteeTimestamp,
  };
  if (options.keys !== undefined) {
    for (const { start, end } of keyRanges(options.keys, KEYS_PER_PAGE)) {
      const expr = narrowed(keysExpression(collection.primaryKey, options.keys, start, end));
      const fieldsData = await query(client, create(QueryRequestSchema, { ...base, expr }), target, signal);
      const rows = keysOf(fieldsData, collection).length;
      if (rows > 0) yield { rows, fieldsData };
    }
    return;
  }
  if (partitionKey !== undefined) {
    try {
      const expr = narrowed(afterExpression(collection, undefined));
      const fieldsData = await query(client, create(QueryRequestSchema, { ...base, expr }), target, signal);
      const rows = keysOf(fieldsData, collection).length;
      if (rows > 0) yield { rows, fieldsData };
      return;
    } catch (error) {
      if (!isTooLargeFault(error)) throw error;
    }
  }
  let limit = FIRST_PAGE;
  let after: bigint | string | undefined;
  while (true) {
    const request = create(QueryRequestSchema, {
      ...base,
      expr: narrowed(afterExpression(collection, after)),
      queryParams: [
        { key: "limit", value: String(limit) },
        // As Milvus' own iterators: merging stops where a segment's rows end, so that no key is passed over.
        { key: "reduce_stop_for_best", value: "True" },
        { key: "iterator", value: "True" },
      ],
    });
    let fieldsData: readonly Uint8Array[];
    try {
      fieldsData = await query(client, request, target, signal);
    } catch (error) {
      if (!isTooLargeFault(error) || limit === 1) throw error;
      limit = Math.max(1, Math.floor(limit / 4));
      continue;
    }
    // A short page is no sign of the end, only an empty one is.
    const keys = keysOf(fieldsData, collection);
    if (keys.length === 0) return;
    const last = keys.reduce((largest, key) => isAfter(key, largest) ? key : largest);
    if (after !== undefined && !isAfter(keys.reduce((least, key) => isAfter(least, key) ? key : least), after)) {
      throw new TidemarkError("unexpected", `The target did not page ${targetText(target)} in the order of its keys`);
    }
    after = last;
    yield { rows: keys.length, fieldsData };
    const bytes = fieldsData.reduce((sum, one) => sum + one.length, 0);
    const fitting = Math.floor(AIM_BYTES / Math.max(1, bytes / keys.length));
    limit = Math.max(1, Math.min(LARGEST_PAGE, fitting, limit * 4));
  }
}

/** Keys after `after`, or all. Every int64 and every string is covered, the smallest ones too. */
export function afterExpression(collection: DescribedCollection, after: bigint | string | undefined): string {
  const field = collection.primaryKey;
  if (after !== undefined) {
    return `${field} > ${typeof after === "bigint" ? int64Literal(after) : stringLiteral(after)}`;
  }
  return collection.primaryKeyType === DataType.Int64 ? `${field} < 0 or ${field} >= 0` : `${field} >= ""`;
}

/** Milvus orders strings by their bytes. */
function isAfter(key: bigint | string, other: bigint | string): boolean {
  if (typeof key === "bigint" && typeof other === "bigint") return key > other;
  return compareBytes(String(key), String(other)) > 0;
}

const TEXT = new TextEncoder();

/** Order of two strings by their UTF-8 bytes, as Milvus has it; UTF-16 order differs beyond U+FFFF. */
export function compareBytes(a: string, b: string): number {
  const left = TEXT.encode(a);
  const right = TEXT.encode(b);
  const shared = Math.min(left.length, right.length);
  for (let i = 0; i < shared; i++) if (left[i] !== right[i]) return left[i]! - right[i]!;
  return left.length - right.length;
}

/** The keys of an answer: the server adds their column to every one. */
function keysOf(columns: readonly Uint8Array[], collection: DescribedCollection): readonly (bigint | string)[] {
  const column = columns.find((bytes) => columnHead(bytes).name === collection.primaryKey);
  // An empty answer may come without columns.
  if (column === undefined) return [];
  const field = fromBinary(FieldDataSchema, column).field;
  if (field.case !== "scalars") return [];
  const { data } = field.value;
  return data.case === "longData" || data.case === "stringData" ? data.value.data : [];
}

/** One query with patience; the columns of the answer stay bytes. QueryResults: 1 status, 2 fields_data. */
async function query(
  client: MilvusClient,
  request: QueryRequest,
  target: TargetName,
  signal: AbortSignal,
): Promise<readonly Uint8Array[]> {
  const body = toBinary(QueryRequestSchema, request);
  const options = { what: `query ${targetText(target)}`, db: target.db, signal };
  return await client.patience.persist(async () => {
    const answer = await client.exchange(METHOD.query, body, options);
    const fieldsData: Uint8Array[] = [];
    for (const field of wireFields(answer)) {
      if (field.number === 1 && field.wireType === 2) {
        const status = fromBinary(StatusSchema, answer.subarray(field.start, field.end));
        if (!isSuccess(status)) throw explain(statusFault(status, options.what), target);
      } else if (field.number === 2 && field.wireType === 2) {
        fieldsData.push(answer.subarray(field.start, field.end));
      }
    }
    return fieldsData;
  }, signal);
}

const NOT_LOADED = 101;
const PARTITION_NOT_LOADED = 201;

function explain(error: TidemarkError, target: TargetName): TidemarkError {
  if (!(error.cause instanceof ServerAnswer)) return error;
  const { code, message } = error.cause;
  if (code !== NOT_LOADED && code !== PARTITION_NOT_LOADED && !/not (?:been )?loaded/i.test(message)) return error;
  return new TidemarkError("refused", `${targetText(target)} is not loaded on the target, so its rows cannot be read`, {
    hint: "Load the collection there (it needs an index on its vector field), then try again.",
    cause: error.cause,
  });
}
