import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import {
  compactNulls,
  decodeFieldData,
  describeFieldData,
  dropColumns,
  encodeColumn,
  mergeFieldsData,
  renameColumns,
  selectRows,
} from "../../../pipeline/columns/mod.ts";
import { DataType, FieldDataSchema } from "../../../pipeline/proto/gen/schema_pb.ts";
import type { Column } from "../../../pipeline/model/mod.ts";
import { columnToJson } from "../../../pipeline/columns/mod.ts";
import { arbitraryColumn, TYPES } from "./arbitrary_columns.ts";

// JSON and Array values are compared as values, so those columns keep theirs.
const json = (bytes: Uint8Array, rows: number) => columnToJson(decodeFieldData(bytes, rows));

Deno.test("selectRows is the same as decoding, picking and encoding", () => {
  fc.assert(
    fc.property(arbitraryColumn(TYPES, 20), fc.array(fc.integer({ min: 0, max: 19 })), (column, list) => {
      const keep = Uint32Array.from(list);
      const [picked] = selectRows([encodeColumn(column)], 20, keep);
      const whole = json(encodeColumn(column), 20);
      assert.deepEqual(json(picked!, list.length), list.map((row) => whole[row]));
    }),
    { numRuns: 500 },
  );
});

Deno.test("selectRows takes a range", () => {
  fc.assert(
    fc.property(arbitraryColumn(TYPES, 20), fc.nat(20), fc.nat(20), (column, a, b) => {
      const range = { start: Math.min(a, b), end: Math.max(a, b) };
      const [picked] = selectRows([encodeColumn(column)], 20, range);
      assert.deepEqual(
        json(picked!, range.end - range.start),
        json(encodeColumn(column), 20).slice(range.start, range.end),
      );
    }),
    { numRuns: 300 },
  );
});

Deno.test("selectRows refuses rows that are not there", () => {
  const column = longs([1n, 2n]);
  assert.throws(() => selectRows([column], 2, Uint32Array.of(2)), RangeError);
  assert.throws(() => selectRows([column], 2, { start: 0, end: 3 }), RangeError);
});

Deno.test("mergeFieldsData puts the rows of all parts one after the other, whatever their nulls", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...TYPES).chain((type) => fc.array(arbitraryColumn([type]), { minLength: 1, maxLength: 4 })),
      fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
      (given, compact) => {
        const first = given[0]!;
        const columns = given.filter((column) => column.dim === first.dim && column.elementType === first.elementType)
          .map((column) => ({ ...column, fieldId: 7n, name: "c", isDynamic: false }));
        const parts = columns.map((column, i) => {
          const rows = rowsOf(column);
          const bytes = encodeColumn(column);
          return { rows, fieldsData: [compact[i] ? compactNulls(bytes, rows) : bytes] };
        });
        const merged = mergeFieldsData(parts)!;
        const rows = parts.reduce((sum, part) => sum + part.rows, 0);
        assert.equal(merged.length, 1);
        assert.deepEqual(json(merged[0]!, rows), parts.flatMap((part) => json(part.fieldsData[0]!, part.rows)));
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("mergeFieldsData fills a dynamic column that a part lacks with {}", () => {
  const meta: Column = {
    fieldId: 102n,
    name: "$meta",
    type: DataType.JSON,
    elementType: DataType.None,
    dim: 0,
    isDynamic: true,
    valid: undefined,
    data: { kind: "bytes", values: [new TextEncoder().encode(`{"a":1}`)] },
  };
  const merged = mergeFieldsData([
    { rows: 2, fieldsData: [longs([1n, 2n])] },
    { rows: 1, fieldsData: [encodeColumn(meta), longs([3n])] },
  ])!;
  assert.deepEqual(merged.map((bytes) => json(bytes, 3)), [["1", "2", "3"], ["{}", "{}", `{"a":1}`]]);
});

Deno.test("mergeFieldsData matches columns by name where ids are missing, and refuses other columns", () => {
  const anonymous = renameColumns([longs([1n])], () => ({ fieldId: 0n }));
  const merged = mergeFieldsData([{ rows: 1, fieldsData: anonymous }, { rows: 1, fieldsData: [longs([2n])] }])!;
  assert.deepEqual(json(merged[0]!, 2), ["1", "2"]);
  assert.equal(describeFieldData(merged[0]!).fieldId, 100n);
  const other = renameColumns([longs([1n])], () => ({ name: "other", fieldId: 101n }));
  assert.equal(mergeFieldsData([{ rows: 1, fieldsData: [longs([1n])] }, { rows: 1, fieldsData: other }]), undefined);
});

Deno.test("mergeFieldsData reads numbers that a writer left unpacked or in pieces", () => {
  // data: 1 (unpacked), then a packed piece 2, 3
  const array = [0x08, 0x01, 0x0a, 0x02, 0x02, 0x03];
  const scalars = [0x1a, array.length, ...array];
  const bytes = Uint8Array.from([0x08, 0x05, 0x12, 0x02, 0x69, 0x64, 0x1a, scalars.length, ...scalars, 0x28, 0x64]);
  const merged = mergeFieldsData([{ rows: 3, fieldsData: [bytes] }, { rows: 1, fieldsData: [longs([4n])] }])!;
  assert.deepEqual(json(merged[0]!, 4), ["1", "2", "3", "4"]);
});

Deno.test("compactNulls leaves out the slots of null scalars and keeps the values", () => {
  fc.assert(
    fc.property(arbitraryColumn(), (column) => {
      const rows = rowsOf(column);
      const bytes = encodeColumn(column);
      const compact = compactNulls(bytes, rows);
      assert.deepEqual(json(compact, rows), json(bytes, rows));
      assert.deepEqual(compactNulls(compact, rows), compact);
    }),
    { numRuns: 300 },
  );
  const message = create(FieldDataSchema, {
    type: DataType.Int64,
    fieldName: "n",
    validData: [true, false, true],
    field: { case: "scalars", value: { data: { case: "longData", value: { data: [5n, 0n, 6n] } } } },
  });
  const compact = compactNulls(toBinary(FieldDataSchema, message), 3);
  assert.equal(compact.length, toBinary(FieldDataSchema, message).length - 1);
  assert.deepEqual(json(compact, 3), ["5", null, "6"]);
});

Deno.test("compactNulls gives flags to a column with a default where asked", () => {
  const flagged = compactNulls(longs([1n, 2n]), 2, true);
  assert.deepEqual(decodeFieldData(flagged, 2).valid, Uint8Array.of(1, 1));
});

Deno.test("dropColumns and renameColumns change the heads and leave other bytes alone", () => {
  const id = longs([1n]);
  const [renamed] = renameColumns([id], (head) => head.name === "id" ? { name: "key" } : undefined);
  assert.equal(describeFieldData(renamed!).name, "key");
  assert.deepEqual(json(renamed!, 1), ["1"]);
  assert.equal(renameColumns([id], () => undefined)[0], id);
  assert.deepEqual(dropColumns([id, renamed!], (head) => head.name === "key"), [id]);
});

function longs(values: bigint[]): Uint8Array {
  return encodeColumn({
    fieldId: 100n,
    name: "id",
    type: DataType.Int64,
    elementType: DataType.None,
    dim: 0,
    isDynamic: false,
    valid: undefined,
    data: { kind: "int64", values: BigInt64Array.from(values) },
  });
}

function rowsOf(column: Column): number {
  if (column.valid !== undefined) return column.valid.length;
  return column.data.kind === "fixed" ? column.data.bytes.length / column.data.width : column.data.values.length;
}
