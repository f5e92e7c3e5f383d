import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { InsertRequestSchema, UpsertRequestSchema } from "../../../pipeline/proto/gen/milvus_pb.ts";
import { FieldDataSchema } from "../../../pipeline/proto/gen/schema_pb.ts";
import { columnHead, mutationSize, spliceMutation } from "../../../sinks/milvus/splice.ts";
import { wireFields } from "../../../sinks/milvus/wire.ts";
import { itemColumns, joined } from "./sample.ts";

const rows = Array.from({ length: 300 }, (_, i) => ({ id: BigInt(i), text: "é".repeat(i % 40), extra: '{"a":1}' }));

Deno.test("spliceMutation makes what protobuf-es makes of the same request", () => {
  for (const schema of [InsertRequestSchema, UpsertRequestSchema]) {
    const columns = itemColumns(rows);
    const target = { db: "sales", name: "größe" };
    const parts = spliceMutation({ target, partition: "p1", rows: 300, columns });
    assert.deepEqual(parts.filter((part) => columns.includes(part)), columns, "columns are not copied");
    const spliced = joined(parts);
    const expected = create(schema, {
      dbName: "sales",
      collectionName: "größe",
      partitionName: "p1",
      fieldsData: columns.map((one) => fromBinary(FieldDataSchema, one)),
      numRows: 300,
    });
    assert.deepEqual(fromBinary(schema, spliced), expected);
    assert.equal(spliced.length, toBinary(schema, expected).length);
  }
});

Deno.test("spliceMutation leaves the partition out where none is given", () => {
  const mutation = { target: { db: "d", name: "c" }, partition: undefined, rows: 2, columns: [] };
  const numbers = [...wireFields(joined(spliceMutation(mutation)))].map((one) => one.number);
  assert.deepEqual(numbers, [2, 3, 7]);
  assert.equal(mutationSize(mutation), joined(spliceMutation(mutation)).length);
});

Deno.test("columnHead reads name and dynamic flag without looking at the values", () => {
  const heads = itemColumns(rows).map(columnHead);
  assert.deepEqual(heads.map((one) => [one.name, one.isDynamic]), [
    ["id", false],
    ["vec", false],
    ["text", false],
    ["$meta", true],
  ]);
});

Deno.test("wireFields refuses bytes that are no message", () => {
  for (const bytes of [[0x0a, 0x05, 1], [0xff], [0x0b], [0x09, 1, 2], [0x0a, 0xff, 0xff]]) {
    assert.throws(() => [...wireFields(new Uint8Array(bytes))], { code: "damaged" });
  }
});
