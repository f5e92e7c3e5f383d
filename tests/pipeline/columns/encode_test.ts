import assert from "node:assert/strict";
import { equals, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { decodeFieldData, describeFieldData, encodeColumn } from "../../../pipeline/columns/mod.ts";
import { TidemarkError } from "../../../pipeline/errors.ts";
import { type Column } from "../../../pipeline/model/mod.ts";
import { DataType, FieldDataSchema } from "../../../pipeline/proto/gen/schema_pb.ts";
import { arbitraryColumn, fieldDataOf, TYPES, withEmptyNulls } from "./arbitrary_columns.ts";

function rows(column: Column): number {
  if (column.valid !== undefined) return column.valid.length;
  return column.data.kind === "fixed" ? column.data.bytes.length / column.data.width : column.data.values.length;
}

/** Bit patterns: deepEqual takes all NaNs for one. */
function bits(column: Column): unknown {
  const { data } = column;
  if (data.kind !== "float" && data.kind !== "double") return column;
  const { buffer, byteOffset, byteLength } = data.values;
  return { ...column, data: { kind: data.kind, bytes: new Uint8Array(buffer, byteOffset, byteLength).slice() } };
}

function plain(value: unknown): unknown {
  const { data } = value as Column;
  if (data.kind === "utf8" || data.kind === "bytes") {
    return { ...(value as Column), data: { ...data, values: data.values.map((item) => [...item]) } };
  }
  if (data.kind === "fixed" && data.bytes !== undefined) {
    return {
      ...(value as Column),
      data: { ...data, width: data.bytes.length === 0 ? 0 : data.width, bytes: [...data.bytes] },
    };
  }
  return value;
}

for (const type of TYPES) {
  Deno.test(`encodeColumn writes what protobuf-es reads, and decodeFieldData takes it back: ${DataType[type]}`, () => {
    fc.assert(
      fc.property(arbitraryColumn([type]), (column) => {
        const bytes = encodeColumn(column);
        const message = fromBinary(FieldDataSchema, bytes);
        const wanted = fieldDataOf(column);
        if (type === DataType.Float || type === DataType.Double || type === DataType.FloatVector) {
          assert.deepEqual(JSON.stringify(message.field, big), JSON.stringify(wanted.field, big));
          assert.deepEqual(message.validData, wanted.validData);
        } else assert.ok(equals(FieldDataSchema, message, wanted));
        assert.deepEqual(plain(bits(decodeFieldData(bytes, rows(column)))), plain(bits(withEmptyNulls(column))));
      }),
      { numRuns: 60 },
    );
  });
}

function big(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : typeof value === "number" && Number.isNaN(value) ? "NaN" : value;
}

Deno.test("encodeColumn with a selection writes the column of the selected rows", () => {
  fc.assert(
    fc.property(
      arbitraryColumn(TYPES, 24),
      fc.array(fc.integer({ min: 0, max: 23 }), { maxLength: 40 }),
      (column, list) => {
        const keep = Uint32Array.from(list);
        const picked = decodeFieldData(encodeColumn(column, keep), keep.length);
        const whole = decodeFieldData(encodeColumn(column), 24);
        for (const [at, row] of list.entries()) assert.deepEqual(cell(picked, at), cell(whole, row));
      },
    ),
    { numRuns: 300 },
  );
});

function cell(column: Column, row: number): unknown {
  if (column.valid?.[row] === 0) return null;
  const { data } = column;
  if (data.kind === "fixed") return [...data.bytes.subarray(row * data.width, (row + 1) * data.width)];
  const value = data.values[row];
  return value instanceof Uint8Array ? [...value] : Object.is(value, NaN) ? "NaN" : value;
}

Deno.test("decodeFieldData reads what protobuf-es writes, in its own field order", () => {
  // Floats as numbers lose the bits of a signalling NaN in the oracle.
  const exact = TYPES.filter((type) =>
    type !== DataType.Float && type !== DataType.Double && type !== DataType.FloatVector
  );
  fc.assert(
    fc.property(arbitraryColumn(exact), (column) => {
      const theirs = decodeFieldData(toBinary(FieldDataSchema, fieldDataOf(column)), rows(column));
      const ours = decodeFieldData(encodeColumn(column), rows(column));
      assert.deepEqual(plain(theirs), plain(ours));
    }),
    { numRuns: 300 },
  );
});

Deno.test("describeFieldData names a column without reading its values", () => {
  fc.assert(
    fc.property(arbitraryColumn(), (column) => {
      const { fieldId, name, type, isDynamic } = column;
      assert.deepEqual(describeFieldData(encodeColumn(column)), { fieldId, name, type, isDynamic });
    }),
    { numRuns: 100 },
  );
});

const text = (bytes: Uint8Array): Column => ({
  fieldId: 100n,
  name: "t",
  type: DataType.VarChar,
  elementType: DataType.None,
  dim: 0,
  isDynamic: false,
  valid: undefined,
  data: { kind: "utf8", values: [bytes] },
});

Deno.test("encodeColumn refuses text that is not UTF-8, short and long", () => {
  for (const length of [1, 60, 5000]) {
    const bytes = new Uint8Array(length).fill(97);
    bytes[length - 1] = 0xff;
    assert.throws(
      () => encodeColumn(text(bytes)),
      (error) => error instanceof TidemarkError && error.code === "damaged",
    );
  }
});

Deno.test("encodeColumn refuses values of another kind than the type", () => {
  assert.throws(() => encodeColumn({ ...text(new Uint8Array()), type: DataType.Int64 }), /Int64.*utf8/);
  assert.throws(() => encodeColumn({ ...text(new Uint8Array()), type: DataType.Struct }), /no known wire form/);
});

Deno.test("decodeFieldData throws damaged, never anything else, for cut and flipped bytes", () => {
  fc.assert(
    fc.property(arbitraryColumn(), fc.nat(), fc.nat(), fc.integer({ min: 0, max: 255 }), (column, cut, at, byte) => {
      const bytes = encodeColumn(column);
      const broken = bytes.slice(0, bytes.length - cut % (bytes.length + 1));
      if (broken.length > 0) broken[at % broken.length] = byte;
      try {
        decodeFieldData(broken, rows(column));
      } catch (error) {
        assert.ok(error instanceof TidemarkError, String(error));
        assert.ok(error.code === "damaged" || error.code === "unsupported", error.code);
      }
    }),
    { numRuns: 1000 },
  );
});
