import assert from "node:assert/strict";
import { create, fromBinary } from "@bufbuild/protobuf";
import {
  absentColumn,
  columnToJson,
  decodeFieldData,
  encodeColumn,
  vectorsRow,
} from "../../../pipeline/columns/mod.ts";
import {
  DataType,
  type FieldSchema,
  FieldSchemaSchema,
  ValueFieldSchema,
  VectorFieldSchema,
} from "../../../pipeline/proto/gen/schema_pb.ts";

type Init = Parameters<typeof create<typeof FieldSchemaSchema>>[1];
const field = (init: Init): FieldSchema => create(FieldSchemaSchema, { fieldID: 105n, name: "f", ...init as object });
const what = "Segment 7";

Deno.test("absentColumn gives every row the field's default, of each type that can have one", () => {
  const cases: [DataType, NonNullable<Parameters<typeof create<typeof ValueFieldSchema>>[1]>["data"], unknown][] = [
    [DataType.Bool, { case: "boolData", value: true }, true],
    [DataType.Int16, { case: "intData", value: -5 }, -5],
    [DataType.Int64, { case: "longData", value: 2n ** 60n }, (2n ** 60n).toString()],
    [DataType.Float, { case: "floatData", value: 0.5 }, 0.5],
    [DataType.Double, { case: "doubleData", value: 1e300 }, 1e300],
    [DataType.VarChar, { case: "stringData", value: "ä" }, "ä"],
    [DataType.JSON, { case: "bytesData", value: new TextEncoder().encode('{"a":1}') }, '{"a":1}'],
    [DataType.Geometry, { case: "stringData", value: "POINT (1 2)" }, "0101000000000000000000f03f0000000000000040"],
    [DataType.Timestamptz, { case: "timestamptzData", value: 17n }, "17"],
  ];
  for (const [dataType, data, expected] of cases) {
    for (const nullable of [false, true]) {
      const defaultValue = create(ValueFieldSchema, { data });
      const column = absentColumn(field({ dataType, defaultValue, nullable }), 3, { what });
      assert.deepEqual(columnToJson(column), [expected, expected, expected], DataType[dataType]);
    }
  }
});

Deno.test("absentColumn gives nulls that can be encoded where the field has no default", () => {
  const dim = { typeParams: [{ key: "dim", value: "4" }] };
  const types: Init[] = [
    { dataType: DataType.VarChar },
    { dataType: DataType.Array, elementType: DataType.Int64 },
    { dataType: DataType.FloatVector, ...dim },
    { dataType: DataType.SparseFloatVector },
    { dataType: DataType.Geometry },
    { dataType: DataType.ArrayOfVector, elementType: DataType.FloatVector, ...dim },
  ];
  for (const init of types) {
    const column = absentColumn(field({ ...init as object, nullable: true }), 3, { what });
    assert.deepEqual(columnToJson(column), [null, null, null]);
    assert.deepEqual(columnToJson(decodeFieldData(encodeColumn(column), 3)), [null, null, null]);
  }
  const output = absentColumn(field({ dataType: DataType.SparseFloatVector, isFunctionOutput: true }), 1, { what });
  assert.deepEqual(columnToJson(output), [null]);
  const dynamic = absentColumn(field({ dataType: DataType.JSON, isDynamic: true }), 2, { what });
  assert.deepEqual(columnToJson(dynamic), ["{}", "{}"]);
  assert.throws(() => absentColumn(field({ dataType: DataType.Int64 }), 1, { what }), {
    code: "damaged",
    message: /^Segment 7 has no files of the field f \(105\)/,
  });
});

Deno.test("absentColumn gives empty lists for the fields of a struct array that came later", () => {
  const tags = field({ dataType: DataType.Array, elementType: DataType.VarChar });
  assert.deepEqual(columnToJson(absentColumn(tags, 2, { what, inStruct: true })), [[], []]);
  const typeParams = [{ key: "dim", value: "4" }];
  const vectors = field({ dataType: DataType.ArrayOfVector, elementType: DataType.FloatVector, typeParams });
  const column = absentColumn(vectors, 2, { what, inStruct: true });
  assert.deepEqual(columnToJson(column), [[], []]);
  assert.equal(column.dim, 4);
  assert.deepEqual(columnToJson(absentColumn({ ...vectors, nullable: true }, 1, { what, inStruct: true })), [null]);
});

Deno.test("vectorsRow makes the VectorField that Milvus' own definition reads, of every dense type", () => {
  const floats = Float32Array.of(1, 2, 3, 4, 5, 6);
  const row = fromBinary(VectorFieldSchema, vectorsRow(DataType.FloatVector, 3, new Uint8Array(floats.buffer)));
  assert.equal(row.dim, 3n);
  assert.deepEqual(row.data.case === "floatVector" && row.data.value.data, [...floats]);
  const bytes = Uint8Array.of(1, 2, 3, 4);
  const blobs = { BinaryVector: "binaryVector", Float16Vector: "float16Vector", BFloat16Vector: "bfloat16Vector" };
  for (const [type, name] of Object.entries({ ...blobs, Int8Vector: "int8Vector" })) {
    const found = fromBinary(VectorFieldSchema, vectorsRow(DataType[type as keyof typeof blobs], 2, bytes));
    assert.deepEqual(found.data, { case: name, value: bytes });
  }
  const empty = fromBinary(VectorFieldSchema, vectorsRow(DataType.FloatVector, 3, new Uint8Array()));
  assert.deepEqual(empty.data.case === "floatVector" && empty.data.value.data, []);
  assert.throws(() => vectorsRow(DataType.ArrayOfStruct, 3, bytes), { code: "unsupported" });
});

Deno.test("absentColumn refuses a default of another type than the field's: it is no 0", () => {
  const data = { case: "stringData" as const, value: "2025-01-01T00:00:00Z" };
  const time = field({ dataType: DataType.Timestamptz, defaultValue: create(ValueFieldSchema, { data }) });
  assert.throws(() => absentColumn(time, 1, { what }), {
    code: "damaged",
    message: /field f \(105\), whose default is kept as stringData: no value of the type Timestamptz$/,
  });
});
