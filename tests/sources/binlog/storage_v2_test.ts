/** Storage V2 against files that Milvus' own library wrote, see tests/samples/README.md. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { ColumnBatch, FieldFiles, LogFile, Segment } from "../../../pipeline/model/mod.ts";
import { DataType } from "../../../pipeline/proto/gen/schema_pb.ts";
import { readSegment, type SegmentReadOptions } from "../../../sources/binlog/mod.ts";
import { segmentOf } from "../../fakes/segment.ts";
import { linesOf, storeOf } from "./folder.ts";
import { fileOf, schemaOf } from "./sample.ts";
import { cellOf, checkAll, genuine, type Row, SAMPLES, schema } from "./v2_sample.ts";

async function batches(segment: Segment, options: SegmentReadOptions = {}, wanted = schema): Promise<ColumnBatch[]> {
  const store = await storeOf(new URL("v2-segment/files/", SAMPLES));
  const locate = (file: LogFile) => ({ store, key: file.path });
  return await Array.fromAsync(readSegment(segment, wanted, "all", locate, options));
}

Deno.test("readSegment reads every type of a genuine segment of storage V2, whole or through small batches", async () => {
  const found = await batches(genuine());
  assert.equal(found[0]!.columns.length, 26);
  checkAll(found);
  checkAll(await batches(genuine(), { batchRows: 7 }));
  checkAll(await batches(genuine(), { memoryBytes: 1, batchRows: 33 }));
});

Deno.test("readSegment finds the fields of storage V2 in the files where metadata does not say them", async () => {
  checkAll(await batches(genuine((group) => ({ ...group, childFields: [] }))));
});

Deno.test("readSegment believes the metadata where a group's file has a column that moved elsewhere", async () => {
  // As after a backfill: group 0 keeps the old column of the key's field, metadata says that it holds only 0 and 1.
  const stale = genuine((group) =>
    group.fieldId === 1n ? { ...group, childFields: group.childFields.slice(1) } : group
  );
  const nullable = {
    ...schema,
    fields: schema.fields.map((field) => field.fieldID === 101n ? { ...field, nullable: true } : field),
  };
  const found = await batches(stale, {}, nullable);
  const bool = found.flatMap(({ columns }) => columns.filter(({ name }) => name === "bool"));
  assert.ok(bool.length > 0 && bool.every(({ valid }) => valid!.every((mark) => mark === 0)));
  checkAll(found, ["id", "i8", "varchar", "fvec"]);
  const twice = genuine((group) => group.fieldId === 0n ? { ...group, childFields: [0n, 1n, 100n, 101n] } : group);
  await assert.rejects(batches(twice), {
    code: "damaged",
    message: /has field 101 in column group 0 and in column group 1/,
  });
});

Deno.test("readSegment raises rows to the commit timestamp of their segment, never lowers them", async () => {
  const expected = linesOf<Row>(new URL("v2-segment/expected.jsonl", SAMPLES)).map((row) =>
    BigInt(row.Timestamp as string)
  );
  const middle = expected[130]!;
  const found = await batches({ ...genuine(), commitTimestamp: middle });
  const stamps = found.flatMap(({ timestamps }) => [...timestamps!]);
  assert.deepEqual(stamps, expected.map((ts) => ts > middle ? ts : middle));
  assert.ok(stamps.filter((ts) => ts === middle).length >= 130);
});

Deno.test("readSegment calls an encrypted segment unsupported and damaged metadata damaged", async () => {
  const encrypted = "insert_log/1/2/3/0/1";
  const store = await storeOf(new URL("v2-encrypted/", SAMPLES), "insert_log/1/2/3/");
  const segment = segmentOf({
    id: 3n,
    collectionId: 1n,
    partitionId: 2n,
    storageVersion: 2n,
    binlogs: [{ fieldId: 0n, childFields: [0n, 1n, 100n], files: [fileOf(encrypted, 1, 100n)] }],
  });
  const locate = (file: LogFile) => ({ store, key: file.path });
  await assert.rejects(Array.fromAsync(readSegment(segment, schema, [100n], locate)), {
    code: "unsupported",
    message: /insert_log\/1\/2\/3\/0\/1.*encrypted/,
  });
  const short = genuine((group) => group.fieldId === 120n ? { ...group, files: group.files.slice(0, 1) } : group);
  await assert.rejects(batches(short), { code: "damaged", message: /fvec.* ends at row 200 where other fields go on/ });
});

Deno.test("readSegment joins row groups that end at different rows in each column group", async () => {
  const place = { id: 13n, collectionId: 11n, partitionId: 12n };
  const groups: [bigint, bigint[], number][] = [
    [0n, [100n, 0n, 1n], 500],
    [1n, [102n], 501],
    [101n, [101n], 502],
    [103n, [103n], 503],
  ];
  const binlogs = groups.map(([fieldId, childFields, logId]): FieldFiles => {
    const path = `insert_log/11/12/13/${fieldId}/${logId}`;
    const { size } = Deno.statSync(new URL(`v2-rowgroups/files/${path}`, SAMPLES));
    return { fieldId, childFields, files: [fileOf(path, size, 5000n)] };
  });
  const wide = schemaOf("rowgroups", [
    { id: 100n, name: "pk", type: DataType.VarChar, primary: true },
    { id: 101n, name: "vec", type: DataType.FloatVector, dim: 128 },
    { id: 102n, name: "note", type: DataType.VarChar, nullable: true },
    { id: 103n, name: "wide", type: DataType.VarChar },
  ]);
  const expected = linesOf<Row>(new URL("v2-rowgroups/expected.jsonl", SAMPLES));
  const store = await storeOf(new URL("v2-rowgroups/files/", SAMPLES));
  const locate = (file: LogFile) => ({ store, key: file.path });
  for (const memoryBytes of [32 << 20, 1]) {
    const segment = segmentOf({ ...place, storageVersion: 2n, rows: 5000n, binlogs });
    let checked = 0;
    for await (const batch of readSegment(segment, wide, "all", locate, { memoryBytes })) {
      const [pk, vec, note, text] = batch.columns;
      for (const row of expected) {
        const i = (row.row as number) - batch.firstRow;
        if (i < 0 || i >= batch.rows) continue;
        const vector = vec!.data.kind === "fixed" ? vec!.data.bytes.subarray(i * 512, i * 512 + 512) : assert.fail();
        assert.equal(cellOf(pk!, i), row.pk);
        assert.equal(createHash("sha1").update(vector).digest("hex"), row.vec_sha1);
        assert.equal(cellOf(note!, i), row.note);
        assert.equal((cellOf(text!, i) as string).length, row.wide_len);
        assert.equal(batch.timestamps![i]!.toString(), row.Timestamp);
        checked++;
      }
    }
    assert.equal(checked, expected.length);
  }
});
