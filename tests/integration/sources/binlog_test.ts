import assert from "node:assert/strict";
import { fromBinary } from "@bufbuild/protobuf";
import { parseJson } from "../../../pipeline/json.ts";
import type { Column, ColumnBatch, ObjectStore, Segment } from "../../../pipeline/model/mod.ts";
import { DataType, type ScalarField, ScalarFieldSchema } from "../../../pipeline/proto/gen/schema_pb.ts";
import { binlogSpec, openBinlogSource } from "../../../sources/binlog/mod.ts";
import { createS3Store } from "../../../stores/objects/s3.ts";
import { schemaOf, segmentsIn } from "../../sources/binlog/sample.ts";
import { stackEnv } from "../../stack/env.ts";

const env = stackEnv();
const signal = new AbortController().signal;
const COUNT = 3000;
const PREFIX = "binlog_rows";

const config = {
  type: "s3",
  endpoint: env.S3_ENDPOINT,
  bucket: env.SOURCE_BUCKET,
  root_path: "files",
  access_key_id: env.S3_ACCESS_KEY,
  secret_access_key: env.S3_SECRET_KEY,
};

async function python(code: string[], bigEnv: Record<string, string>): Promise<string> {
  const run = new Deno.Command(env.PYTHON!, { args: code, env: bigEnv, stdout: "piped", stderr: "piped" });
  const { success, stdout, stderr } = await run.output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).trim().split("\n").at(-1)!;
}

async function withStore<T>(body: (store: ObjectStore) => Promise<T>): Promise<T> {
  const store = createS3Store({
    endpoint: env.S3_ENDPOINT,
    bucket: env.SOURCE_BUCKET!,
    prefix: "",
    region: "us-east-1",
    credentials: { accessKeyId: env.S3_ACCESS_KEY!, secretAccessKey: env.S3_SECRET_KEY! },
    pathStyle: true,
    sse: { mode: "none" },
    tls: { ca: undefined, insecure: false },
    maxConcurrency: 8,
  });
  try {
    return await body(store);
  } finally {
    await store.close();
  }
}

/** Segments as the bucket has them; what compaction left behind is among them. */
async function listed(collectionId: bigint): Promise<Segment[]> {
  return await withStore(async (store) => {
    const own = async function* (prefix: string) {
      for (const kind of ["insert_log", "delta_log"]) yield* store.list(`${prefix}${kind}/${collectionId}/`);
    };
    return await segmentsIn({ list: own });
  });
}

const text = (bytes: Uint8Array) => new TextDecoder("utf-8", { fatal: true }).decode(bytes);
const repeat = <T>(value: T, times: number): T[] => Array.from({ length: times }, () => value);

/** What an Array cell says; an array without elements has no data at all. */
function elements(cell: ScalarField): unknown[] {
  return cell.data.case === undefined ? [] : [...(cell.data.value as { data: unknown[] }).data];
}

function checkRow(row: number, i: number, column: (name: string) => Column): void {
  // deno-lint-ignore no-explicit-any
  const at = (name: string): any => (column(name).data as { values: ArrayLike<unknown> }).values[row];
  assert.equal(at("b"), i % 3 === 0 ? 1 : 0);
  assert.equal(at("i8"), i % 256 - 128);
  assert.equal(at("i16"), i - 1500);
  assert.equal(BigInt(at("i32")), BigInt(i) * 1000003n % 2n ** 31n);
  assert.equal(at("i64"), -(2n ** 62n) + BigInt(i));
  assert.equal(at("f"), Math.fround(i / 7));
  assert.equal(at("d"), i / 3);
  assert.equal(text(at("s")), "s\u20ac\u{1f600}".repeat(i % 5));
  assert.deepEqual(parseJson(text(at("j"))), { k: 2n ** 60n + BigInt(i), n: null });
  assert.deepEqual(parseJson(text(at("$meta"))), { dyn: i, big: 2n ** 53n + BigInt(i) });
  const array = (name: string) => elements(fromBinary(ScalarFieldSchema, at(name)));
  assert.deepEqual(array("a_bool"), repeat(i % 2 === 0, i % 4));
  assert.deepEqual(array("a_i8"), [i % 128, -(i % 128)].slice(0, i % 3).map((x) => x + 0));
  assert.deepEqual(array("a_i16"), [i, 0 - i].slice(0, i % 3));
  assert.deepEqual(array("a_i32"), [i * 3, 0 - i].slice(0, i % 3));
  assert.deepEqual(array("a_i64"), [2n ** 62n + BigInt(i), -(2n ** 62n) - BigInt(i)].slice(0, i % 3));
  assert.deepEqual(array("a_f"), repeat(i / 4, i % 2));
  assert.deepEqual(array("a_d"), repeat(i / 3, i % 2));
  assert.deepEqual(array("a_s"), [`ä${i}`, ""].slice(0, i % 3));
}

const VECTORS = {
  f32: {
    type: DataType.FloatVector,
    dim: 16,
    bytes: (i: number) => new Uint8Array(Float32Array.from({ length: 16 }, (_, k) => ((i * 31 + k) % 97) / 97).buffer),
  },
  bin: {
    type: DataType.BinaryVector,
    dim: 32,
    bytes: (i: number) => Uint8Array.from({ length: 4 }, (_, k) => (i + k) % 256),
  },
} as const;

Deno.test("openBinlogSource reads what a real 2.3.5 wrote, value by value, with the deletes", async () => {
  const script = new URL("./binlog_rows.py", import.meta.url).pathname;
  const made = JSON.parse(await python([script, PREFIX], { SOURCE_URI: env.SOURCE_URI! }));
  const source = await openBinlogSource(binlogSpec.parse(config));
  try {
    for (const [name, vector] of Object.entries(VECTORS)) {
      const collectionId = BigInt(made[name].id);
      const varchar = name === "bin";
      const arrays = ["a_bool", "a_i8", "a_i16", "a_i32", "a_i64", "a_f", "a_d", "a_s"];
      const elementTypes = [
        DataType.Bool,
        DataType.Int8,
        DataType.Int16,
        DataType.Int32,
        DataType.Int64,
        DataType.Float,
        DataType.Double,
        DataType.VarChar,
      ];
      const schema = schemaOf(name, [
        { id: 100n, name: "id", type: varchar ? DataType.VarChar : DataType.Int64, primary: true },
        { id: 101n, name: "b", type: DataType.Bool },
        { id: 102n, name: "i8", type: DataType.Int8 },
        { id: 103n, name: "i16", type: DataType.Int16 },
        { id: 104n, name: "i32", type: DataType.Int32 },
        { id: 105n, name: "i64", type: DataType.Int64 },
        { id: 106n, name: "f", type: DataType.Float },
        { id: 107n, name: "d", type: DataType.Double },
        { id: 108n, name: "s", type: DataType.VarChar },
        { id: 109n, name: "j", type: DataType.JSON },
        { id: 110n, name: "v", type: vector.type, dim: vector.dim },
        ...arrays.map((array, k) => ({
          id: 111n + BigInt(k),
          name: array,
          type: DataType.Array,
          elementType: elementTypes[k]!,
        })),
        { id: 119n, name: "$meta", type: DataType.JSON, dynamic: true },
      ]);
      const segments = await listed(collectionId);
      const seen = new Set<number>();
      for (const segment of segments) {
        for await (const batch of source.rows(segment, schema, "all", signal)) checkBatch(batch, vector, varchar, seen);
      }
      assert.equal(seen.size, COUNT, name);

      const report = await source.verify(collectionId, segments, signal);
      assert.deepEqual(report.findings, []);
      assert.ok(report.deltaFiles.length > 0);
      const gone = new Set<bigint | string>();
      for (const file of report.deltaFiles) {
        for await (const mark of source.deletes(file, signal)) {
          mark.keys.values.forEach((key: bigint | string) => gone.add(key));
          assert.ok([...mark.timestamps].every((ts) => ts > collectionId && ts < 2n ** 63n));
        }
      }
      const expected = Array.from({ length: 50 }, (_, i) => varchar ? `k"${i}\\é` : 2n ** 60n + BigInt(i));
      assert.deepEqual([...gone].sort(), expected.sort());
    }
  } finally {
    await source.close();
    await drop();
  }
});

function checkBatch(
  batch: ColumnBatch,
  vector: (typeof VECTORS)[keyof typeof VECTORS],
  varchar: boolean,
  seen: Set<number>,
): void {
  const column = (name: string) => batch.columns.find((one) => one.name === name)!;
  const ids = (column("id").data as { values: ArrayLike<bigint | Uint8Array> }).values;
  const vectors = column("v").data;
  assert.equal(vectors.kind, "fixed");
  assert.equal(batch.timestamps!.length, batch.rows);
  for (let row = 0; row < batch.rows; row++) {
    const id = ids[row]!;
    const i = varchar
      ? parseInt(/^k"(\d+)\\é$/.exec(text(id as Uint8Array))![1]!, 10)
      : parseInt(String((id as bigint) - 2n ** 60n), 10);
    checkRow(row, i, column);
    assert.deepEqual(
      vectors.bytes.slice(row * vectors.width, (row + 1) * vectors.width),
      vector.bytes(i),
    );
    seen.add(i);
  }
}

async function drop(): Promise<void> {
  const names = JSON.stringify(Object.keys(VECTORS).map((name) => `${PREFIX}_${name}`));
  const code = `import os
from pymilvus import connections, utility
connections.connect(uri=os.environ["SOURCE_URI"])
for name in ${names}:
    if utility.has_collection(name): utility.drop_collection(name)
print("ok")`;
  await python(["-c", code], { SOURCE_URI: env.SOURCE_URI! });
}

Deno.test("openBinlogSource checks bucket and root on a real server", async () => {
  const check = async (changes: Record<string, unknown>) => {
    const source = await openBinlogSource(binlogSpec.parse({ ...config, ...changes }), { retry: { attempts: 1 } });
    try {
      return (await source.check(signal))[0]!;
    } finally {
      await source.close();
    }
  };
  assert.equal((await check({})).ok, "ok");
  const root = await check({ root_path: "file" });
  assert.equal(root.code, "not_found");
  assert.match(root.detail, /the bucket has .*files.*Set root_path to files/);
  const bucket = await check({ bucket: "c-bucket" });
  assert.equal(bucket.code, "not_found");
  assert.match(bucket.detail, /No bucket c-bucket .*there are: .*a-bucket/);
  assert.equal((await check({ secret_access_key: "wrong" })).code, "authentication");
  assert.equal((await check({ endpoint: "http://127.0.0.1:9" })).code, "unreachable");
});

Deno.test("openBinlogSource goes on where a real 2.3.5 has no route to pause its garbage collection", async () => {
  // The stack gives a server's metrics port 9 above its gRPC port.
  const address = new URL(env.SOURCE_URI!);
  address.port = String(parseInt(address.port, 10) + 9);
  const source = await openBinlogSource(binlogSpec.parse({ ...config, gc: { management_address: address.origin } }));
  try {
    const [, line] = await source.check(signal);
    assert.equal(line!.ok, "warn", line!.detail);
    await using _paused = await source.pauseGc(signal);
  } finally {
    await source.close();
  }
});
