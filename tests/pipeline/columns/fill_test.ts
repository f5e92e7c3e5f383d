import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import {
  columnToJson,
  decodeFieldData,
  DEFAULT_FILL,
  encodeColumn,
  fillColumn,
  fillNulls,
  repeatValue,
  rowsOf,
} from "../../../pipeline/columns/mod.ts";
import { DataType, ValueFieldSchema } from "../../../pipeline/proto/gen/schema_pb.ts";
import { field } from "../../sinks/milvus/sample.ts";
import { arbitraryColumn } from "./arbitrary_columns.ts";

const FILL = { ...DEFAULT_FILL, integer: 7, text: "none", float: 0.5, bool: true };

Deno.test("fillColumn has a value for every type that has one", () => {
  const value = (type: DataType, more = {}, params = {}) => {
    const column = fillColumn(field("f", type, more, params), FILL);
    return column === undefined ? undefined : columnToJson(column)[0];
  };
  assert.deepEqual(
    [
      DataType.Bool,
      DataType.Int8,
      DataType.Int32,
      DataType.Int64,
      DataType.Timestamptz,
      DataType.Float,
      DataType.Double,
    ]
      .map((type) => value(type)),
    [true, 7, 7, "7", "7", 0.5, 0.5],
  );
  assert.deepEqual([value(DataType.VarChar), value(DataType.JSON)], ["none", "{}"]);
  assert.deepEqual(value(DataType.Array, { elementType: DataType.Int64 }), []);
  assert.deepEqual(value(DataType.FloatVector, {}, { dim: 2 }), [0, 0]);
  assert.deepEqual(value(DataType.SparseFloatVector), []);
  assert.equal(value(DataType.Geometry), undefined);
  const narrow = fillColumn(field("f", DataType.Int8), { ...FILL, integer: 128 });
  assert.equal(narrow, undefined, "an Int8 cannot hold it");
  const own = create(ValueFieldSchema, { data: { case: "stringData", value: "own" } });
  assert.equal(value(DataType.VarChar, { defaultValue: own }), "own");
});

Deno.test("fillNulls changes nulls and nothing else", () => {
  fc.assert(
    fc.property(arbitraryColumn(), (column) => {
      const rows = rowsOf(column);
      const plain = { ...column, valid: undefined };
      const nulls = column.valid === undefined ? 0 : column.valid.filter((flag) => flag === 0).length;
      if (rows === 0) return;
      const value = decodeFieldData(encodeColumn(plain, Uint32Array.of(0)), 1);
      const { bytes, nulls: found } = fillNulls(encodeColumn(column), rows, value);
      assert.equal(found, nulls);
      const before = columnToJson(column);
      const after = decodeFieldData(bytes, rows);
      assert.equal(after.valid, undefined);
      const one = columnToJson(value)[0];
      assert.deepEqual(columnToJson(after), before.map((was, row) => column.valid?.[row] === 0 ? one : was));
      assert.deepEqual(columnToJson(decodeFieldData(repeatValue(value, 2), 2)), [one, one]);
    }),
  );
});
