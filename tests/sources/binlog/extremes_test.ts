import assert from "node:assert/strict";
import type { Segment } from "../../../pipeline/model/mod.ts";
import { readExtremes } from "../../../sources/binlog/extremes.ts";
import { createMemoryStore, createParquetFile } from "../../../stores/mod.ts";
import { envelopeOf } from "./build.ts";

const { signal } = new AbortController();

function stringParquet(values: readonly string[]): Uint8Array {
  const file = createParquetFile([{ name: "val", type: "string", statistics: true }], { createdBy: "test" });
  file.writeRowGroup([values]);
  return file.finish();
}

async function extremesOf(payloads: Uint8Array[], more: Partial<Segment> = {}) {
  const store = createMemoryStore();
  await store.put("insert_log/1/2/3/100/4", envelopeOf(1, payloads, { fieldId: 100n }), {}, signal);
  const file = { path: "insert_log/1/2/3/100/4", logId: 4n, entries: 0n, tsFrom: 0n, tsTo: 0n, size: 0n };
  const binlogs = [{ fieldId: 100n, childFields: [], files: [file] }];
  const segment = { id: 3n, storageVersion: 0n, manifestPath: "", binlogs, ...more } as unknown as Segment;
  const found = await Array.fromAsync(readExtremes(segment, 100n, ({ path }) => ({ store, key: path }), signal));
  return found.map(({ texts }) => texts);
}

Deno.test("readExtremes names the first and the last text of each file by its statistics", async () => {
  const payloads = [stringParquet(["b", "x".repeat(12), "a"]), stringParquet(["ü"])];
  assert.deepEqual(await extremesOf(payloads), [["a", "x".repeat(12), "ü", "ü"]]);
});

Deno.test("readExtremes passes over files that hold several fields, and says where a file is damaged", async () => {
  assert.deepEqual(await extremesOf([stringParquet(["a"])], { storageVersion: 2n }), []);
  await assert.rejects(extremesOf([new Uint8Array(20)]), { code: "damaged", message: /insert_log\/1\/2\/3\/100\/4/ });
});
