/**
 * A gRPC server in the place of a Milvus of any release: collections in memory, requests checked by {@link takenColumns}. It
 * knows what the Milvus sink asks for while it makes a collection, writes, deletes and reads; everything else is UNIMPLEMENTED.
 */
import { Buffer } from "node:buffer";
import {
  create,
  type DescMessage,
  type DescMethod,
  fromBinary,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import { type handleUnaryCall, Server, ServerCredentials } from "@grpc/grpc-js";
import {
  describeFieldData,
  geometryToText,
  keysOf,
  mergeFieldsData,
  selectRows,
} from "../../../pipeline/columns/mod.ts";
import { primaryKey } from "../../../pipeline/model/mod.ts";
import { type KeyValuePair, LoadState } from "../../../pipeline/proto/gen/common_pb.ts";
import {
  CreateCollectionRequestSchema,
  DeleteRequestSchema,
  DescribeCollectionRequestSchema,
  InsertRequestSchema,
  MilvusService,
  QueryRequestSchema,
} from "../../../pipeline/proto/gen/milvus_pb.ts";
import {
  type CollectionSchema,
  CollectionSchemaSchema,
  DataType,
  FieldDataSchema,
} from "../../../pipeline/proto/gen/schema_pb.ts";
import { int64Column } from "../int64_column.ts";
import { createdSchema, Refusal, type Release, releaseOf, takenColumns } from "./rules.ts";

type Key = bigint | string;

interface Held {
  readonly id: bigint;
  readonly schema: CollectionSchema;
  readonly shards: number;
  readonly properties: readonly KeyValuePair[];
  readonly partitions: Set<string>;
  readonly rows: Map<Key, Uint8Array[]>;
}

const UPDATED = 7n;

export class FakeProxy {
  readonly collections = new Map<string, Held>();
  readonly #release: Release;
  readonly #server = new Server();
  #made = 0n;
  #lastKey = 1_000n;
  address = "";

  private constructor(readonly version: string) {
    this.#release = releaseOf(version);
    const handlers: Partial<Record<keyof typeof MilvusService.method, (body: Uint8Array) => object>> = {
      getVersion: () => ({ version }),
      connect: () => ({ identifier: 0n }),
      createCollection: (body) => this.#create(body),
      describeCollection: (body) => this.#describe(body),
      showPartitions: (body) => ({ partitionNames: [...this.#named(body).partitions] }),
      listAliases: () => ({ aliases: [] }),
      describeIndex: () => {
        throw new Refusal(700, "index not found");
      },
      getLoadState: () => ({ state: LoadState.LoadStateLoaded }),
      insert: (body) => this.#write(body, false),
      upsert: (body) => this.#write(body, true),
      delete: (body) => this.#delete(body),
      query: (body) => this.#query(body),
    };
    const methods = Object.entries(handlers).map(([name, handle]) =>
      [MilvusService.method[name as "insert"], handle] as const
    );
    this.#server.addService(
      Object.fromEntries(methods.map(([method]) => [method.localName, definition(method)])),
      Object.fromEntries(methods.map(([method, handle]) => [method.localName, answering(method, handle!)])),
    );
  }

  static async start(version: string): Promise<FakeProxy> {
    const proxy = new FakeProxy(version);
    const port = await new Promise<number>((resolve, reject) =>
      proxy.#server.bindAsync(
        "127.0.0.1:0",
        ServerCredentials.createInsecure(),
        (error, port) => error === null ? resolve(port) : reject(error),
      )
    );
    proxy.address = `127.0.0.1:${port}`;
    return proxy;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#server.forceShutdown();
    return Promise.resolve();
  }

  #create(body: Uint8Array): object {
    const { collectionName, schema, shardsNum, properties } = fromBinary(CreateCollectionRequestSchema, body);
    const asked = fromBinary(CollectionSchemaSchema, schema);
    this.collections.set(collectionName, {
      id: ++this.#made,
      schema: createdSchema(asked, this.#release),
      shards: shardsNum,
      properties,
      partitions: new Set(["_default"]),
      rows: new Map(),
    });
    return {};
  }

  #named(body: Uint8Array): Held {
    const { collectionName } = fromBinary(DescribeCollectionRequestSchema, body);
    return this.#get(collectionName);
  }

  #get(name: string): Held {
    const found = this.collections.get(name);
    if (found === undefined) throw new Refusal(100, `can't find collection[collection=${name}]`);
    return found;
  }

  /** Names of a struct's fields are told without it, and the dynamic field is not told among the fields. */
  #describe(body: Uint8Array): object {
    const { id, schema, shards, properties } = this.#named(body);
    const shown = fromBinary(CollectionSchemaSchema, toBinary(CollectionSchemaSchema, schema));
    shown.fields = shown.fields.filter(({ isDynamic }) => !isDynamic);
    for (const { name, fields } of shown.structArrayFields) {
      for (const field of fields) field.name = field.name.slice(name.length + 1, -1);
    }
    return {
      collectionID: id,
      collectionName: schema.name,
      schema: shown,
      shardsNum: shards,
      properties,
      updateTimestamp: UPDATED,
    };
  }

  #write(body: Uint8Array, isUpsert: boolean): object {
    const request = fromBinary(InsertRequestSchema, body);
    const held = this.#get(request.collectionName);
    const { schema, partitions, rows } = held;
    const taken = takenColumns(request, { schema, partitions, updated: UPDATED }, isUpsert, this.#release);
    const columns = held.schema.fields.some(({ autoID }) => autoID)
      ? this.#withNewKeys(taken, request.numRows, held)
      : taken;
    const keys = keysOf(columns, primaryKey(schema)!, request.numRows).values;
    keys.forEach((key: Key, row: number) =>
      rows.set(key, selectRows(columns, request.numRows, { start: row, end: row + 1 }))
    );
    const count = BigInt(request.numRows);
    return isUpsert ? { upsertCnt: count } : { insertCnt: count };
  }

  /** Where the server makes the keys, those of an upsert say only which rows go (upsertTask of 2.5 and later). */
  #withNewKeys(columns: readonly Uint8Array[], count: number, { schema, rows }: Held): Uint8Array[] {
    const { fieldID, name, dataType } = primaryKey(schema)!;
    const others = columns.filter((bytes) => describeFieldData(bytes).name !== name);
    if (others.length < columns.length) {
      for (const key of keysOf(columns, { fieldID, name, dataType }, count).values) rows.delete(key);
    }
    const keys = Array.from({ length: count }, () => ++this.#lastKey);
    return [int64Column(fieldID, name, keys), ...others];
  }

  #delete(body: Uint8Array): object {
    const { collectionName, expr } = fromBinary(DeleteRequestSchema, body);
    const { rows } = this.#get(collectionName);
    const wanted = /\bin \[(.*)\]$/s.exec(expr);
    if (wanted === null) throw new Refusal(101, "collection not loaded");
    for (const key of keysIn(wanted[1]!)) rows.delete(key);
    return {};
  }

  #query(body: Uint8Array): object {
    const { collectionName, expr, outputFields, queryParams } = fromBinary(QueryRequestSchema, body);
    const { schema, rows } = this.#get(collectionName);
    const limit = Number(queryParams.find(({ key }) => key === "limit")?.value ?? rows.size);
    const after = /> (-?\d+|".*")$/s.exec(expr)?.[1];
    const asked = /\bin \[(.*)\]$/s.exec(expr)?.[1];
    const from = after === undefined || expr.includes(" or ") ? undefined : keysIn(after)[0];
    const some = asked === undefined ? undefined : new Set(keysIn(asked));
    const found = [...rows].filter(([key]) => (from === undefined || key > from) && some?.has(key) !== false)
      .sort(([a], [b]) => a < b ? -1 : 1).slice(0, limit).map(([, fieldsData]) => ({ rows: 1, fieldsData }));
    if (found.length === 0) return { fieldsData: [] };
    const merged = mergeFieldsData(found);
    if (merged === undefined) throw new Refusal(65535, "rows of several shapes");
    const wanted = new Set([...outputFields, primaryKey(schema)!.name]);
    const columns = merged.map((bytes) => fromBinary(FieldDataSchema, geometryToText(bytes, found.length)));
    const nested = schema.structArrayFields.filter(({ name }) => wanted.has(name)).map(({ name }) =>
      create(FieldDataSchema, {
        type: DataType.ArrayOfStruct,
        fieldName: name,
        field: {
          case: "structArrays",
          value: {
            fields: columns.filter(({ fieldName }) => fieldName.startsWith(`${name}[`)).map((column) => ({
              ...column,
              fieldName: column.fieldName.slice(name.length + 1, -1),
            })),
          },
        },
      })
    );
    return { fieldsData: [...columns.filter(({ fieldName }) => wanted.has(fieldName)), ...nested] };
  }
}

/** Literals of an `in` list. */
function keysIn(list: string): Key[] {
  return (list.match(/-?\d+|"(?:[^"\\]|\\.)*"/g) ?? []).map((text) =>
    text.startsWith('"') ? JSON.parse(text) : BigInt(text)
  );
}

function definition({ parent, name }: DescMethod) {
  const asBuffer = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    path: `/${parent.typeName}/${name}`,
    requestStream: false,
    responseStream: false,
    requestSerialize: asBuffer,
    requestDeserialize: (bytes: Buffer) => new Uint8Array(bytes),
    responseSerialize: asBuffer,
    responseDeserialize: (bytes: Buffer) => new Uint8Array(bytes),
  };
}

/** A refusal is a Status in the answer, as Milvus gives it. */
function answering(method: DescMethod, handle: (body: Uint8Array) => object): handleUnaryCall<Uint8Array, Uint8Array> {
  const isStatus = method.output.typeName.endsWith(".Status");
  const bytesOf = (answer: object) =>
    toBinary(method.output, create(method.output, answer as MessageInitShape<DescMessage>));
  return ({ request }, done) => {
    try {
      done(null, bytesOf(handle(request)));
    } catch (error) {
      if (!(error instanceof Refusal)) return done(error as Error);
      const status = { code: error.code, errorCode: 1, reason: error.message };
      done(null, bytesOf(isStatus ? status : { status }));
    }
  };
}
