/** `samples/storage/v2-segment`: every type in a genuine segment of storage V2, and the rows it was made from. */
import assert from "node:assert/strict";
import { create, fromBinary } from "@bufbuild/protobuf";
import { hex } from "../../../pipeline/columns/values.ts";
import type { Column, ColumnBatch, FieldFiles, Segment } from "../../../pipeline/model/mod.ts";
import {
  type CollectionSchema,
  DataType,
  FieldSchemaSchema,
  StructArrayFieldSchemaSchema,
  VectorFieldSchema,
} from "../../../pipeline/proto/gen/schema_pb.ts";
import { segmentOf } from "../../fakes/segment.ts";
import { linesOf } from "./folder.ts";
import { fileOf, schemaOf } from "./sample.ts";

export const SAMPLES = new URL("../../samples/storage/", import.meta.url);
type Cell = null | boolean | number | string | { hex: string } | { hex: string }[];
export type Row = Record<string, Cell>;

const struct = (fields: Parameters<typeof create<typeof FieldSchemaSchema>>[1][]) =>
  create(StructArrayFieldSchemaSchema, {
    fieldID: 131n,
    name: "st",
    fields: fields.map((field) => create(FieldSchemaSchema, field)),
  });

export const schema: CollectionSchema = {
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

export const META = JSON.parse(Deno.readTextFileSync(new URL("v2-segment/meta.json", SAMPLES))) as {
  num_of_rows: number;
  field_binlogs: { fieldID: string; child_fields: string[]; binlogs: { logID: string; entries_num: number }[] }[];
};
export const PLACE = { collectionId: 449000000000000001n, partitionId: 449000000000000002n, id: 449000000000000003n };

/** The segment as etcd has it; `changes` of its groups. */
export function genuine(changes: (group: FieldFiles) => FieldFiles = (group) => group): Segment {
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

/** A cell in the form of the expected rows. */
export function cellOf(column: Column, row: number): Cell {
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

/** Against the rows that the files were made from. */
export function checkAll(found: readonly ColumnBatch[], names?: readonly string[]): void {
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
