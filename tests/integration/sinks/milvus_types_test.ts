/** Every type of 2.3, partition keys, autoID and defaults, through the sink into the stack's real target and back. */
import assert from "node:assert/strict";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { keysOf } from "../../../pipeline/columns/mod.ts";
import type { Collection, OwnedCollection, RowSink, WantedCollection } from "../../../pipeline/model/mod.ts";
import {
  type CollectionSchema,
  DataType,
  type FieldData,
  FieldDataSchema,
  ScalarFieldSchema,
} from "../../../pipeline/proto/gen/schema_pb.ts";
import { createMilvusSink, milvusSinkSpec } from "../../../sinks/milvus/mod.ts";
import { made, named } from "../../conformance/row_sink.ts";
import { field, FLAT, index, LOADED, storedSchema } from "../../sinks/milvus/sample.ts";
import { stackEnv } from "../../stack/env.ts";

const signal = new AbortController().signal;
const text = (value: string) => new TextEncoder().encode(value);

async function withTarget(body: (sink: RowSink, make: typeof wantedOf) => Promise<void>, auto_id = "preserve") {
  const sink = createMilvusSink(milvusSinkSpec.parse({ type: "milvus", address: stackEnv().TARGET_URI, auto_id }));
  const targets: WantedCollection[] = [];
  try {
    await body(sink, (schema, more) => {
      const want = wantedOf(schema, more);
      targets.push(want);
      return want;
    });
  } finally {
    for (const { target } of targets) await sink.dropCollection(target, signal);
    await sink.close();
  }
}

function wantedOf(schema: CollectionSchema, more: Partial<Collection> = {}): OwnedCollection {
  const name = `sink_types_${crypto.randomUUID().slice(0, 8)}`;
  return named({ db: "default", name }, { schema, load: LOADED, ...more });
}

type ScalarData = NonNullable<MessageInitShape<typeof ScalarFieldSchema>["data"]>;

function scalars(fieldName: string, type: DataType, data: ScalarData): FieldData {
  return create(FieldDataSchema, { fieldName, type, field: { case: "scalars", value: { data } } });
}

function floats(fieldName: string, dim: number, data: number[]): FieldData {
  const value = { dim: BigInt(dim), data: { case: "floatVector" as const, value: { data } } };
  return create(FieldDataSchema, { fieldName, type: DataType.FloatVector, field: { case: "vectors", value } });
}

function request(
  want: WantedCollection,
  rows: number,
  columns: readonly FieldData[],
  mode: "insert" | "upsert" = "upsert",
) {
  return {
    collectionId: 7n,
    target: want.target,
    partition: "_default",
    mode,
    rows,
    fieldsData: columns.map((one) => toBinary(FieldDataSchema, one)),
  };
}

async function readBack(sink: RowSink, want: WantedCollection): Promise<Map<string, FieldData["field"]>> {
  const columns = new Map<string, FieldData["field"]>();
  for await (const page of sink.read(want, {}, signal)) {
    for (const bytes of page.fieldsData) {
      const column = fromBinary(FieldDataSchema, bytes);
      columns.set(column.fieldName, column.field);
    }
  }
  return columns;
}

const ids = [1n, 2n];
const key = () => field("id", DataType.Int64, { isPrimaryKey: true });
const vector = () => field("vec", DataType.FloatVector, {}, { dim: 2 });
const idColumn = () => scalars("id", DataType.Int64, { case: "longData", value: { data: ids } });
const vectorColumn = () => floats("vec", 2, [0.1, -0.2, 1e-30, 3e38]);

Deno.test("createMilvusSink carries every scalar type of 2.3 and a float vector unchanged", () =>
  withTarget(async (sink, make) => {
    const elements = [DataType.Bool, DataType.Int8, DataType.Int64, DataType.Float, DataType.Double, DataType.VarChar];
    const schema = storedSchema([
      key(),
      vector(),
      field("b", DataType.Bool),
      field("i8", DataType.Int8),
      field("i16", DataType.Int16),
      field("i32", DataType.Int32),
      field("i64", DataType.Int64),
      field("f", DataType.Float),
      field("d", DataType.Double),
      field("s", DataType.VarChar, {}, { max_length: 100 }),
      field("j", DataType.JSON),
      ...elements.map((elementType) =>
        field(`a${elementType}`, DataType.Array, { elementType }, {
          max_capacity: 5,
          ...(elementType === DataType.VarChar ? { max_length: 50 } : {}),
        })
      ),
    ], { dynamic: true });
    const want = await made(sink, make(schema));
    const array = (elementType: DataType, one: ScalarData, two: ScalarData) =>
      scalars(`a${elementType}`, DataType.Array, {
        case: "arrayData",
        value: {
          data: [create(ScalarFieldSchema, { data: one }), create(ScalarFieldSchema, { data: two })],
          elementType,
        },
      });
    const meta = scalars("$meta", DataType.JSON, {
      case: "jsonData",
      value: { data: [text('{"x":9007199254740993}'), text("{}")] },
    });
    meta.isDynamic = true;
    const columns = [
      idColumn(),
      vectorColumn(),
      scalars("b", DataType.Bool, { case: "boolData", value: { data: [true, false] } }),
      scalars("i8", DataType.Int8, { case: "intData", value: { data: [-128, 127] } }),
      scalars("i16", DataType.Int16, { case: "intData", value: { data: [-32768, 32767] } }),
      scalars("i32", DataType.Int32, { case: "intData", value: { data: [-(2 ** 31), 2 ** 31 - 1] } }),
      scalars("i64", DataType.Int64, { case: "longData", value: { data: [-(2n ** 63n), 2n ** 63n - 1n] } }),
      scalars("f", DataType.Float, { case: "floatData", value: { data: [0.5, -1.25] } }),
      scalars("d", DataType.Double, { case: "doubleData", value: { data: [0.1, 1e300] } }),
      scalars("s", DataType.VarChar, { case: "stringData", value: { data: ["", '日本\0\n"\\'] } }),
      scalars("j", DataType.JSON, {
        case: "jsonData",
        value: { data: [text('{"n":9007199254740993}'), text('{"a":[1,null]}')] },
      }),
      array(DataType.Bool, { case: "boolData", value: { data: [true] } }, { case: "boolData", value: { data: [] } }),
      array(DataType.Int8, { case: "intData", value: { data: [1, -1] } }, { case: "intData", value: { data: [5] } }),
      array(DataType.Int64, { case: "longData", value: { data: [2n ** 60n] } }, {
        case: "longData",
        value: { data: [0n] },
      }),
      array(DataType.Float, { case: "floatData", value: { data: [1.5] } }, {
        case: "floatData",
        value: { data: [2.5] },
      }),
      array(DataType.Double, { case: "doubleData", value: { data: [0.1] } }, {
        case: "doubleData",
        value: { data: [2] },
      }),
      array(DataType.VarChar, { case: "stringData", value: { data: ["é"] } }, {
        case: "stringData",
        value: { data: [""] },
      }),
      meta,
    ];
    await sink.write(request(want, 2, columns), signal);
    const read = await readBack(sink, want);
    const bytesOf = (one: FieldData["field"]) => toBinary(FieldDataSchema, create(FieldDataSchema, { field: one }));
    for (const column of columns) {
      // A row of an array whose list is empty comes back without its kind.
      if (column.fieldName === `a${DataType.Bool}`) continue;
      assert.deepEqual(bytesOf(read.get(column.fieldName)!), bytesOf(column.field), column.fieldName);
    }
    assert.deepEqual(await sink.plan(want, signal), []);
  }));

Deno.test("createMilvusSink carries binary vectors", () =>
  withTarget(async (sink, make) => {
    const schema = storedSchema([key(), field("vec", DataType.BinaryVector, {}, { dim: 16 })]);
    const params = { index_type: "BIN_FLAT", metric_type: "HAMMING" };
    const want = await made(sink, make(schema, { indexes: [index("v", "vec", params)] }));
    const bytes = new Uint8Array([1, 2, 255, 0]);
    const value = { dim: 16n, data: { case: "binaryVector" as const, value: bytes } };
    const column = create(FieldDataSchema, {
      fieldName: "vec",
      type: DataType.BinaryVector,
      field: { case: "vectors", value },
    });
    await sink.write(request(want, 2, [idColumn(), column]), signal);
    const read = (await readBack(sink, want)).get("vec");
    assert.ok(read?.case === "vectors" && read.value.data.case === "binaryVector");
    assert.deepEqual(new Uint8Array(read.value.data.value), bytes);
  }));

Deno.test("createMilvusSink writes a partition-key collection without naming partitions", () =>
  withTarget(async (sink, make) => {
    const tenant = field("tenant", DataType.VarChar, { isPartitionKey: true }, { max_length: 20 });
    const partitions = [0, 1, 2, 3].map((i) => ({ id: BigInt(i), name: `_default_${i}`, createTs: 0n }));
    const want = await made(sink, make(storedSchema([key(), vector(), tenant]), { partitions }));
    const tenants = scalars("tenant", DataType.VarChar, { case: "stringData", value: { data: ["a", "b"] } });
    const columns = [idColumn(), vectorColumn(), tenants];
    await sink.write({ ...request(want, 2, columns), partition: "_default_3" }, signal);
    assert.equal(await sink.count(want.target, undefined, signal), 2n);
    assert.equal((await sink.state(want.target, signal)).partitions.length, 4);
    assert.deepEqual(await sink.plan(want, signal), []);
    const keys = { kind: "int64", values: [1n] } as const;
    await sink.remove({ collectionId: 7n, target: want.target, partition: "_default_0", keys }, signal);
    assert.equal(await sink.count(want.target, undefined, signal), 1n);
  }));

Deno.test("createMilvusSink writes rows over others where a query by their partition key finds them", () =>
  withTarget(async (sink, make) => {
    const tenant = field("tenant", DataType.VarChar, { isPartitionKey: true }, { max_length: 20 });
    const partitions = Array.from({ length: 10 }, (_, i) => ({ id: BigInt(i), name: `_default_${i}`, createTs: 0n }));
    const want = await made(sink, make(storedSchema([key(), vector(), tenant]), { partitions }));
    const names = Array.from({ length: 40 }, (_, i) => `tenant ${i}`);
    const columns = names.map((_, i) => BigInt(i));
    const written = (from: number) => [
      scalars("id", DataType.Int64, { case: "longData", value: { data: columns } }),
      floats("vec", 2, columns.flatMap((id) => [Number(id), from])),
      scalars("tenant", DataType.VarChar, { case: "stringData", value: { data: names } }),
    ];
    for (const from of [1, 2]) await sink.write(request(want, names.length, written(from)), signal);
    assert.equal(await sink.count(want.target, undefined, signal), 40n);
    const found: string[] = [];
    const selection = { partitionKeys: [...names, "nobody"], outputFields: ["id"] };
    for await (const page of sink.read(want, selection, signal)) {
      const { values } = keysOf(page.fieldsData, { fieldID: -1n, name: "id", dataType: DataType.Int64 }, page.rows);
      found.push(`${page.partitionKey}: ${Array.from<unknown>(values).join()}`);
    }
    assert.deepEqual(found, names.map((name, i) => `${name}: ${i}`));
  }));

function autoSchema(): CollectionSchema {
  const auto = field("id", DataType.Int64, { isPrimaryKey: true, autoID: true });
  return storedSchema([auto, vector()], { autoID: true });
}

Deno.test("createMilvusSink preserves the keys of an autoID collection", () =>
  withTarget(async (sink, make) => {
    const want = await made(sink, make(autoSchema()));
    await sink.write(request(want, 2, [idColumn(), vectorColumn()]), signal);
    const read = (await readBack(sink, want)).get("id");
    assert.ok(read?.case === "scalars" && read.value.data.case === "longData");
    assert.deepEqual(read.value.data.value.data, ids);
  }));

Deno.test("createMilvusSink lets the target make keys where that is asked for, and then refuses deletes", () =>
  withTarget(async (sink, make) => {
    const want = await made(sink, make(autoSchema()));
    await sink.write(request(want, 2, [idColumn(), vectorColumn()]), signal);
    const read = (await readBack(sink, want)).get("id");
    assert.ok(read?.case === "scalars" && read.value.data.case === "longData");
    assert.equal(read.value.data.value.data.some((id) => ids.includes(id)), false);
    const keys = { kind: "int64", values: ids } as const;
    await assert.rejects(
      sink.remove({ collectionId: 7n, target: want.target, partition: undefined, keys }, signal),
      { code: "refused", message: /makes its own keys/ },
    );
  }, "regenerate"));

Deno.test("createMilvusSink never sends rows without a column to 2.3, which a missing default would end", () =>
  withTarget(async (sink, make) => {
    const withDefault = field("s", DataType.VarChar, {
      defaultValue: { $typeName: "milvus.proto.schema.ValueField", data: { case: "stringData", value: "x" } },
    }, { max_length: 10 });
    const want = await made(
      sink,
      make(storedSchema([key(), vector(), withDefault]), {
        indexes: [index("v", "vec", FLAT)],
      }),
    );
    await assert.rejects(
      sink.write(request(want, 2, [idColumn(), vectorColumn()], "insert"), signal),
      { code: "refused", message: /columns that the rows do not have: s/ },
    );
    const value = { data: ["given", "x"] };
    const full = [idColumn(), vectorColumn(), scalars("s", DataType.VarChar, { case: "stringData", value })];
    await sink.write(request(want, 2, full), signal);
    assert.equal(await sink.count(want.target, undefined, signal), 2n);
  }));
