import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import type { ColumnBatch, FieldFiles, LogFile, Segment } from "../../../pipeline/model/mod.ts";
import { DataType, FieldSchemaSchema, StructArrayFieldSchemaSchema } from "../../../pipeline/proto/gen/schema_pb.ts";
import { readSegment, type SegmentReadOptions } from "../../../sources/binlog/mod.ts";
import { createMemoryStore } from "../../../stores/mod.ts";
import { envelopeOf, int64Parquet, stringParquet } from "./build.ts";
import { fileOf, schemaOf } from "./sample.ts";
import { segmentOf } from "../../fakes/segment.ts";

const folder = new URL("../../samples/parquet/", import.meta.url);
const sample = (name: string) => Deno.readFileSync(new URL(name, folder));
const store = createMemoryStore();
const locate = (file: LogFile) => ({ store, key: file.path });
const signal = new AbortController().signal;

/** Puts files into the store and says how metadata would name them. */
async function group(
  segmentId: bigint,
  fieldId: bigint,
  files: readonly { readonly bytes: Uint8Array; readonly rows: number }[],
  childFields: readonly bigint[] = [],
): Promise<FieldFiles> {
  const named: LogFile[] = [];
  for (const [i, { bytes, rows }] of files.entries()) {
    const path = `insert_log/1/2/${segmentId}/${fieldId}/${i + 1}`;
    await store.put(path, bytes);
    named.push(fileOf(path, bytes.length, BigInt(rows)));
  }
  return { fieldId, childFields, files: named };
}

const field = (fieldId: bigint, values: bigint[]) => ({
  bytes: envelopeOf(1, int64Parquet(values), { fieldId }),
  rows: values.length,
});

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

const schema = schemaOf("v2", [
  { id: 100n, name: "id", type: DataType.Int64, primary: true },
  { id: 101n, name: "s", type: DataType.VarChar, nullable: true },
  { id: 102n, name: "v", type: DataType.FloatVector, dim: 4 },
  { id: 103n, name: "sparse", type: DataType.SparseFloatVector },
  { id: 104n, name: "later", type: DataType.Double, nullable: true },
]);

async function v2Segment(childFields: boolean): Promise<Segment> {
  const narrow = [sample("v2-narrow-0.parquet"), sample("v2-narrow-1.parquet")];
  const wide = [sample("v2-wide-0.parquet"), sample("v2-wide-1.parquet")];
  const id = childFields ? 21n : 22n;
  return segmentOf({
    id,
    collectionId: 1n,
    partitionId: 2n,
    storageVersion: 2n,
    binlogs: [
      await group(
        id,
        0n,
        [{ bytes: narrow[0]!, rows: 600 }, { bytes: narrow[1]!, rows: 400 }],
        childFields ? [0n, 1n, 100n, 101n, 103n] : [],
      ),
      await group(
        id,
        102n,
        [{ bytes: wide[0]!, rows: 250 }, { bytes: wide[1]!, rows: 750 }],
        childFields ? [102n] : [],
      ),
    ],
  });
}

function checkV2(batches: readonly ColumnBatch[]): void {
  let i = 0;
  for (const batch of batches) {
    assert.equal(batch.firstRow, i);
    const [id, s, v, sparse, later] = batch.columns.map((column) => column.data);
    assert.ok(
      id?.kind === "int64" && s?.kind === "utf8" && v?.kind === "fixed" && sparse?.kind === "bytes" &&
        later?.kind === "double",
    );
    const validity = batch.columns[1]!.valid;
    for (let row = 0; row < batch.rows; row++, i++) {
      assert.equal(id.values[row], 2n ** 60n + BigInt(i));
      assert.equal(batch.timestamps![row], 470597853798465538n + BigInt(i));
      assert.equal(validity?.[row] ?? 1, i % 5 === 0 ? 0 : 1);
      if (i % 5 !== 0) assert.equal(new TextDecoder().decode(s.values[row]), `ä${i}`);
      const vector: Float32Array = new Float32Array(v.bytes.slice(row * 16, row * 16 + 16).buffer);
      assert.deepEqual([...vector].map((x) => x + 0), [i, 0 - i, i / 2, 0]);
      const pairs: Uint8Array = sparse.values[row]!;
      assert.equal(new DataView(pairs.buffer, pairs.byteOffset, 16).getUint32(8, true), 2 ** 31 + i);
      assert.equal(batch.columns[4]!.valid![row], 0);
    }
  }
  assert.equal(i, 1000);
}

for (const [name, options] of [["whole files", {}], ["windows", { memoryBytes: 1000, batchBytes: 3000 }]] as const) {
  Deno.test(`readSegment aligns column groups of storage V2 by row, by ${name}`, async () => {
    const read = (segment: Segment, more: SegmentReadOptions = options) =>
      Array.fromAsync(readSegment(segment, schema, "all", locate, more, signal));
    checkV2(await read(await v2Segment(true)));
    checkV2(await read(await v2Segment(false)));
  });
}

Deno.test("readSegment names the group that is short of rows in storage V2", async () => {
  const segment = await v2Segment(true);
  const cut = segment.binlogs.map((one) => one.fieldId === 102n ? { ...one, files: one.files.slice(0, 1) } : one);
  await assert.rejects(Array.fromAsync(readSegment({ ...segment, binlogs: cut }, schema, "all", locate)), {
    code: "damaged",
    message: /Field v \(102\) of segment 21 ends at row 250/,
  });
});

Deno.test("readSegment reads nullable dense vectors", async () => {
  const bytes = envelopeOf(1, sample("vector-nullable.parquet"), { fieldId: 102n });
  const stamps = field(1n, range(0, 100).map(BigInt));
  const segment = segmentOf({
    id: 30n,
    collectionId: 1n,
    partitionId: 2n,
    binlogs: [await group(30n, 102n, [{ bytes, rows: 100 }]), await group(30n, 1n, [stamps])],
  });
  const [batch] = await Array.fromAsync(readSegment(segment, schema, [102n], locate));
  const column = batch!.columns[0]!;
  assert.ok(column.data.kind === "fixed" && column.data.width === 16 && column.data.bytes.length === 1600);
  assert.deepEqual([...column.valid!.subarray(0, 6)], [0, 1, 1, 1, 1, 0]);
  assert.equal(new Float32Array(column.data.bytes.slice(16 * 7, 16 * 8).buffer)[0], 7);
  const other = schemaOf("v2", [{ id: 102n, name: "v", type: DataType.FloatVector, dim: 5 }]);
  await assert.rejects(Array.fromAsync(readSegment(segment, other, [102n], locate)), {
    code: "damaged",
    message: /16 bytes.*20/,
  });
});

Deno.test("readSegment gives nulls for the sets of files that are older than a field", async () => {
  const binlogs = [
    await group(40n, 1n, [field(1n, [1n, 2n, 3n]), field(1n, [4n]), field(1n, [5n, 6n])]),
    await group(40n, 100n, [field(100n, [10n, 20n, 30n]), field(100n, [40n]), field(100n, [50n, 60n])]),
    await group(40n, 105n, [field(105n, [500n, 600n])]),
  ];
  const segment = segmentOf({ id: 40n, collectionId: 1n, partitionId: 2n, binlogs });
  const later = schemaOf("later", [
    { id: 100n, name: "id", type: DataType.Int64, primary: true },
    { id: 105n, name: "n", type: DataType.Int64, nullable: true },
  ]);
  const [batch] = await Array.fromAsync(readSegment(segment, later, "all", locate));
  assert.deepEqual([...batch!.columns[1]!.valid!], [0, 0, 0, 0, 1, 1]);
  assert.ok(batch!.columns[1]!.data.kind === "int64");
  assert.deepEqual([...batch!.columns[1]!.data.values].slice(4), [500n, 600n]);
  const pkShort = { ...segment, binlogs: [binlogs[0]!, { ...binlogs[1]!, files: binlogs[1]!.files.slice(1) }] };
  await assert.rejects(Array.fromAsync(readSegment(pkShort, later, [100n], locate)), { code: "damaged" });
});

Deno.test("readSegment keeps batches near their size when rows grow", async () => {
  const texts = [...range(0, 2000).map(() => "x"), ...range(0, 300).map(() => "y".repeat(20_000))];
  const segment = segmentOf({
    id: 50n,
    collectionId: 1n,
    partitionId: 2n,
    binlogs: [
      await group(50n, 101n, [{ bytes: envelopeOf(1, stringParquet(texts), { fieldId: 101n }), rows: texts.length }]),
    ],
  });
  const batchBytes = 200_000;
  let rows = 0;
  for await (const batch of readSegment(segment, schema, [101n], locate, { batchBytes })) {
    assert.equal(batch.firstRow, rows);
    rows += batch.rows;
    const { data } = batch.columns[0]!;
    assert.ok(data.kind === "utf8");
    assert.ok(data.values.reduce((sum, value) => sum + value.length, 0) <= 2 * batchBytes);
  }
  assert.equal(rows, texts.length);
});

Deno.test("readSegment opens a set of files while the one before is read, and no more", async () => {
  const sets = range(0, 6).map((n) => field(1n, [BigInt(n)]));
  const ids = range(0, 6).map((n) => field(100n, [BigInt(n)]));
  const segment = segmentOf({
    id: 60n,
    collectionId: 1n,
    partitionId: 2n,
    binlogs: [await group(60n, 1n, sets), await group(60n, 100n, ids)],
  });
  const opened = new Set<string>();
  const watching = (file: LogFile) => {
    opened.add(file.path);
    return { store, key: file.path };
  };
  let row = 0;
  for await (const batch of readSegment(segment, schema, [1n, 100n], watching, { batchRows: 1 })) {
    assert.equal(batch.timestamps![0], BigInt(row++));
    assert.ok(opened.size <= 2 * Math.min(6, row + 1), `${opened.size} files open at row ${row}`);
  }
  assert.equal(row, 6);
});

Deno.test("readSegment has nothing to read in a segment without files, and refuses what it cannot read", async () => {
  const segment = segmentOf({ id: 70n, collectionId: 1n, partitionId: 2n });
  assert.deepEqual(await Array.fromAsync(readSegment(segment, schema, "all", locate)), []);
  await assert.rejects(Array.fromAsync(readSegment(segment, schema, [999n], locate)), { code: "not_found" });
  const texts = create(FieldSchemaSchema, { fieldID: 105n, name: "chunks[x]", dataType: DataType.ArrayOfStruct });
  const struct = {
    ...schema,
    structArrayFields: [create(StructArrayFieldSchemaSchema, { name: "chunks", fields: [texts] })],
  };
  await assert.rejects(Array.fromAsync(readSegment(segment, struct, "all", locate)), {
    code: "unsupported",
    message: /chunks/,
  });
  const unknown = schemaOf("x", [{ id: 100n, name: "w", type: 999 as DataType }]);
  await assert.rejects(Array.fromAsync(readSegment(segment, unknown, "all", locate)), {
    code: "unsupported",
    message: /type 999/,
  });
});

Deno.test("readSegment stops by signal", async () => {
  const controller = new AbortController();
  const segment = await v2Segment(true);
  let batches = 0;
  await assert.rejects(async () => {
    for await (const _ of readSegment(segment, schema, "all", locate, { batchRows: 10 }, controller.signal)) {
      if (++batches === 3) controller.abort();
    }
  });
  assert.equal(batches, 3);
});
