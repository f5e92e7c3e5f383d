/** Storage V2 against files that Milvus' own library wrote, see tests/samples/README.md. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { hex } from "../../../pipeline/columns/values.ts";
import type { Column, ColumnBatch, FieldFiles, LogFile, Segment } from "../../../pipeline/model/mod.ts";
import {
  type CollectionSchema,
  DataType,
  FieldSchemaSchema,
  StructArrayFieldSchemaSchema,
  VectorFieldSchema,
} from "../../../pipeline/proto/gen/schema_pb.ts";
import { fromBinary } from "@bufbuild/protobuf";
import { readSegment, type SegmentReadOptions } from "../../../sources/binlog/mod.ts";
import { linesOf, storeOf } from "./folder.ts";
import { segmentOf } from "../../fakes/segment.ts";
import { fileOf, schemaOf } from "./sample.ts";

const SAMPLES = new URL("../../samples/storage/", import.meta.url);
type Cell = null | boolean | number | string | { hex: string } | { hex: string }[];
type Row = Record<string, Cell>;

const struct = (fields: Parameters<typeof create<typeof FieldSchemaSchema>>[1][]) =>
  create(StructArrayFieldSchemaSchema, {
    fieldID: 131n,
    name: "st",
    fields: fields.map((field) => create(FieldSchemaSchema, field)),
  });

const schema: CollectionSchema = {
  ...schemaOf("v2", [
    { id: 100n, name: "id", type: DataType.Int64, primary: true },
    { id: 101n, name: "bool", type: DataType.Bool },
    { id: 102n, name: "i8", type: DataType.Int8 },
    { id: 103n, name: "i16", type: DataType.Int16 },
    { id: 104n, name: "i32", type: DataType.Int32 },
    { id: 105n, name: "i64_null", type: DataType.Int64, nullable: true },
    { id: 106n, name: "f32", type: DataType.Float },
    { id: 107n, name: "f64_null", type: DataType.Double, nullable: true },
    { id: 108n, name: "varchar", type: DataType.VarChar },
    { id: 109n, name: "varchar_null", type: DataType.VarChar, nullable: true },
    { id: 110n, name: "json_null", type: DataType.JSON, nullable: true },
    { id: 111n, name: "arr_i64", type: DataType.Array, elementType: DataType.Int64 },
    { id: 112n, name: "arr_str_null", type: DataType.Array, elementType: DataType.VarChar, nullable: true },
    { id: 113n, name: "geo_null", type: DataType.Geometry, nullable: true },
    { id: 114n, name: "tstz_null", type: DataType.Timestamptz, nullable: true },
    { id: 115n, name: "text", type: DataType.Text },
    { id: 120n, name: "fvec", type: DataType.FloatVector, dim: 8 },
    { id: 121n, name: "fvec_null", type: DataType.FloatVector, dim: 8, nullable: true },
    { id: 122n, name: "f16vec", type: DataType.Float16Vector, dim: 8 },
    { id: 123n, name: "bf16vec", type: DataType.BFloat16Vector, dim: 8 },
    { id: 124n, name: "i8vec", type: DataType.Int8Vector, dim: 8 },
    { id: 125n, name: "binvec", type: DataType.BinaryVector, dim: 8 },
    { id: 126n, name: "sparse", type: DataType.SparseFloatVector },
    { id: 130n, name: "$meta", type: DataType.JSON, dynamic: true },
  ]),
  structArrayFields: [struct([
    { fieldID: 132n, name: "st[tag]", dataType: DataType.Array, elementType: DataType.VarChar },
    {
      fieldID: 133n,
      name: "st[vec]",
      dataType: DataType.ArrayOfVector,
      elementType: DataType.FloatVector,
      typeParams: [{ key: "dim", value: "8" }],
    },
  ])],
};

const META = JSON.parse(Deno.readTextFileSync(new URL("v2-segment/meta.json", SAMPLES))) as {
  num_of_rows: number;
  field_binlogs: { fieldID: string; child_fields: string[]; binlogs: { logID: string; entries_num: number }[] }[];
};
const PLACE = { collectionId: 449000000000000001n, partitionId: 449000000000000002n, id: 449000000000000003n };

function genuine(changes: (group: FieldFiles) => FieldFiles = (group) => group): Segment {
  const folder = `insert_log/${PLACE.collectionId}/${PLACE.partitionId}/${PLACE.id}`;
  const binlogs = META.field_binlogs.map(({ fieldID, child_fields, binlogs }) =>
    changes({
      fieldId: BigInt(fieldID),
      childFields: child_fields.map(BigInt),
      files: binlogs.map(({ logID, entries_num }) => {
        const path = `${folder}/${fieldID}/${logID}`;
        const { size } = Deno.statSync(new URL(`v2-segment/files/${path}`, SAMPLES));
        return fileOf(path, size, BigInt(entries_num));
      }),
    })
  );
  return segmentOf({ ...PLACE, storageVersion: 2n, rows: BigInt(META.num_of_rows), binlogs });
}

async function batches(segment: Segment, options: SegmentReadOptions = {}, wanted = schema): Promise<ColumnBatch[]> {
  const store = await storeOf(new URL("v2-segment/files/", SAMPLES));
  const locate = (file: LogFile) => ({ store, key: file.path });
  return await Array.fromAsync(readSegment(segment, wanted, "all", locate, options));
}

/** A cell in the form of the expected rows. */
function cellOf(column: Column, row: number): Cell {
  const { data } = column;
  if (column.valid?.[row] === 0) return null;
  switch (data.kind) {
    case "fixed":
      return { hex: hex(data.bytes.subarray(row * data.width, (row + 1) * data.width)) };
    case "utf8":
      return new TextDecoder().decode(data.values[row]!);
    case "bytes": {
      if (column.type !== DataType.ArrayOfVector) return { hex: hex(data.values[row]!) };
      const vectors = fromBinary(VectorFieldSchema, data.values[row]!);
      assert.equal(vectors.dim, 8n);
      const floats = vectors.data.case === "floatVector" ? vectors.data.value.data : assert.fail(vectors.data.case);
      const all = new Uint8Array(Float32Array.from(floats).buffer);
      return Array.from({ length: all.length / 32 }, (_, i) => ({ hex: hex(all.subarray(i * 32, i * 32 + 32)) }));
    }
    case "bool":
      return data.values[row] === 1;
    case "int64":
      return data.values[row]!.toString();
    default:
      return data.values[row]!;
  }
}

function checkAll(found: readonly ColumnBatch[], names?: readonly string[]): void {
  const expected = linesOf<Row>(new URL("v2-segment/expected.jsonl", SAMPLES));
  let row = 0;
  for (const batch of found) {
    assert.equal(batch.firstRow, row);
    for (let i = 0; i < batch.rows; i++, row++) {
      const wanted = expected[row]!;
      for (const column of batch.columns) {
        if (names !== undefined && !names.includes(column.name)) continue;
        assert.deepEqual(cellOf(column, i), wanted[column.name], `${column.name} of row ${row}`);
      }
      assert.equal(batch.timestamps![i]!.toString(), wanted.Timestamp);
    }
  }
  assert.equal(row, expected.length);
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
