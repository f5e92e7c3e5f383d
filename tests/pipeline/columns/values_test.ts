import assert from "node:assert/strict";
import fc from "fast-check";
import { canonicalJson, columnToJson, decodeFieldData, encodeColumn } from "../../../pipeline/columns/mod.ts";
import { shortFloat } from "../../../pipeline/columns/float_text.ts";
import type { Column } from "../../../pipeline/model/mod.ts";
import { DataType } from "../../../pipeline/proto/gen/schema_pb.ts";
import { arbitraryColumn, TYPES } from "./arbitrary_columns.ts";

const base = { fieldId: 1n, name: "c", elementType: DataType.None, dim: 0, isDynamic: false, valid: undefined };

Deno.test("columnToJson gives people what each type holds", () => {
  const of = (column: Partial<Column> & Pick<Column, "type" | "data">) => columnToJson({ ...base, ...column });
  const bytes = (...values: number[]) => Uint8Array.from(values);
  assert.deepEqual(of({ type: DataType.Bool, data: { kind: "bool", values: bytes(1, 0) } }), [true, false]);
  assert.deepEqual(of({ type: DataType.Int64, data: { kind: "int64", values: BigInt64Array.of(-(2n ** 63n)) } }), [
    "-9223372036854775808",
  ]);
  assert.deepEqual(
    of({ type: DataType.Float, data: { kind: "float", values: Float32Array.of(0.1, -0.5, 16777216) } }),
    [0.1, -0.5, 16777216],
  );
  assert.deepEqual(
    of({
      type: DataType.FloatVector,
      dim: 2,
      data: { kind: "fixed", width: 8, bytes: new Uint8Array(Float32Array.of(0.25, 3.3).buffer) },
    }),
    [[0.25, 3.3]],
  );
  assert.deepEqual(
    of({ type: DataType.BinaryVector, dim: 16, data: { kind: "fixed", width: 2, bytes: bytes(255, 0, 15, 240) } }),
    ["ff00", "0ff0"],
  );
  const pairs = new Uint8Array(16);
  const view = new DataView(pairs.buffer);
  view.setUint32(0, 110, true);
  view.setFloat32(4, 0.5, true);
  view.setUint32(8, 4000000000, true);
  view.setFloat32(12, 110.5, true);
  assert.deepEqual(of({ type: DataType.SparseFloatVector, data: { kind: "bytes", values: [pairs] } }), [[[110, 0.5], [
    4000000000,
    110.5,
  ]]]);
  assert.deepEqual(
    of({
      type: DataType.JSON,
      valid: bytes(1, 0),
      data: { kind: "bytes", values: [new TextEncoder().encode("12345678901234567890"), bytes()] },
    }),
    ["12345678901234567890", null],
  );
  // ScalarField { long_data { data: [1, -1] } }, and an empty one
  const array = bytes(0x1a, 13, 0x0a, 11, 1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1);
  assert.deepEqual(
    of({ type: DataType.Array, elementType: DataType.Int64, data: { kind: "bytes", values: [array, bytes()] } }),
    [["1", "-1"], []],
  );
});

Deno.test("columnToJson survives a round through the wire for every type", () => {
  fc.assert(
    fc.property(arbitraryColumn(TYPES, 10), (column) => {
      assert.deepEqual(columnToJson(decodeFieldData(encodeColumn(column), 10)), columnToJson(column));
    }),
    { numRuns: 300 },
  );
});

Deno.test("shortFloat is the shortest decimal that is the same float32", () => {
  fc.assert(fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
    const short = shortFloat(value) as number;
    assert.equal(Math.fround(short), value);
    assert.ok(String(short).length <= String(value).length);
  }));
  assert.deepEqual([NaN, Infinity, -Infinity].map(shortFloat), ["NaN", "Infinity", "-Infinity"]);
});

Deno.test("canonicalJson makes one text of all texts of a value, and keeps every digit", () => {
  assert.equal(
    canonicalJson(` {"b": [1.50, 15e-1, 1.5], "a":12345678901234567890} `),
    `{"a":1234567890123456789e1,"b":[15e-1,15e-1,15e-1]}`,
  );
  assert.equal(canonicalJson(`{"a":1,"a":2}`), `{"a":2}`);
  assert.equal(canonicalJson(`"\\u0041\\/"`), `"A/"`);
  assert.equal(canonicalJson("-0.0e5"), "0");
  for (const bad of ["", "{", "{}x", "01", "[1,]", `{"a"}`, "nul", `"a`, "'a'", "[".repeat(2000)]) {
    assert.equal(canonicalJson(bad), undefined, bad);
  }
  fc.assert(fc.property(fc.jsonValue(), fc.nat(4), (value, indent) => {
    const text = JSON.stringify(value);
    const canonical = canonicalJson(text)!;
    assert.equal(canonicalJson(JSON.stringify(value, null, indent)), canonical);
    assert.deepEqual(JSON.parse(canonical), JSON.parse(text.replaceAll("-0", (found) => found)));
  }));
});
