/** The order of requests, which a real server cannot be made to break at will: the effects are tests of the suites with servers. */
import assert from "node:assert/strict";
import { encodeColumn, keysOf } from "../../../pipeline/columns/mod.ts";
import { TidemarkError } from "../../../pipeline/errors.ts";
import { DataType } from "../../../pipeline/proto/gen/schema_pb.ts";
import type { MilvusClient } from "../../../sinks/milvus/client.ts";
import type { DescribedCollection } from "../../../sinks/milvus/described.ts";
import { featuresOf } from "../../../sinks/milvus/features.ts";
import { createPatience } from "../../../sinks/milvus/patience.ts";
import { wireFields } from "../../../sinks/milvus/wire.ts";
import { ServerAnswer } from "../../../sinks/milvus/fault.ts";
import { unfitRows } from "../../../sinks/milvus/row_check.ts";
import type { RowRefusal } from "../../../pipeline/model/mod.ts";
import { createWriter } from "../../../sinks/milvus/write.ts";
import { joined } from "./sample.ts";

const signal = new AbortController().signal;
const TARGET = { db: "default", name: "tenants" };
const KEY = { fieldID: 100n, name: "id", dataType: DataType.Int64 };

function described(more: Partial<DescribedCollection> = {}): DescribedCollection {
  return {
    id: 1n,
    primaryKey: "id",
    primaryKeyType: DataType.Int64,
    autoId: false,
    hasPartitionKey: true,
    partitionKey: "tenant",
    hasDynamicField: false,
    functionOutputs: new Set(),
    columns: new Set(["id", "tenant"]),
    structs: new Set(),
    fields: new Map(),
    vectors: [],
    limits: new Map(),
    ...more,
  };
}

function columnsOf(ids: readonly bigint[]): Uint8Array[] {
  return ["id", "tenant"].map((name, i) =>
    encodeColumn({
      fieldId: 100n + BigInt(i),
      name,
      type: DataType.Int64,
      elementType: DataType.None,
      dim: 0,
      isDynamic: false,
      valid: undefined,
      data: { kind: "int64", values: BigInt64Array.from(ids) },
    })
  );
}

/** A server that notes what it is asked; `lose` lets the answer to a request be lost, by the number of the request. */
function server(version: string, lose: readonly number[] = []) {
  const asked: string[] = [];
  let requests = 0;
  let removing = false;
  const options = {
    client: {
      patience: createPatience({ now: () => 0, random: () => 0, pause: () => Promise.resolve(), onState: () => {} }),
      call: () => Promise.resolve({}),
      send: (method: { name: string }, parts: Uint8Array[]) => {
        const body = joined(parts);
        assert.equal(removing, false, "sent before the delete was acknowledged");
        const columns = [...wireFields(body)].filter(({ number }) => number === 5)
          .map((field) => body.subarray(field.start, field.end));
        const rows = Number([...wireFields(body)].find(({ number }) => number === 7)!.value);
        asked.push(`${method.name} ${[...keysOf(columns, KEY, rows).values].join()}`);
        if (lose.includes(++requests)) return Promise.reject(new TidemarkError("unreachable", "No answer"));
        return Promise.resolve({ errIndex: [], insertCnt: BigInt(rows), upsertCnt: 0n });
      },
    } as unknown as MilvusClient,
    describer: { describe: () => Promise.resolve(described()), forget: () => {} },
    features: () => Promise.resolve(featuresOf(version)),
    remover: async ({ partition, keys }: { partition: string | undefined; keys: { values: ArrayLike<unknown> } }) => {
      assert.equal(partition, undefined, "the old row may be in any partition");
      removing = true;
      await new Promise((resolve) => setTimeout(resolve, 0));
      removing = false;
      asked.push(`Delete ${Array.from(keys.values).join()}`);
    },
    maxBatchBytes: 1 << 20,
    passed: () => asked.push("between"),
  };
  return { asked, options };
}

function request(mode: "insert" | "upsert", ids: readonly bigint[]) {
  return {
    collectionId: 1n,
    target: TARGET,
    partition: "_default_0",
    mode,
    rows: ids.length,
    fieldsData: columnsOf(ids),
  };
}

Deno.test("createWriter replaces rows of a partition key by a delete and a later insert where upsert misplaces them", async () => {
  const { asked, options } = server("2.3.5");
  await createWriter(options)(request("upsert", [1n, 2n]), signal);
  assert.deepEqual(asked, ["Delete 1,2", "between", "Insert 1,2"]);
});

Deno.test("createWriter deletes again before it inserts again what may have arrived", async () => {
  const replaced = server("2.3.5", [1]);
  await createWriter(replaced.options)(request("upsert", [1n]), signal);
  assert.deepEqual(replaced.asked, ["Delete 1", "between", "Insert 1", "Delete 1", "between", "Insert 1"]);
  const inserted = server("2.3.5", [1]);
  await createWriter(inserted.options)(request("insert", [1n]), signal);
  assert.deepEqual(inserted.asked, ["Insert 1", "Delete 1", "between", "Insert 1"]);
});

Deno.test("createWriter deletes only the keys of the part that it inserts next", async () => {
  const { asked, options } = server("2.3.5");
  await createWriter({ ...options, maxBatchBytes: 40 })(request("upsert", [1n, 2n]), signal);
  assert.deepEqual(asked, ["Delete 1", "between", "Insert 1", "Delete 2", "between", "Insert 2"]);
});

Deno.test("createWriter upserts where the target's upsert is right, and rows without a partition key everywhere", async () => {
  const newer = server("2.4.1");
  await createWriter(newer.options)(request("upsert", [1n]), signal);
  assert.deepEqual(newer.asked, ["Upsert 1"]);
  const plain = server("2.3.5", [1]);
  const describer = {
    describe: () => Promise.resolve(described({ hasPartitionKey: false, partitionKey: undefined })),
    forget: () => {},
  };
  await createWriter({ ...plain.options, describer })(request("insert", [1n]), signal);
  assert.deepEqual(plain.asked, ["Insert 1", "Upsert 1"]);
});

/** Rows of an int64 key and a text; the server refuses texts beyond 8 bytes, as its schema says. */
function narrow(version: string, hasPartitionKey: boolean) {
  const { asked, options } = server(version);
  const limits = new Map([["tenant", { maxLength: 8, maxCapacity: 0 }]]);
  const send = async (method: { name: string }, parts: Uint8Array[]): Promise<unknown> => {
    const body = joined(parts);
    const columns = [...wireFields(body)].filter(({ number }) => number === 5)
      .map((field) => body.subarray(field.start, field.end));
    const rows = Number([...wireFields(body)].find(({ number }) => number === 7)!.value);
    if (unfitRows(columns, rows, limits).length > 0) {
      asked.push(`${method.name} refused`);
      const cause = new ServerAnswer("status", 1100, 0, "exceeds max length");
      throw new TidemarkError("refused", "The target refused it", { cause });
    }
    return await (options.client as unknown as { send: typeof send }).send(method, parts);
  };
  const describer = { describe: () => Promise.resolve(described({ hasPartitionKey, limits })), forget: () => {} };
  const client = { ...options.client, send } as unknown as MilvusClient;
  return { asked, options: { ...options, client, describer } };
}

function texts(mode: "insert" | "upsert", values: readonly string[]) {
  const ids = values.map((_, i) => BigInt(i));
  const data = { kind: "utf8" as const, values: values.map((value) => new TextEncoder().encode(value)) };
  const column = { elementType: DataType.None, dim: 0, isDynamic: false, valid: undefined };
  const tenant = encodeColumn({ ...column, fieldId: 101n, name: "tenant", type: DataType.VarChar, data });
  return { ...request(mode, ids), fieldsData: [columnsOf(ids)[0]!, tenant] };
}

Deno.test("createWriter tells which rows of a request are refused, by their numbers in the whole of it, and writes the others", async () => {
  for (const maxBatchBytes of [1 << 20, 100]) {
    const { asked, options } = narrow("2.3.5", false);
    const refused: RowRefusal[] = [];
    const values = ["a", "b", "x".repeat(40), "c", "y".repeat(9), "d"];
    const wanted = { ...texts("insert", values), refused: (rows: readonly RowRefusal[]) => void refused.push(...rows) };
    await createWriter({ ...options, maxBatchBytes })(wanted, signal);
    assert.deepEqual(refused, [
      { row: 2, reason: "field tenant has 40 bytes, the target's max_length is 8" },
      { row: 4, reason: "field tenant has 9 bytes, the target's max_length is 8" },
    ]);
    const written = asked.flatMap((line) => line.match(/\d+/g) ?? []);
    assert.deepEqual(written, ["0", "1", "3", "5"]);
  }
});

Deno.test("createWriter throws for a refused row where nobody asks to be told of it", async () => {
  const { options } = narrow("2.3.5", false);
  await assert.rejects(createWriter(options)(texts("insert", ["a", "x".repeat(40)]), signal), { code: "refused" });
});

Deno.test("createWriter deletes no old row for one that the insert would be refused for", async () => {
  const { asked, options } = narrow("2.3.5", true);
  const refused: RowRefusal[] = [];
  const wanted = {
    ...texts("upsert", ["a", "x".repeat(40)]),
    refused: (rows: readonly RowRefusal[]) => void refused.push(...rows),
  };
  await createWriter(options)(wanted, signal);
  assert.deepEqual(asked, ["Delete 0", "between", "Insert 0"]);
  assert.deepEqual(refused.map(({ row }) => row), [1]);
});
