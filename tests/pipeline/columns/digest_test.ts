import assert from "node:assert/strict";
import fc from "fast-check";
import { columnDigests, encodeColumn, rowDigests } from "../../../pipeline/columns/mod.ts";
import type { Column } from "../../../pipeline/model/mod.ts";
import { DataType } from "../../../pipeline/proto/gen/schema_pb.ts";
import { arbitraryColumn, TYPES } from "./arbitrary_columns.ts";

const base = { fieldId: 1n, name: "c", elementType: DataType.None, dim: 0, isDynamic: false, valid: undefined };
const bytes = (text: string) => new TextEncoder().encode(text);
const jsonColumn = (texts: string[], extra: Partial<Column> = {}): Column => ({
  ...base,
  type: DataType.JSON,
  data: { kind: "bytes", values: texts.map(bytes) },
  ...extra,
});
const ints = (name: string, values: number[]): Column => ({
  ...base,
  name,
  type: DataType.Int32,
  data: { kind: "int32", values: Int32Array.from(values) },
});

Deno.test("rowDigests does not depend on the order or ids of columns, and tells rows apart", () => {
  fc.assert(
    fc.property(arbitraryColumn(TYPES, 8), arbitraryColumn(TYPES, 8), (one, two) => {
      const a = { ...one, name: "a", isDynamic: false };
      const b = { ...two, name: "b", isDynamic: false };
      const there = rowDigests([encodeColumn(a), encodeColumn(b)], 8);
      assert.deepEqual(rowDigests([encodeColumn({ ...b, fieldId: 9n }), encodeColumn(a)], 8), there);
      assert.deepEqual(columnDigests([a, b], 8), there);
    }),
    { numRuns: 200 },
  );
  const digests = columnDigests([ints("a", [1, 2, 1]), ints("b", [1, 1, 2])], 3);
  assert.equal(new Set(digests).size, 3);
  const swapped = columnDigests([ints("b", [1, 2, 1]), ints("a", [1, 1, 2])], 3);
  assert.deepEqual([...swapped].map((_, row) => digests.indexOf(swapped[row]!)), [0, 2, 1]);
});

Deno.test("rowDigests takes JSON by its meaning unless told otherwise", () => {
  const one = jsonColumn([`{"a":1,"b":12345678901234567890}`]);
  const same = jsonColumn([`{ "b": 12345678901234567890, "a": 1.0 }`]);
  const other = jsonColumn([`{"a":1,"b":12345678901234567891}`]);
  assert.deepEqual(columnDigests([one], 1), columnDigests([same], 1));
  assert.notDeepEqual(columnDigests([one], 1), columnDigests([other], 1));
  assert.notDeepEqual(columnDigests([one], 1, { json: "bytes" }), columnDigests([same], 1, { json: "bytes" }));
  assert.notDeepEqual(columnDigests([jsonColumn(["{broken"])], 1), columnDigests([jsonColumn(["{broken "])], 1));
});

Deno.test("rowDigests takes an absent dynamic column for {}, and a null for an absent value", () => {
  const id = ints("id", [1, 2]);
  const meta = jsonColumn(["{}", " { } "], { name: "$meta", isDynamic: true });
  assert.deepEqual(columnDigests([id, meta], 2), columnDigests([id], 2));
  assert.notDeepEqual(columnDigests([id, jsonColumn(["{}", "{}"])], 2), columnDigests([id], 2));
  const nulls = { ...ints("n", [5, 6]), valid: Uint8Array.of(0, 1) };
  const digests = columnDigests([id, nulls], 2);
  assert.equal(digests[0], columnDigests([id], 2)[0]);
  assert.notEqual(digests[1], columnDigests([id], 2)[1]);
  assert.deepEqual(columnDigests([id, nulls], 2, { ignore: new Set(["n"]) }), columnDigests([id], 2));
});

Deno.test("rowDigests counts floats by their bits and sparse vectors by their pairs", () => {
  const floats = (value: number): Column => ({
    ...base,
    type: DataType.Float,
    data: { kind: "float", values: Float32Array.of(value) },
  });
  assert.notDeepEqual(columnDigests([floats(0)], 1), columnDigests([floats(-0)], 1));
  const sparse = (...words: number[]): Column => ({
    ...base,
    type: DataType.SparseFloatVector,
    data: { kind: "bytes", values: [new Uint8Array(Uint32Array.from(words).buffer)] },
  });
  assert.deepEqual(columnDigests([sparse(1, 10, 2, 20)], 1), columnDigests([sparse(2, 20, 1, 10)], 1));
  assert.notDeepEqual(columnDigests([sparse(1, 10)], 1), columnDigests([sparse(10, 1)], 1));
});

Deno.test("rowDigests has no collisions among many near rows", () => {
  const rows = 200_000;
  const digests = columnDigests([
    {
      ...base,
      name: "id",
      type: DataType.Int64,
      data: { kind: "int64", values: BigInt64Array.from({ length: rows }, (_, i) => BigInt(i)) },
    },
    ints("x", Array.from({ length: rows }, (_, i) => i & 7)),
  ], rows);
  assert.equal(new Set(digests).size, rows);
});
