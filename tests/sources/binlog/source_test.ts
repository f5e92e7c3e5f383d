import assert from "node:assert/strict";
import { create, fromBinary } from "@bufbuild/protobuf";
import type { BinlogSource, Column, ColumnBatch, ObjectStore, Segment } from "../../../pipeline/model/mod.ts";
import {
  type CollectionSchema,
  type FieldSchema,
  ScalarFieldSchema,
  ValueFieldSchema,
} from "../../../pipeline/proto/gen/schema_pb.ts";
import { createBinlogSource } from "../../../sources/binlog/mod.ts";
import { createMemoryStore } from "../../../stores/mod.ts";
import { SAMPLE_COLLECTION, SAMPLE_DEFAULT, SAMPLE_P1, sampleSchema, sampleStore, segmentsIn } from "./sample.ts";

const signal = new AbortController().signal;
const decode = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);

async function sample(): Promise<{ source: BinlogSource; segments: Segment[] }> {
  const store = await sampleStore();
  return { source: createBinlogSource({ store, root: "files" }), segments: await segmentsIn(store) };
}

// deno-lint-ignore no-explicit-any
function values(batch: ColumnBatch, name: string): any {
  const column = batch.columns.find((candidate): candidate is Column => candidate.name === name);
  assert.ok(column, `no column ${name}`);
  return column.data.kind === "fixed" ? column.data.bytes : column.data.values;
}

Deno.test("createBinlogSource reads every row of the sample backup as its recipe says", async () => {
  const { source, segments } = await sample();
  assert.equal(segments.length, 6);
  const seen = new Map<bigint, bigint>();
  for (const segment of segments) {
    let next = 0;
    for await (const batch of source.rows(segment, sampleSchema, "all", signal)) {
      assert.equal(batch.firstRow, next);
      next += batch.rows;
      assert.deepEqual(
        batch.columns.map((column) => column.name),
        sampleSchema.fields.slice(2).map((field) => field.name),
      );
      for (let row = 0; row < batch.rows; row++) {
        const id: bigint = values(batch, "id")[row];
        const i = Number(id);
        assert.ok(!seen.has(id));
        seen.set(id, segment.partitionId);
        assert.equal(values(batch, "b")[row], i % 2 === 0 ? 1 : 0);
        assert.equal(values(batch, "i8")[row], i % 100 - 50);
        assert.equal(values(batch, "i16")[row], i);
        assert.equal(values(batch, "i32")[row], 3 * i);
        assert.equal(values(batch, "f")[row], Math.fround(i / 7));
        assert.equal(values(batch, "d")[row], i / 3);
        assert.equal(decode(values(batch, "s")[row]), `Zeile-${i}-ä€`);
        assert.equal(decode(values(batch, "j")[row]), JSON.stringify({ k: i, t: ["x", null, 1.5] }));
        const array = fromBinary(ScalarFieldSchema, values(batch, "arr")[row]);
        assert.equal(array.data.case, "intData");
        assert.deepEqual(array.data.case === "intData" && array.data.value.data, [i, i + 1].slice(0, i % 3));
        assert.deepEqual(JSON.parse(decode(values(batch, "$meta")[row])), { extra: `dyn${i}`, n: i });
        const vector: Uint8Array = values(batch, "v").subarray(row * 32, row * 32 + 32);
        const floats = new Float32Array(vector.slice().buffer);
        assert.ok(floats.every((value) => value >= 0 && value < 1) && floats.some((value) => value > 0));
        assert.ok(batch.timestamps![row]! > 470597784452279572n);
      }
    }
  }
  assert.equal(seen.size, 1100);
  for (let i = 0n; i < 1100n; i++) assert.equal(seen.get(i), i >= 600n && i < 1000n ? SAMPLE_P1 : SAMPLE_DEFAULT);
});

Deno.test("createBinlogSource reads the sample's deletes with exact keys and timestamps", async () => {
  const { source, segments } = await sample();
  const report = await source.verify(SAMPLE_COLLECTION, segments, signal);
  const deletes: [bigint, bigint, bigint][] = [];
  for (const file of report.deltaFiles) {
    for await (const mark of source.deletes(file, signal)) {
      assert.equal(mark.keys.kind, "int64");
      mark.keys.values.forEach((key, i) => deletes.push([key as bigint, mark.timestamps[i]!, mark.partitionId]));
    }
  }
  assert.deepEqual(deletes.sort((a, b) => Number(a[0] - b[0])), [
    [5n, 470597853798465538n, SAMPLE_DEFAULT],
    [6n, 470597853798465538n, SAMPLE_DEFAULT],
    [7n, 470597853798465538n, SAMPLE_DEFAULT],
    [10n, 470597854086561794n, SAMPLE_DEFAULT],
    [700n, 470597853798465538n, SAMPLE_P1],
    [1001n, 470597854086561794n, SAMPLE_DEFAULT],
  ]);
});

Deno.test("createBinlogSource finds the sample clean", async () => {
  const { source, segments } = await sample();
  const report = await source.verify(SAMPLE_COLLECTION, segments, signal);
  assert.deepEqual(report.findings, []);
  assert.equal(report.insertFiles, 6 * 14);
  assert.equal(report.deltaFiles.length, 4);
});

Deno.test("createBinlogSource reads chosen fields only, in small batches, with windows smaller than a file", async () => {
  const store = await sampleStore();
  const [segment] = (await segmentsIn(store)).sort((a, b) => b.binlogs.length - a.binlogs.length);
  const whole = createBinlogSource({ store, root: "files" });
  const small = createBinlogSource({
    store,
    root: "files",
    reading: { batchBytes: 500, batchRows: 17, memoryBytes: 10 },
  });
  const [expected] = await Array.fromAsync(whole.rows(segment!, sampleSchema, [100n, 110n], signal));
  assert.equal(expected!.timestamps, undefined);
  assert.equal(expected!.columns.length, 2);
  const ids: bigint[] = [];
  const vectors: number[] = [];
  for await (const batch of small.rows(segment!, sampleSchema, [110n, 100n, 1n], signal)) {
    assert.ok(batch.rows <= 17);
    assert.equal(batch.timestamps!.length, batch.rows);
    assert.deepEqual(batch.columns.map((column) => column.name), ["v", "id"]);
    ids.push(...values(batch, "id"));
    vectors.push(...values(batch, "v"));
  }
  assert.deepEqual(ids, [...values(expected!, "id")]);
  assert.deepEqual(vectors, [...values(expected!, "v")]);
});

Deno.test("createBinlogSource gives a field that was added later its default, or nulls, or calls it missing", async () => {
  const { source, segments } = await sample();
  const older: Segment = { ...segments[0]!, binlogs: segments[0]!.binlogs.filter((group) => group.fieldId !== 104n) };
  const schema = (changes: Partial<FieldSchema>): CollectionSchema => ({
    ...sampleSchema,
    fields: sampleSchema.fields.map((field) => field.fieldID === 104n ? { ...field, ...changes } : field),
  });
  const read = (changes: Partial<FieldSchema>) =>
    Array.fromAsync(source.rows(older, schema(changes), [104n], signal), ({ rows, columns }) => ({
      rows,
      column: columns[0]!,
    }));
  for (const { rows, column } of await read({ nullable: true })) {
    assert.deepEqual(column.valid, new Uint8Array(rows));
    assert.equal(column.data.kind, "int32");
  }
  const defaultValue = create(ValueFieldSchema, { data: { case: "intData", value: -7 } });
  const filled = await read({ defaultValue });
  for (const { rows, column } of filled) {
    assert.equal(column.valid, undefined);
    assert.deepEqual(column.data, { kind: "int32", values: new Int32Array(rows).fill(-7) });
  }
  assert.ok(filled.reduce((sum, { rows }) => sum + rows, 0) > 100);
  await assert.rejects(read({}), { code: "damaged", message: /no files of the field i32 \(104\)/ });
});

Deno.test("createBinlogSource names segment and file of what is missing, short or swapped", async () => {
  const store = await sampleStore();
  const source = createBinlogSource({ store, root: "files" });
  const [segment] = await segmentsIn(store);
  const file = segment!.binlogs.find((group) => group.fieldId === 105n)!.files[0]!;
  const key = `files/${file.path}`;
  const good = store.objects.get(key)!.bytes;
  const read = () => Array.fromAsync(source.rows(segment!, sampleSchema, "all", signal));
  const names = (code: string, words: RegExp) => (error: { code: string; message: string }) => {
    assert.equal(error.code, code);
    assert.match(error.message, words);
    assert.ok(error.message.includes(file.path) && error.message.includes(String(segment!.id)), error.message);
    return true;
  };
  await store.delete([key]);
  await assert.rejects(read(), names("not_found", /Missing file/));
  await store.put(key, good.subarray(0, good.length - 5));
  await assert.rejects(read(), names("damaged", /cut off/));
  const other = segment!.binlogs.find((group) => group.fieldId === 106n)!.files[0]!;
  await store.put(key, store.objects.get(`files/${other.path}`)!.bytes);
  await assert.rejects(read(), names("damaged", /is of field 106, not 105/));
  await store.put(key, good);
  const counted = {
    ...segment!,
    binlogs: segment!.binlogs.map((group) => ({
      ...group,
      files: group.files.map((one) => ({ ...one, entries: 7n })),
    })),
  };
  await assert.rejects(Array.fromAsync(source.rows(counted, sampleSchema, "all", signal)), {
    code: "damaged",
    message: /where metadata says 7/,
  });
  const longer = (await segmentsIn(store)).find((one) => one.id !== segment!.id)!;
  const mixed = {
    ...segment!,
    binlogs: segment!.binlogs.map((group) =>
      group.fieldId === 105n ? longer.binlogs.find((one) => one.fieldId === 105n)! : group
    ),
  };
  await assert.rejects(Array.fromAsync(source.rows(mixed, sampleSchema, "all", signal)), {
    code: "damaged",
    message: /rows where .* of the same set has/,
  });
});

Deno.test("createBinlogSource refuses storage versions that it does not know", async () => {
  const { source, segments } = await sample();
  for (const storageVersion of [3n, 4n]) {
    const rows = source.rows({ ...segments[0]!, storageVersion }, sampleSchema, "all", signal);
    await assert.rejects(Array.fromAsync(rows), { code: "unsupported" });
  }
});

Deno.test("createBinlogSource checks its root and names the folders that are there", async () => {
  const store = await sampleStore();
  const at = async (root: string) => (await createBinlogSource({ store, root }).check(signal))[0]!;
  assert.equal((await at("files")).ok, "ok");
  const wrong = await at("file");
  assert.equal(wrong.ok, "fail");
  assert.equal(wrong.code, "not_found");
  assert.match(wrong.detail, /No binlogs below file; the bucket has files\. Set root_path to files/);
  await store.delete([...store.objects.keys()]);
  assert.equal((await at("files")).ok, "warn");
  assert.equal((await at("")).ok, "fail");
});

Deno.test("createBinlogSource finds a root that lies deep in the bucket, and speaks of the bucket where the root is empty", async () => {
  const flat = await sampleStore();
  const deep = createMemoryStore();
  for (const [key, { bytes }] of flat.objects) await deep.put(`prod/eu/${key}`, bytes);
  const check = async (root: string, store: ObjectStore) =>
    (await createBinlogSource({ store, root }).check(signal))[0]!;
  const bucket: ObjectStore = { ...deep, location: "s3://b@http://minio:9000" };
  const empty = await check("", bucket);
  assert.equal(empty.code, "not_found");
  assert.match(
    empty.detail,
    /No binlogs at the top of this bucket; the bucket has prod\. Set root_path to prod\/eu\/files$/,
  );
  assert.equal((await check("prod/eu/files", bucket)).ok, "ok");
  for (let i = 0; i < 25; i++) await deep.put(`other${i}/x/y`, new Uint8Array(1));
  assert.match((await check("files", bucket)).detail, /and 6 more\. Set root_path to prod\/eu\/files$/);
});
