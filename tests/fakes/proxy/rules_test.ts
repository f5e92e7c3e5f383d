/** The rules against what servers were seen to answer (2.6.19, 3.0.0) and what the source of 2.5.27 says. */
import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { InsertRequestSchema } from "../../../pipeline/proto/gen/milvus_pb.ts";
import { DataType, FieldDataSchema, ValueFieldSchema } from "../../../pipeline/proto/gen/schema_pb.ts";
import { field, storedSchema } from "../../sinks/milvus/sample.ts";
import { createdSchema, Refusal, releaseOf, takenColumns } from "./rules.ts";

const plain = storedSchema([
  field("id", DataType.Int64, { isPrimaryKey: true }),
  field("vec", DataType.FloatVector, {}, { dim: 1 }),
  field("n", DataType.Int64, { nullable: true }),
  field("d", DataType.Int64, {
    defaultValue: create(ValueFieldSchema, { data: { case: "longData", value: 9n } }),
  }),
]);
plain.fields = plain.fields.slice(2);

function longs(fieldName: string, data: readonly bigint[], validData: readonly boolean[] = []) {
  return create(FieldDataSchema, {
    type: DataType.Int64,
    fieldName,
    validData: [...validData],
    field: { case: "scalars", value: { data: { case: "longData", value: { data: [...data] } } } },
  });
}

function answer(
  version: string,
  columns: ReturnType<typeof longs>[],
  more: { readonly numRows?: number; readonly partitionName?: string; readonly schemaTimestamp?: bigint } = {},
): string {
  const release = releaseOf(version);
  const vec = create(FieldDataSchema, {
    type: DataType.FloatVector,
    fieldName: "vec",
    field: { case: "vectors", value: { dim: 1n, data: { case: "floatVector", value: { data: [1, 2] } } } },
  });
  const request = create(InsertRequestSchema, {
    fieldsData: [longs("id", [1n, 2n]), vec, ...columns],
    numRows: 2,
    ...more,
  });
  const known = { schema: createdSchema(plain, release), partitions: new Set(["_default"]), updated: 5n };
  try {
    takenColumns(request, known, false, release);
    return "ok";
  } catch (error) {
    if (error instanceof Refusal) return String(error.code);
    throw error;
  }
}

const N = longs("n", [7n], [true, false]);
const D = longs("d", [1n, 2n], [true, true]);

Deno.test("takenColumns answers as 2.6.19 and 3.0.0 did, and as 2.5.27's source says", () => {
  const seen: readonly (readonly [what: string, old: string, now: string, Parameters<typeof answer>[1]])[] = [
    ["compact nulls", "ok", "ok", [N, D]],
    ["full nulls", "1100", "1100", [longs("n", [7n, 0n], [true, false]), D]],
    ["no flags of a nullable column", "1100", "ok", [longs("n", [7n, 8n]), D]],
    ["no flags of a default column", "1100", "ok", [N, longs("d", [1n, 2n])]],
    ["compact without flags", "1100", "1100", [longs("n", [7n]), D]],
    ["nullable and default left out", "ok", "ok", []],
    ["an unknown column", "1100", "1100", [N, D, longs("x", [1n, 2n])]],
    ["a column twice", "1100", "1100", [N, N, D]],
    ["a wrong id", "ok", "ok", [{ ...N, fieldId: 4711n }, D]],
  ];
  for (const [what, old, now, columns] of seen) {
    assert.deepEqual(["2.5.27", "2.6.19", "3.0.0"].map((version) => answer(version, columns)), [old, now, now], what);
  }
  assert.equal(answer("2.6.19", [N, D], { partitionName: "nowhere" }), "200");
  assert.equal(answer("2.6.19", [N, D], { numRows: 3 }), "1100");
  assert.deepEqual([4n, 5n].map((schemaTimestamp) => answer("2.6.19", [N, D], { schemaTimestamp })), ["109", "ok"]);
});
