import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeColumn, keysOf, keysOfColumn, renameColumns } from "../../../pipeline/columns/mod.ts";
import { TidemarkError } from "../../../pipeline/errors.ts";
import type { Column, ColumnData } from "../../../pipeline/model/mod.ts";
import { DataType } from "../../../pipeline/proto/gen/schema_pb.ts";

function column(fieldId: bigint, name: string, type: DataType, data: ColumnData): Column {
  return { fieldId, name, type, elementType: DataType.None, dim: 0, isDynamic: false, valid: undefined, data };
}

const vector = encodeColumn({
  ...column(101n, "v", DataType.FloatVector, { kind: "fixed", width: 8, bytes: new Uint8Array(24) }),
  dim: 2,
});
const int64 = { fieldID: 100n, name: "id", dataType: DataType.Int64 };
const varchar = { ...int64, dataType: DataType.VarChar };

Deno.test("keysOf reads int64 keys exactly, extremes included", () => {
  const extremes = fc.constantFrom(-(2n ** 63n), 2n ** 63n - 1n, -1n, 0n, 127n, 128n, 2n ** 31n, 2n ** 32n, 2n ** 35n);
  fc.assert(fc.property(fc.array(fc.oneof(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), extremes)), (values) => {
    const bytes = encodeColumn(
      column(100n, "id", DataType.Int64, { kind: "int64", values: BigInt64Array.from(values) }),
    );
    assert.deepEqual(keysOf([vector, bytes], int64, values.length), {
      kind: "int64",
      values: BigInt64Array.from(values),
    });
  }));
});

Deno.test("keysOf reads varchar keys, ASCII and not, empty and long", () => {
  const keys = fc.oneof(fc.string(), fc.string({ unit: "grapheme" }), fc.string({ minLength: 130, maxLength: 300 }));
  fc.assert(fc.property(fc.array(keys), (values) => {
    const data = { kind: "utf8", values: values.map((value) => new TextEncoder().encode(value)) } as const;
    const whole = column(100n, "id", DataType.VarChar, data);
    const wanted = {
      kind: "varchar",
      values: values.map((value) => new TextDecoder().decode(new TextEncoder().encode(value))),
    };
    assert.deepEqual(keysOf([vector, encodeColumn(whole)], varchar, values.length), wanted);
    assert.deepEqual(keysOfColumn(whole), wanted);
  }));
});

Deno.test("keysOf takes the id first and the name where no id fits", () => {
  const make = (fieldId: bigint, name: string, value: bigint) =>
    encodeColumn(column(fieldId, name, DataType.Int64, { kind: "int64", values: BigInt64Array.of(value) }));
  assert.deepEqual(keysOf([make(0n, "id", 1n), make(100n, "renamed", 2n)], int64, 1).values, BigInt64Array.of(2n));
  assert.deepEqual(keysOf([make(0n, "x", 1n), make(0n, "id", 3n)], int64, 1).values, BigInt64Array.of(3n));
});

Deno.test("keysOf says what is wrong with a key column", () => {
  const ids = encodeColumn(column(100n, "id", DataType.Int64, { kind: "int64", values: BigInt64Array.of(1n, 2n) }));
  const damaged = (pattern: RegExp) => (error: unknown) =>
    error instanceof TidemarkError && error.code === "damaged" && pattern.test(error.message);
  assert.throws(() => keysOf([vector], int64, 3), damaged(/no column for the primary key id/));
  assert.throws(() => keysOf([ids], int64, 3), damaged(/2 values for 3 rows/));
  assert.throws(() => keysOf([ids], varchar, 2), damaged(/should be VarChar and is int64/));
  assert.throws(
    () => keysOf(renameColumns([vector], () => ({ fieldId: 100n })), int64, 3),
    damaged(/no int64 or varchar/),
  );
});
