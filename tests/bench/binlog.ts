/**
 * Decoding insert logs: int64 key, 128-d float vector, varchar, JSON (dynamic field), from S3.
 *
 *     TIDEMARK_STACK_ENV=... deno run -A tests/bench/binlog.ts [rows] [rounds]
 *
 * Writes the rows into the stack's source, flushes, then reads every file of the collection `rounds` times.
 */
import process from "node:process";
import type { ObjectStore } from "../../pipeline/model/mod.ts";
import { DataType } from "../../pipeline/proto/gen/schema_pb.ts";
import { createBinlogSource } from "../../sources/binlog/mod.ts";
import { openObjectStore, s3Spec } from "../../stores/mod.ts";
import { schemaOf, segmentsIn } from "../sources/binlog/sample.ts";
import { stackEnv } from "../stack/env.ts";

const env = stackEnv();
const rows = parseInt(Deno.args[0] ?? "200000", 10);
const rounds = parseInt(Deno.args[1] ?? "3", 10);
const NAME = "bench_binlog";

const FILL = `
import os, sys, numpy as np
from pymilvus import Collection, CollectionSchema, DataType as D, FieldSchema as F, connections, utility
connections.connect(uri=os.environ["SOURCE_URI"])
name, rows = sys.argv[1], int(sys.argv[2])
if utility.has_collection(name): utility.drop_collection(name)
if rows:
    fields = [F("id", D.INT64, is_primary=True), F("v", D.FLOAT_VECTOR, dim=128), F("s", D.VARCHAR, max_length=100)]
    c = Collection(name, CollectionSchema(fields, enable_dynamic_field=True), shards_num=2)
    rng = np.random.default_rng(1)
    for start in range(0, rows, 5000):
        n = min(5000, rows - start)
        v = rng.random((n, 128)).astype("float32")
        c.insert([{"id": i, "v": v[i - start], "s": "row number %d" % i, "n": i, "tag": "t%d" % (i % 100)} for i in range(start, start + n)])
    c.flush(timeout=120)
    print(c.describe()["collection_id"])
`;

async function fill(count: number): Promise<string> {
  const run = new Deno.Command(env.PYTHON!, {
    args: ["-c", FILL, NAME, String(count)],
    env: { SOURCE_URI: env.SOURCE_URI! },
    stderr: "inherit",
  });
  const { success, stdout } = await run.output();
  if (!success) throw new Error("Filling the source failed");
  return new TextDecoder().decode(stdout).trim().split("\n").at(-1)!;
}

const schema = schemaOf(NAME, [
  { id: 100n, name: "id", type: DataType.Int64, primary: true },
  { id: 101n, name: "v", type: DataType.FloatVector, dim: 128 },
  { id: 102n, name: "s", type: DataType.VarChar },
  { id: 103n, name: "$meta", type: DataType.JSON, dynamic: true },
]);

async function measure(store: ObjectStore, collectionId: string): Promise<void> {
  const listing = {
    list: (prefix: string) => store.list(`${prefix}insert_log/${collectionId}/`),
  };
  const segments = await segmentsIn(listing);
  const source = createBinlogSource({ store, root: "files" });
  const fileBytes = segments.flatMap((one) => one.binlogs.flatMap((group) => group.files))
    .reduce((sum, file) => sum + file.size, 0n);
  console.log(`${segments.length} segments, ${fileBytes / 1_000_000n} MB of files`);
  for (let round = 0; round < rounds; round++) {
    const cpu = process.cpuUsage();
    const started = performance.now();
    let read = 0;
    let bytes = 0;
    let batches = 0;
    let peak = 0;
    for (const segment of segments) {
      for await (const batch of source.rows(segment, schema, "all", new AbortController().signal)) {
        read += batch.rows;
        batches++;
        for (const { data } of batch.columns) {
          if (data.kind === "fixed") bytes += data.bytes.length;
          else if (data.kind === "utf8" || data.kind === "bytes") {
            for (const value of data.values) bytes += value.length;
          } else bytes += data.values.byteLength;
        }
        peak = Math.max(peak, Deno.memoryUsage().rss);
      }
    }
    const seconds = (performance.now() - started) / 1000;
    const used = process.cpuUsage(cpu);
    const cpuSeconds = (used.user + used.system) / 1e6;
    console.log(
      `round ${round + 1}: ${read} rows, ${(read / seconds / 1000).toFixed(0)}k rows/s, ${
        (bytes / 1e6 / seconds).toFixed(0)
      } MB/s, ${(cpuSeconds / read * 1e6).toFixed(2)} CPU s per million rows, ${batches} batches, RSS ${
        (peak / 1e6).toFixed(0)
      } MB`,
    );
  }
}

const store = await openObjectStore(s3Spec.parse({
  type: "s3",
  endpoint: env.S3_ENDPOINT,
  bucket: env.SOURCE_BUCKET,
  access_key_id: env.S3_ACCESS_KEY,
  secret_access_key: env.S3_SECRET_KEY,
}));
try {
  await measure(store, await fill(rows));
} finally {
  await fill(0);
  await store.close();
}
