import assert from "node:assert/strict";
import { clone, create } from "@bufbuild/protobuf";
import {
  columnToJson,
  decodeFieldData,
  DEFAULT_FILL,
  describeFieldData,
  encodeColumn,
} from "../../../pipeline/columns/mod.ts";
import type { AgreedColumn, Column } from "../../../pipeline/model/mod.ts";
import { agreedText } from "../../../pipeline/model/mod.ts";
import {
  CollectionSchemaSchema,
  DataType,
  type FieldSchema,
  FunctionSchemaSchema,
  FunctionType,
  StructArrayFieldSchemaSchema,
  ValueFieldSchema,
} from "../../../pipeline/proto/gen/schema_pb.ts";
import {
  agree,
  agreedCollection,
  agreedRows,
  readSchema,
  type UnsupportedPolicy,
} from "../../../pipeline/transforms/mod.ts";
import { featuresOf } from "../../../sinks/milvus/features.ts";
import { gapsOf } from "../../../sinks/milvus/plan/gaps.ts";
import { schemaDifferences, schemaToCreate } from "../../../sinks/milvus/plan/schema.ts";
import { collection, field, FLAT, index, storedSchema } from "../../sinks/milvus/sample.ts";

const HOLD: UnsupportedPolicy = { policy: "hold" };
const DROP: UnsupportedPolicy = { policy: "drop_column" };
const FILL: UnsupportedPolicy = { policy: "fill", values: { ...DEFAULT_FILL, text: "n/a" } };

const schema = storedSchema([
  field("id", DataType.Int64, { isPrimaryKey: true }),
  field("vec", DataType.FloatVector, {}, { dim: 2 }),
  field("note", DataType.VarChar, { nullable: true }, { max_length: 10 }),
  field("place", DataType.Geometry),
]);
const orders = collection("orders", {
  schema,
  indexes: [index("vec_idx", "vec", FLAT), { ...index("place_idx", "place", {}), fieldId: 103n }],
});

function gaps(of = schema, version = "2.3.5", names?: ReadonlySet<string>, withDefault = new Set<string>()) {
  const target = names && { names, withDefault };
  return { release: `Milvus ${version}`, gaps: gapsOf(of, featuresOf(version), target) };
}

function text(name: string, fieldId: bigint, values: readonly (string | null)[], nullable = true): Uint8Array {
  const column: Column = {
    fieldId,
    name,
    type: DataType.VarChar,
    elementType: DataType.None,
    dim: 0,
    isDynamic: false,
    valid: nullable ? Uint8Array.from(values, (value) => value === null ? 0 : 1) : undefined,
    data: { kind: "utf8", values: values.map((value) => new TextEncoder().encode(value ?? "")) },
  };
  return encodeColumn(column);
}

const ids = encodeColumn({
  fieldId: 100n,
  name: "id",
  type: DataType.Int64,
  elementType: DataType.None,
  dim: 0,
  isDynamic: false,
  valid: undefined,
  data: { kind: "int64", values: BigInt64Array.of(1n, 2n, 3n) },
});

const shown = (fieldsData: readonly Uint8Array[]) =>
  Object.fromEntries(
    fieldsData.map((bytes) => [describeFieldData(bytes).name, columnToJson(decodeFieldData(bytes, 3))]),
  );

Deno.test("agree holds a collection by default, and says what the target does not know", () => {
  const { columns, problem } = agree(HOLD, orders, gaps(), []);
  assert.deepEqual(columns, []);
  assert.match(
    problem!,
    /^Milvus 2\.3\.5 on the target does not know null values in field note, the type Geometry of field place: held/,
  );
  assert.deepEqual(agree(HOLD, orders, gaps(schema, "2.6.19"), []), { columns: [], problem: undefined });
});

Deno.test("agree leaves columns out, or fills nulls and leaves out what no value helps", () => {
  const changes = (columns: readonly AgreedColumn[]) =>
    columns.map(({ field, change, value }) => [field, change, value]);
  assert.deepEqual(changes(agree(DROP, orders, gaps(), []).columns), [["note", "left_out", ""], [
    "place",
    "left_out",
    "",
  ]]);
  const { columns, problem } = agree(FILL, orders, gaps(), []);
  assert.deepEqual(changes(columns), [["note", "filled", '"n/a"'], ["place", "left_out", ""]]);
  assert.equal(problem, undefined);
  assert.equal(
    agreedText({ ...columns[0]!, values: 3n }),
    'field note has "n/a" for each null (3 so far): Milvus 2.3.5 does not know null values in field note',
  );
});

Deno.test("agree keeps what was agreed before, also where the policy or the target has changed since", () => {
  const { columns } = agree(FILL, orders, gaps(), []);
  assert.deepEqual(agree(DROP, orders, gaps(), columns).columns, columns);
  assert.deepEqual(agree(HOLD, orders, gaps(schema, "3.0.0"), columns), { columns, problem: undefined });
});

Deno.test("agree leaves out a field that was added to what an old target has already", () => {
  const there = new Set(["id", "vec", "note"]);
  const { columns } = agree(DROP, orders, gaps(schema, "2.5.27", there), []);
  assert.deepEqual(columns.map(({ field, why }) => [field, why]), [
    ["place", "Milvus 2.5.27 does not know the type Geometry of field place"],
  ]);
  const added = storedSchema([...schema.fields.slice(2, 5), field("late", DataType.Int64, { nullable: true })]);
  const late = agree(DROP, { schema: added }, gaps(added, "2.5.27", there), []);
  assert.deepEqual(late.columns.map(({ why }) => why), [
    "Milvus 2.5.27 does not know how to add field late to a collection",
  ]);
});

Deno.test("agree leaves out what was added to a collection and no release adds to one, and its target lacks nothing then", () => {
  const before = storedSchema([
    field("id", DataType.Int64, { isPrimaryKey: true }),
    field("vec", DataType.FloatVector),
  ]);
  const fields = [
    field("text", DataType.VarChar, { nullable: true }, { max_length: 10 }),
    field("nvec", DataType.FloatVector, { nullable: true }, { dim: 2 }),
    field("bm25", DataType.SparseFloatVector, { isFunctionOutput: true }),
    field("strict", DataType.Int64),
  ];
  const now = storedSchema([...before.fields.slice(2), ...fields]);
  now.functions.push(
    create(FunctionSchemaSchema, {
      name: "words",
      type: FunctionType.BM25,
      inputFieldNames: ["text"],
      outputFieldNames: ["bm25"],
    }),
  );
  now.structArrayFields.push(
    create(StructArrayFieldSchemaSchema, {
      name: "items",
      fieldID: 902n,
      fields: [field("items[a]", DataType.Array, { elementType: DataType.Int64, fieldID: 900n })],
    }),
  );
  const left: Readonly<Record<string, readonly string[]>> = {
    "2.4.5": ["text", "nvec", "bm25", "strict", "items[a]"],
    "2.5.27": ["text", "nvec", "bm25", "strict", "items[a]"],
    "2.6.6": ["nvec", "bm25", "strict", "items[a]"],
    "3.0.0": ["bm25", "strict", "items[a]"],
  };
  const there = new Set(["id", "vec"]);
  for (const [version, names] of Object.entries(left)) {
    for (const policy of [DROP, FILL]) {
      const { columns, problem } = agree(policy, { schema: now }, gaps(now, version, there), []);
      assert.equal(problem, undefined);
      assert.deepEqual(columns.map(({ field, change }) => [field, change]), names.map((name) => [name, "left_out"]));
      const wanted = agreedCollection(collection("c", { schema: now, indexes: [] }), columns);
      const differences = schemaDifferences(schemaToCreate(wanted, "c", "preserve"), before, featuresOf(version));
      assert.deepEqual(differences.filter(({ kind }) => kind === "impossible"), [], version);
    }
    // Once it has them, it lacks them no more.
    const all = new Set(["id", "vec", "text", "nvec", "bm25", "strict", "items"]);
    if (version === "3.0.0") assert.deepEqual(gaps(now, version, all).gaps, []);
    assert.match(agree(HOLD, { schema: now }, gaps(now, version, there), []).problem!, /how to add .*: held/);
  }
});

Deno.test("agree lets neither a key nor the last vector go", () => {
  const keyed = storedSchema([
    field("id", DataType.Int64, { isPrimaryKey: true }),
    field("vec", DataType.FloatVector, {}, { dim: 2 }),
    field("tenant", DataType.VarChar, { isPartitionKey: true, nullable: true }, { max_length: 10 }),
  ]);
  assert.match(
    agree(FILL, { schema: keyed }, gaps(keyed), []).problem!,
    /null values in field tenant, and a key can neither/,
  );
  const sparse = storedSchema([
    field("id", DataType.Int64, { isPrimaryKey: true }),
    field("vec", DataType.SparseFloatVector),
  ]);
  assert.match(agree(DROP, { schema: sparse }, gaps(sparse), []).problem!, /takes none of its vector fields/);
});

Deno.test("agreedCollection is what the target is to have: without columns that are left out and their indexes", () => {
  const { columns } = agree(FILL, orders, gaps(), []);
  const made = agreedCollection(orders, columns);
  assert.deepEqual(made.schema.fields.slice(2).map(({ name, nullable }) => [name, nullable]), [
    ["id", false],
    ["vec", false],
    ["note", false],
  ]);
  assert.deepEqual(made.indexes.map(({ name }) => name), ["vec_idx"]);
  assert.equal(gapsOf(made.schema, featuresOf("2.3.5")).length, 0);
  assert.equal(schema.fields[4]!.nullable, true, "the source's schema stays as it is");
  assert.equal(agreedCollection(orders, []), orders);
});

Deno.test("agreedCollection keeps values that a function of the source made, where they are in its log, as a plain column", () => {
  const made = storedSchema([
    field("id", DataType.Int64, { isPrimaryKey: true }),
    field("text", DataType.VarChar, {}, { max_length: 10 }),
    field("emb", DataType.FloatVector, { isFunctionOutput: true }, { dim: 2 }),
    field("bm25", DataType.SparseFloatVector, { isFunctionOutput: true }),
  ]);
  for (const [type, output] of [[FunctionType.TextEmbedding, "emb"], [FunctionType.BM25, "bm25"]] as const) {
    made.functions.push(
      create(FunctionSchemaSchema, {
        name: `f_${output}`,
        type,
        inputFieldNames: ["text"],
        outputFieldNames: [output],
      }),
    );
  }
  assert.match(
    agree(HOLD, { schema: made }, gaps(made, "2.4.5"), []).problem!,
    /does not know the function f_bm25: held/,
  );
  const { columns } = agree(DROP, { schema: made }, gaps(made, "2.4.5"), []);
  assert.deepEqual(columns.map(({ field, change }) => [field, change]), [["emb", "plain"], ["bm25", "left_out"]]);
  const target = agreedCollection(collection("docs", { schema: made, indexes: [] }), columns).schema;
  assert.deepEqual(target.fields.slice(2).map(({ name, isFunctionOutput }) => [name, isFunctionOutput]), [
    ["id", false],
    ["text", false],
    ["emb", false],
  ]);
  assert.deepEqual(target.functions, []);
  assert.equal(readSchema(made, columns).fields.find(({ name }) => name === "emb")!.isFunctionOutput, false);
});

Deno.test("agreedRows leaves out and fills, and counts both; older rows get a filled column that they lack", () => {
  const { columns } = agree(FILL, orders, gaps(), []);
  const note = text("note", 102n, ["a", null, null]);
  const place = text("place", 103n, ["x", null, "z"]);
  const { fieldsData, counts } = agreedRows(columns, [ids, note, place], 3);
  assert.deepEqual(shown(fieldsData), { id: ["1", "2", "3"], note: ["a", "n/a", "n/a"] });
  assert.deepEqual(counts, [2, 2]);
  assert.equal(decodeFieldData(fieldsData[1]!, 3).valid, undefined);
  const older = agreedRows(columns, [ids], 3);
  assert.deepEqual(shown(older.fieldsData), { id: ["1", "2", "3"], note: ["n/a", "n/a", "n/a"] });
  const whole = agreedRows(columns, [ids, text("note", 102n, ["a", "b", "c"])], 3);
  assert.deepEqual([shown(whole.fieldsData).note, whole.counts], [["a", "b", "c"], [0, 0]]);
});

const STATE = create(ValueFieldSchema, { data: { case: "stringData", value: "new" } });
const withDefault = storedSchema([
  field("id", DataType.Int64, { isPrimaryKey: true }),
  field("vec", DataType.FloatVector, {}, { dim: 2 }),
  field("state", DataType.VarChar, { nullable: true, defaultValue: STATE }, { max_length: 10 }),
]);

Deno.test("agree holds nothing for nulls that become the default by themselves, under no policy, and leaves the column nullable", () => {
  for (const policy of [HOLD, DROP, FILL]) {
    const { columns: [state], problem } = agree(policy, { schema: withDefault }, gaps(withDefault, "2.5.27"), []);
    assert.deepEqual([problem, state?.change, state?.value], [undefined, "defaulted", '"new"']);
    const made = agreedCollection(collection("a", { schema: withDefault }), [state!]).schema.fields;
    assert.equal(made.find(({ name }) => name === "state")!.nullable, true);
  }
  assert.match(
    agree(HOLD, { schema: withDefault }, gaps(withDefault, "2.4.23"), []).problem!,
    /null values in field state: held/,
  );
});

Deno.test("agreedRows writes the default for each null of such a field, counts it, and adds nothing to rows without the field", () => {
  const { columns } = agree(HOLD, { schema: withDefault }, gaps(withDefault, "2.5.27"), []);
  const mixed = agreedRows(columns, [text("state", 102n, ["a", null])], 2);
  assert.deepEqual([columnToJson(decodeFieldData(mixed.fieldsData[0]!, 2)), mixed.counts], [["a", "new"], [1]]);
  const whole = text("state", 102n, ["a", "b"]);
  assert.deepEqual(agreedRows(columns, [whole], 2), { fieldsData: [whole], counts: [0] });
  assert.deepEqual(agreedRows(columns, [], 2), { fieldsData: [], counts: [0] });
});

Deno.test("agree does not let a default of the target's own stand for nulls of a source that has none", () => {
  const names = new Set(["id", "vec", "note", "place"]);
  const note = field("note", DataType.VarChar, { nullable: true }, { max_length: 10 });
  const bare = storedSchema([field("id", DataType.Int64, { isPrimaryKey: true }), note]);
  const { problem } = agree(HOLD, { schema: bare }, gaps(bare, "3.0.0", names, new Set(["note"])), []);
  assert.match(problem!, /does not know null values in field note, which has a default value there: held/);
  assert.equal(agree(HOLD, { schema: bare }, gaps(bare, "3.0.0", names), []).problem, undefined);
});

Deno.test("schemaDifferences names another default value than the source's, and none where rows would get null instead", () => {
  const wanted = schemaToCreate(collection("a", { schema: withDefault }), "a", "preserve");
  const differs = (change: (state: FieldSchema) => void) => {
    const actual = clone(CollectionSchemaSchema, wanted);
    change(actual.fields.find(({ name }) => name === "state")!);
    return schemaDifferences(wanted, actual, featuresOf("2.6.19")).map((one) => "what" in one ? one.what : one.kind);
  };
  assert.deepEqual(differs(() => {}), []);
  const old = create(ValueFieldSchema, { data: { case: "stringData", value: "old" } });
  assert.deepEqual(differs((state) => state.defaultValue = old), [
    'field state has the default value "old", the source\'s is "new"',
  ]);
  assert.deepEqual(differs((state) => state.defaultValue = undefined), [
    'field state has no default value, the source\'s is "new"',
  ]);
});
