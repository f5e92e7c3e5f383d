import assert from "node:assert/strict";
import { encodeColumn } from "../../../pipeline/columns/mod.ts";
import type { Column } from "../../../pipeline/model/mod.ts";
import { DataType, ScalarFieldSchema } from "../../../pipeline/proto/gen/schema_pb.ts";
import { create, toBinary } from "@bufbuild/protobuf";
import { fieldLimits, unfitRows, unfitText } from "../../../sinks/milvus/row_check.ts";

const text = (value: string) => new TextEncoder().encode(value);

function column(name: string, type: DataType, data: Column["data"], more: Partial<Column> = {}): Uint8Array {
  const base = { fieldId: 100n, elementType: DataType.None, dim: 0, isDynamic: false, valid: undefined };
  return encodeColumn({ ...base, name, type, data, ...more });
}

const array = (...values: string[]) =>
  toBinary(ScalarFieldSchema, create(ScalarFieldSchema, { data: { case: "stringData", value: { data: values } } }));

const limits = new Map([
  ["s", { maxLength: 8, maxCapacity: 0 }],
  ["a", { maxLength: 4, maxCapacity: 2 }],
]);

Deno.test("fieldLimits reads what a schema limits, 0 for what it does not", () => {
  assert.deepEqual(fieldLimits({ typeParams: [{ key: "max_length", value: "8" }] as never }), {
    maxLength: 8,
    maxCapacity: 0,
  });
});

Deno.test("unfitRows counts text in bytes, not in letters, and names field, length and limit", () => {
  const values = ["12345678", "ääää", "äääää", "123456789"].map(text);
  const found = unfitRows([column("s", DataType.VarChar, { kind: "utf8", values })], 4, limits);
  assert.deepEqual(found.map(({ row }) => row), [2, 3]);
  assert.equal(unfitText(found[0]!), "field s has 10 bytes, the target's max_length is 8");
});

Deno.test("unfitRows looks into arrays: too many elements, and one that is too long", () => {
  const values = [array(), array("a", "b"), array("a", "b", "c"), array("abcde")];
  const a = column("a", DataType.Array, { kind: "bytes", values }, { elementType: DataType.VarChar });
  assert.deepEqual(unfitRows([a], 4, limits).map(unfitText), [
    "field a has 3 elements, the target's max_capacity is 2",
    "an element of field a has 5 bytes, the target's max_length is 4",
  ]);
});

Deno.test("unfitRows finds JSON beyond what Milvus takes by default, also in the dynamic field, and vectors that hold no numbers", () => {
  const large = text(JSON.stringify("x".repeat(70_000)));
  const values = [text("{}"), large];
  const found = unfitRows(
    [
      column("", DataType.JSON, { kind: "bytes", values }, { isDynamic: true }),
      column("v", DataType.FloatVector, {
        kind: "fixed",
        width: 8,
        bytes: new Uint8Array(new Float32Array([NaN, 1, 2, 3]).buffer),
      }, { dim: 2 }),
    ],
    2,
    limits,
  );
  assert.deepEqual(found.map(unfitText), [
    "field v holds a value that is not a number, or infinite",
    "field $meta has 70002 bytes of JSON, the target takes 65536",
  ]);
});
