/**
 * How fast the Milvus sink writes, and what it costs this process: insert against upsert, by batch size and by requests in
 * flight, for rows of an int64 key, a 128-d float vector, a varchar and JSON (about 610 bytes on the wire).
 *
 *     TIDEMARK_STACK_ENV=... deno run -A tests/bench/sink.ts [rows per run, default 60000]
 *
 * Needs a target without load; the collection has an index only in the last part and is not loaded.
 */
import process from "node:process";
import type { WriteRequest } from "../../pipeline/model/mod.ts";
import { DataType } from "../../pipeline/proto/gen/schema_pb.ts";
import { createMilvusSink, milvusSinkSpec } from "../../sinks/milvus/mod.ts";
import { itemColumns, itemsSchema, LOADED, wanted } from "../sinks/milvus/sample.ts";
import { stackEnv } from "../stack/env.ts";

const DIM = 128;
const total = parseInt(Deno.args[0] ?? "60000", 10);
const signal = new AbortController().signal;
const config = milvusSinkSpec.parse({
  type: "milvus",
  address: stackEnv().TARGET_URI,
  max_batch_bytes: "32MiB",
  parallel_writes: 8,
});
const sink = createMilvusSink(config);
const target = { db: "default", name: `bench_${Deno.pid}` };

function batches(size: number): WriteRequest[] {
  const requests: WriteRequest[] = [];
  for (let from = 0; from < total; from += size) {
    const rows = Array.from({ length: Math.min(size, total - from) }, (_, i) => ({
      id: BigInt(from + i),
      text: `item number ${from + i}`,
      extra: `{"price":${i % 997},"tag":"t${i % 13}","big":9007199254740993}`,
    }));
    requests.push({
      collectionId: 7n,
      target,
      partition: "_default",
      mode: "insert",
      rows: rows.length,
      fieldsData: itemColumns(rows, DIM),
    });
  }
  return requests;
}

async function run(mode: "insert" | "upsert", requests: readonly WriteRequest[], inFlight: number) {
  const queue = requests.values();
  const cpu = process.cpuUsage();
  const begun = performance.now();
  await Promise.all(Array.from({ length: inFlight }, async () => {
    for (const request of queue) await sink.write({ ...request, mode }, signal);
  }));
  const seconds = (performance.now() - begun) / 1000;
  const used = process.cpuUsage(cpu);
  const perMillion = (used.user + used.system) / total;
  return { rate: total / seconds, perMillion };
}

async function fresh(load: boolean): Promise<void> {
  await sink.dropCollection(target, signal);
  const want = wanted(target.name, { schema: itemsSchema(DataType.Int64, DIM), load: load ? LOADED : undefined });
  await sink.reconcile(want, undefined, load ? "all" : "structure", () => "apply", signal);
  if (!load) return;
  while (!(await sink.state(target, signal)).loaded) await new Promise((resolve) => setTimeout(resolve, 200));
}

console.log(`${total} rows a run, ${navigator.hardwareConcurrency} cores, target ${stackEnv().TARGET_URI}`);
console.log("mode    loaded  batch  in flight   rows/s  client CPU s per million rows");
try {
  for (const load of [false, true]) {
    for (const size of load ? [4000] : [1000, 2000, 4000, 10_000]) {
      const requests = batches(size);
      for (const inFlight of [1, 2, 4]) {
        for (const mode of ["insert", "upsert"] as const) {
          await fresh(load);
          const { rate, perMillion } = await run(mode, requests, inFlight);
          console.log(
            [mode.padEnd(7), String(load).padEnd(6), String(size).padStart(6), String(inFlight).padStart(10)].join(
              " ",
            ) +
              `${Math.round(rate).toString().padStart(9)}  ${perMillion.toFixed(2).padStart(6)}`,
          );
        }
      }
    }
  }
} finally {
  await sink.dropCollection(target, signal);
  await sink.close();
}
