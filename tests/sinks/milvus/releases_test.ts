/** Rows of every kind through the sink into a server that checks requests as the proxy of a release does. */
import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import {
  absentColumn,
  columnToJson,
  decodeFieldData,
  DEFAULT_FILL,
  encodeColumn,
  geometryOfText,
  rowDigests,
  vectorsRow,
} from "../../../pipeline/columns/mod.ts";
import type { Column, ColumnData } from "../../../pipeline/model/mod.ts";
import {
  type CollectionSchema,
  DataType,
  type FieldSchema,
  FunctionSchemaSchema,
  FunctionType,
  StructArrayFieldSchemaSchema,
  ValueFieldSchema,
} from "../../../pipeline/proto/gen/schema_pb.ts";
import { agree, agreedCollection, agreedRows } from "../../../pipeline/transforms/mod.ts";
import { createMilvusSink, milvusSinkSpec } from "../../../sinks/milvus/mod.ts";
import { FakeProxy } from "../../fakes/proxy/server.ts";
import { ALL_MADE, collection, field, storedSchema } from "./sample.ts";

const ROWS = 3;
const signal = new AbortController().signal;
const bytes = (...values: readonly string[]) => values.map((text) => new TextEncoder().encode(text));
const own = create(ValueFieldSchema, { data: { case: "stringData", value: "own" } });

/** Field -> the values of three rows; where it is nullable, the one in the middle is null. */
const COLUMNS: readonly (readonly [FieldSchema, ColumnData])[] = [
  [field("id", DataType.Int64, { isPrimaryKey: true }), { kind: "int64", values: BigInt64Array.of(1n, 2n, 3n) }],
  [field("vec", DataType.FloatVector, {}, { dim: 1 }), fixed(4, Float32Array.of(1, 2, 3))],
  [field("half", DataType.Float16Vector, {}, { dim: 1 }), fixed(2, Uint16Array.of(15360, 0, 16384))],
  [
    field("sparse", DataType.SparseFloatVector),
    { kind: "bytes", values: [pairs(1, 0.5), new Uint8Array(), pairs(7, 2)] },
  ],
  [field("nvec", DataType.FloatVector, { nullable: true }, { dim: 1 }), fixed(4, Float32Array.of(1, 0, 3))],
  [field("flag", DataType.Bool, { nullable: true }), { kind: "bool", values: Uint8Array.of(1, 0, 0) }],
  [field("small", DataType.Int8, { nullable: true }), { kind: "int32", values: Int32Array.of(-1, 0, 5) }],
  [field("note", DataType.VarChar, { nullable: true }, { max_length: 9 }), {
    kind: "utf8",
    values: bytes("a", "", "é"),
  }],
  [field("set", DataType.VarChar, { defaultValue: own }, { max_length: 9 }), {
    kind: "utf8",
    values: bytes("a", "b", "c"),
  }],
  [field("state", DataType.VarChar, { nullable: true, defaultValue: own }, { max_length: 9 }), {
    kind: "utf8",
    values: bytes("a", "", "c"),
  }],
  [field("doc", DataType.JSON, { nullable: true }), { kind: "bytes", values: bytes('{"a":1}', "", "[1]") }],
  [
    field("tags", DataType.Array, { nullable: true, elementType: DataType.Int64 }, { max_capacity: 4 }),
    { kind: "bytes", values: [Uint8Array.of(0x1a, 3, 0x0a, 1, 5), new Uint8Array(), Uint8Array.of(0x1a, 0)] },
  ],
  [
    field("place", DataType.Geometry, { nullable: true }),
    {
      kind: "bytes",
      values: [geometryOfText("POINT (1 2.5)"), new Uint8Array(), geometryOfText("LINESTRING (0 0, 1e-7 3)")],
    },
  ],
  [field("at", DataType.Timestamptz, { nullable: true }), { kind: "int64", values: BigInt64Array.of(1n, 0n, -5n) }],
];

function fixed(width: number, values: Float32Array | Uint16Array): ColumnData {
  return { kind: "fixed", width, bytes: new Uint8Array(values.buffer) };
}

function pairs(index: number, value: number): Uint8Array {
  const out = new DataView(new ArrayBuffer(8));
  out.setUint32(0, index, true);
  out.setFloat32(4, value, true);
  return new Uint8Array(out.buffer);
}

function columnOf(one: FieldSchema, data: ColumnData): Column {
  const plain = absentColumn({ ...one, nullable: true }, ROWS, { what: "The test" });
  return { ...plain, valid: one.nullable ? Uint8Array.of(1, 0, 1) : undefined, data };
}

/** A source of 3.0 with everything, and rows as its log has them. */
function source(): { schema: CollectionSchema; fieldsData: Uint8Array[] } {
  const text = field("text", DataType.VarChar, {}, { max_length: 9 });
  const bm25 = field("bm25", DataType.SparseFloatVector, { isFunctionOutput: true });
  const schema = storedSchema([...COLUMNS.map(([one]) => one), text, bm25], { dynamic: true });
  schema.functions.push(
    create(FunctionSchemaSchema, {
      name: "words",
      type: FunctionType.BM25,
      inputFieldNames: ["text"],
      outputFieldNames: ["bm25"],
    }),
  );
  const name = field("items[name]", DataType.Array, { elementType: DataType.VarChar, fieldID: 900n }, {
    max_length: 9,
    max_capacity: 4,
  });
  const emb = field("items[emb]", DataType.ArrayOfVector, { elementType: DataType.FloatVector, fieldID: 901n }, {
    dim: 1,
    max_capacity: 4,
  });
  schema.structArrayFields.push(
    create(StructArrayFieldSchemaSchema, { name: "items", fieldID: 902n, fields: [name, emb] }),
  );
  const words = (...values: readonly string[]) =>
    Uint8Array.from([0x32, values.length * 3, ...values.flatMap((value) => [0x0a, 1, value.charCodeAt(0)])]);
  const vectors = (...values: readonly number[]) =>
    vectorsRow(DataType.FloatVector, 1, new Uint8Array(Float32Array.from(values).buffer));
  const meta = schema.fields.find(({ isDynamic }) => isDynamic)!;
  return {
    schema,
    fieldsData: [
      ...COLUMNS.map(([one, data]) => columnOf(one, data)),
      columnOf(text, { kind: "utf8", values: bytes("x", "y", "z") }),
      columnOf(name, { kind: "bytes", values: [words("a"), words(), words("b", "c")] }),
      { ...columnOf(emb, { kind: "bytes", values: [vectors(1), vectors(), vectors(2, 3)] }), dim: 1 },
      // Gen 2 has flags of the dynamic column, all true.
      {
        ...columnOf(meta, { kind: "bytes", values: bytes('{"k":1}', "{}", '{"k":2}') }),
        valid: Uint8Array.of(1, 1, 1),
      },
    ].map((column) => encodeColumn(column)),
  };
}

const FILLED: Readonly<Record<string, readonly string[]>> = {
  "2.4.23": ["nvec", "flag", "small", "note", "state", "doc", "tags"],
  "2.5.27": ["nvec"],
  "2.6.6": ["nvec"],
  "2.6.19": [],
  "3.0.0": [],
};
const DEFAULTED: Readonly<Record<string, readonly string[]>> = {
  "2.4.23": [],
  "2.5.27": ["state"],
  "2.6.6": ["state"],
  "2.6.19": ["state"],
  "3.0.0": ["state"],
};
const LEFT_OUT: Readonly<Record<string, readonly string[]>> = {
  "2.4.23": ["place", "at", "bm25", "items[name]", "items[emb]"],
  "2.5.27": ["place", "at", "items[name]", "items[emb]"],
  "2.6.6": [],
  "2.6.19": [],
  "3.0.0": [],
};

for (const version of Object.keys(FILLED)) {
  Deno.test(`createMilvusSink writes rows of every kind into Milvus ${version}, and reads the same, as agreed`, async () => {
    await using proxy = await FakeProxy.start(version);
    const sink = createMilvusSink(milvusSinkSpec.parse({ type: "milvus", address: proxy.address }));
    try {
      const { schema, fieldsData } = source();
      const every = collection("every", {
        schema,
        indexes: [],
        partitions: [{ id: 1n, name: "_default", createTs: 0n }],
      });
      const target = { db: "default", name: "every" };
      const gaps = await sink.gaps!({ source: every, target }, false, signal);
      const { columns, problem } = agree(
        { policy: "fill", values: { ...DEFAULT_FILL, text: "none" } },
        every,
        gaps,
        [],
      );
      assert.equal(problem, undefined);
      const by = (change: string) => columns.filter((one) => one.change === change).map(({ field }) => field);
      assert.deepEqual(
        [by("filled"), by("defaulted"), by("left_out")],
        [FILLED[version], DEFAULTED[version], LEFT_OUT[version]],
      );
      const wanted = { source: agreedCollection(every, columns), target, whose: ALL_MADE };
      const outcomes = await sink.reconcile(wanted, undefined, "all", () => "apply", signal);
      assert.deepEqual(outcomes.filter(({ result }) => result !== "applied"), []);
      const sent = agreedRows(columns, fieldsData, ROWS).fieldsData;
      for (const mode of ["insert", "upsert"] as const) {
        const about = { collectionId: 7n, target, partition: "_default", rows: ROWS };
        await sink.write({ ...about, mode, fieldsData: sent }, signal);
      }
      const pages = await Array.fromAsync(sink.read(wanted, {}, signal));
      assert.equal(pages.length, 1);
      assert.deepEqual(
        [...rowDigests(pages[0]!.fieldsData, ROWS)],
        [...rowDigests(sent, ROWS)],
        shown(pages[0]!.fieldsData),
      );
    } finally {
      await sink.close();
    }
  });
}

const KEYED = collection("keyed", {
  schema: storedSchema([
    field("id", DataType.Int64, { isPrimaryKey: true, autoID: true }),
    field("vec", DataType.FloatVector, {}, { dim: 1 }),
  ]),
  indexes: [],
});

/** Two rows of it as the source's log has them: with the keys that the source made. */
const KEYED_ROWS = ["id", "vec"].map((name) => {
  const data: ColumnData = name === "id"
    ? { kind: "int64", values: BigInt64Array.of(11n, 12n) }
    : fixed(4, Float32Array.of(1, 2));
  const one = KEYED.schema.fields.find((item) => item.name === name)!;
  return encodeColumn({ ...columnOf(one, data), valid: undefined });
});

for (const version of ["2.3.5", ...Object.keys(FILLED)]) {
  Deno.test(`createMilvusSink keeps the keys that a source made, written twice as after a crash, on Milvus ${version}`, async () => {
    const about = { collectionId: 7n, partition: "_default", rows: 2, fieldsData: KEYED_ROWS };
    const target = { db: "default", name: "keyed" };
    const wanted = { source: KEYED, target, whose: ALL_MADE };
    const keysAfter = async (auto_id: "preserve" | "regenerate") => {
      await using proxy = await FakeProxy.start(version);
      const sink = createMilvusSink(milvusSinkSpec.parse({ type: "milvus", address: proxy.address, auto_id }));
      try {
        await sink.reconcile(wanted, undefined, "structure", () => "apply", signal);
        for (const mode of ["insert", "upsert", "upsert"] as const) {
          await sink.write({ ...about, target, mode }, signal);
        }
        return [...proxy.collections.get("keyed")!.rows.keys()].sort();
      } finally {
        await sink.close();
      }
    };
    assert.deepEqual(await keysAfter("preserve"), [11n, 12n]);
    // Asked for, and said so: new keys, and rows twice.
    assert.deepEqual(await keysAfter("regenerate"), [1001n, 1002n, 1003n, 1004n, 1005n, 1006n]);
  });

  Deno.test(`createMilvusSink finds no way to keep keys in a collection of Milvus ${version} that makes its own`, async () => {
    await using proxy = await FakeProxy.start(version);
    const open = (auto_id: "preserve" | "regenerate") =>
      createMilvusSink(milvusSinkSpec.parse({ type: "milvus", address: proxy.address, auto_id }));
    const [theirs, ours] = [open("regenerate"), open("preserve")];
    try {
      const wanted = { source: KEYED, target: { db: "default", name: "keyed" }, whose: ALL_MADE };
      await theirs.reconcile(wanted, undefined, "structure", () => "apply", signal);
      const [step] = await ours.plan(wanted, signal);
      assert.match(
        step!.impossible!,
        /field id gets its keys from the target \(autoID\), so the source's cannot be written/,
      );
    } finally {
      await Promise.all([theirs.close(), ours.close()]);
    }
  });
}

function shown(fieldsData: readonly Uint8Array[]): string {
  return JSON.stringify(fieldsData.map((one) => {
    const column = decodeFieldData(one, ROWS);
    return [column.name, columnToJson(column)];
  }));
}
