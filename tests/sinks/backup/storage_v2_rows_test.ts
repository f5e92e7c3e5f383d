/** Rows encoded as storage V2 and read again: of recorded servers, and made up of every type. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { columnToJson, vectorsRow } from "../../../pipeline/columns/mod.ts";
import type { Column, ColumnBatch, FieldFiles, Segment } from "../../../pipeline/model/mod.ts";
import {
  type CollectionSchema,
  DataType,
  FieldSchemaSchema,
  StructArrayFieldSchemaSchema,
} from "../../../pipeline/proto/gen/schema_pb.ts";
import { create } from "@bufbuild/protobuf";
import { liveSegments } from "../../../pipeline/transforms/mod.ts";
import { columnGroups, type V2Group } from "../../../sinks/backup/storage_v2/column_groups.ts";
import { encodeRows, type FileSet } from "../../../sinks/backup/storage_v2/encode.ts";
import { createBinlogSource, readSegment, type SegmentReadOptions } from "../../../sources/binlog/mod.ts";
import { decodeSnapshot } from "../../../sources/meta/mod.ts";
import { createMemoryStore, openParquet } from "../../../stores/mod.ts";
import { segmentOf } from "../../fakes/segment.ts";
import { schemaOf } from "../../sources/binlog/sample.ts";
import { readRecording } from "../../stack/recorded/recording.ts";

const signal = new AbortController().signal;

/** The sets as a segment in a store, and its rows. */
async function* readBack(
  groups: readonly V2Group[],
  sets: readonly FileSet[],
  schema: CollectionSchema,
  options: SegmentReadOptions = {},
): AsyncIterable<ColumnBatch> {
  const store = createMemoryStore();
  const binlogs: FieldFiles[] = [];
  for (const [i, { id, columns }] of groups.entries()) {
    const files = [];
    for (const [set, { files: bytes, rows, tsFrom, tsTo }] of sets.entries()) {
      const path = `insert_log/1/2/3/${id}/${set + 1}`;
      await store.put(path, bytes[i]!);
      files.push({ path, logId: BigInt(set + 1), entries: BigInt(rows), tsFrom, tsTo, size: BigInt(bytes[i]!.length) });
    }
    binlogs.push({ fieldId: id, childFields: columns.map(({ fieldId }) => fieldId), files });
  }
  const rows = sets.reduce((sum, { rows }) => sum + BigInt(rows), 0n);
  const segment: Segment = segmentOf({ id: 3n, collectionId: 1n, partitionId: 2n, storageVersion: 2n, rows, binlogs });
  yield* readSegment(segment, schema, "all", ({ path }) => ({ store, key: path }), options, signal);
}

interface Cells {
  readonly rows: Record<string, unknown>[];
  readonly timestamps: bigint[];
}

async function cellsOf(batches: AsyncIterable<ColumnBatch>): Promise<Cells> {
  const rows: Record<string, unknown>[] = [];
  const timestamps: bigint[] = [];
  for await (const batch of batches) {
    const columns = batch.columns.map((column): [Column, readonly unknown[]] => [column, columnToJson(column)]);
    for (let row = 0; row < batch.rows; row++) {
      rows.push(Object.fromEntries(columns.map(([{ name }, values]) => [name, values[row]])));
      timestamps.push(batch.timestamps![row]!);
    }
  }
  return { rows, timestamps };
}

const idsOf = (groups: readonly V2Group[]) => groups.flatMap(({ columns }) => columns.map(({ fieldId }) => fieldId));

for (const name of ["3.0.0-kafka-v2", "2.6.19-kafka-v2"]) {
  Deno.test(`encodeRows keeps every row of the segments of the recording ${name}`, async () => {
    const { objects, revisions } = readRecording(name);
    const keys = new Map<string, Uint8Array>();
    for (const { changes } of revisions) {
      for (const { key, value } of changes) value === undefined ? keys.delete(key) : keys.set(key, value);
    }
    const records = [...keys].map(([key, value]) => ({ key, value }));
    const snapshot = decodeSnapshot(records, { metaRoot: "by-dev/meta", kvRoot: "by-dev/kv" });
    const store = createMemoryStore();
    for (const [key, bytes] of objects) await store.put(key, bytes);
    const binlogs = createBinlogSource({ store, root: "files" });
    let compared = 0;
    for (const collection of snapshot.catalog.collections) {
      const { schema } = collection;
      const groups = columnGroups(schema);
      for (const segment of liveSegments(snapshot, collection).filter((one) => one.class === "rows")) {
        const rows = binlogs.rows(segment, schema, idsOf(groups), signal);
        const sets = await Array.fromAsync(encodeRows(groups, rows, { createdBy: "test", setBytes: 1 }));
        const wanted = await cellsOf(binlogs.rows(segment, schema, "all", signal));
        assert.deepEqual(await cellsOf(readBack(groups, sets, schema)), wanted, `segment ${segment.id}`);
        compared += wanted.rows.length;
      }
    }
    assert.ok(compared >= 1800, `${compared} rows compared`);
  });
}

const DIM = 8;
const VECTORS = [
  DataType.FloatVector,
  DataType.Float16Vector,
  DataType.BFloat16Vector,
  DataType.Int8Vector,
  DataType.BinaryVector,
] as const;
const WIDTHS = new Map<DataType, number>([
  [DataType.FloatVector, 32],
  [DataType.Float16Vector, 16],
  [DataType.BFloat16Vector, 16],
  [DataType.Int8Vector, 8],
  [DataType.BinaryVector, 1],
]);
const SCALARS = [
  DataType.Bool,
  DataType.Int8,
  DataType.Int16,
  DataType.Int32,
  DataType.Int64,
  DataType.Timestamptz,
  DataType.Float,
  DataType.Double,
  DataType.VarChar,
  DataType.Text,
  DataType.JSON,
  DataType.Array,
  DataType.Geometry,
  DataType.SparseFloatVector,
] as const;

/** Every type twice, nullable the second time; vectors of vectors as fields of struct arrays. */
const everything: CollectionSchema = {
  ...schemaOf("everything", [
    { id: 100n, name: "pk", type: DataType.Int64, primary: true },
    ...[...SCALARS, ...VECTORS].flatMap((type, i) =>
      [false, true].map((nullable, j) => ({
        id: 101n + BigInt(2 * i + j),
        name: `${DataType[type]}${nullable ? "?" : ""}`,
        type,
        nullable,
        ...(type === DataType.Array ? { elementType: DataType.Int64 } : {}),
        ...(WIDTHS.has(type) ? { dim: DIM } : {}),
      }))
    ),
  ]),
  structArrayFields: [create(StructArrayFieldSchemaSchema, {
    fieldID: 200n,
    name: "st",
    fields: VECTORS.flatMap((elementType, i) =>
      [false, true].map((nullable, j) =>
        create(FieldSchemaSchema, {
          fieldID: 201n + BigInt(2 * i + j),
          name: `st[${DataType[elementType]}${nullable ? "?" : ""}]`,
          dataType: DataType.ArrayOfVector,
          elementType,
          nullable,
          typeParams: [{ key: "dim", value: String(DIM) }],
        })
      )
    ),
  })],
};

/** The rows of {@link everything} out of random numbers; long ones rarely, so that pages and row groups are crossed. */
function batchOf(rows: number, firstRow: number, next: () => number): ColumnBatch {
  const bytes = (length: number) => Uint8Array.from({ length }, () => next() & 255);
  const blob = () => bytes(next() % 9 === 0 ? 0 : next() % 97 === 0 ? 5000 : next() % 20);
  const fill = <T>(value: () => T): T[] => Array.from({ length: rows }, value);
  const big = () => BigInt.asIntN(64, (BigInt(next()) << 40n) ^ (BigInt(next()) << 20n) ^ BigInt(next()));
  const fields = [
    ...everything.fields.filter(({ fieldID }) => fieldID > 1n),
    ...everything.structArrayFields[0]!.fields,
  ];
  const columns = fields.map((field): Column => {
    const { fieldID, name, dataType, elementType, nullable } = field;
    const valid = nullable ? Uint8Array.from({ length: rows }, () => next() % 3 === 0 ? 0 : 1) : undefined;
    const width = WIDTHS.get(dataType);
    const head = { fieldId: fieldID, name, type: dataType, elementType, isDynamic: false, valid };
    const dim = width !== undefined || dataType === DataType.ArrayOfVector ? DIM : 0;
    const data = (): Column["data"] => {
      switch (dataType) {
        case DataType.Bool:
          return { kind: "bool", values: Uint8Array.from({ length: rows }, () => next() & 1) };
        case DataType.Int8:
          return { kind: "int32", values: Int32Array.from({ length: rows }, () => (next() << 24) >> 24) };
        case DataType.Int16:
          return { kind: "int32", values: Int32Array.from({ length: rows }, () => (next() << 16) >> 16) };
        case DataType.Int32:
          return { kind: "int32", values: Int32Array.from({ length: rows }, () => (next() << 12) ^ next()) };
        case DataType.Int64:
        case DataType.Timestamptz:
          return { kind: "int64", values: BigInt64Array.from(fill(big)) };
        case DataType.Float:
          return { kind: "float", values: Float32Array.from({ length: rows }, () => next() / 7 - 1e5) };
        case DataType.Double:
          return { kind: "double", values: Float64Array.from({ length: rows }, () => next() / 7 - 1e5) };
        case DataType.VarChar:
        case DataType.Text:
          return { kind: "utf8", values: fill(() => new TextEncoder().encode("ä€😀x".repeat(next() % 5))) };
        case DataType.ArrayOfVector: {
          const one = WIDTHS.get(elementType)!;
          return { kind: "bytes", values: fill(() => vectorsRow(elementType, DIM, bytes(one * (next() % 4)))) };
        }
        case DataType.SparseFloatVector:
          return { kind: "bytes", values: fill(() => bytes(8 * (next() % 4))) };
        default:
          return width === undefined
            ? { kind: "bytes", values: fill(blob) }
            : { kind: "fixed", width, bytes: bytes(rows * width) };
      }
    };
    return { ...head, dim, data: data() };
  });
  const rowIds: Column = {
    ...{ fieldId: 0n, name: "RowID", type: DataType.Int64, elementType: 0, dim: 0, isDynamic: false, valid: undefined },
    data: { kind: "int64", values: BigInt64Array.from(fill(big)) },
  };
  return { firstRow, rows, columns: [rowIds, ...columns], timestamps: BigUint64Array.from(fill(() => BigInt(next()))) };
}

/** A cell as it is, byte for byte. */
function exact({ data, valid }: Column, row: number): unknown {
  if (valid?.[row] === 0) return null;
  return data.kind === "fixed" ? data.bytes.slice(row * data.width, (row + 1) * data.width) : data.values[row];
}

function exactRows(batches: readonly ColumnBatch[]): Map<string, unknown[]> {
  const found = new Map<string, unknown[]>();
  for (const { columns, rows, timestamps } of batches) {
    for (const column of columns) {
      const cells = found.get(column.name) ?? [];
      found.set(column.name, cells);
      for (let row = 0; row < rows; row++) cells.push(exact(column, row));
    }
    found.set("Timestamp", [...found.get("Timestamp") ?? [], ...timestamps!]);
  }
  return found;
}

Deno.test("encodeRows keeps every value of every type, null and not, whatever the batches and sets", async () => {
  const groups = columnGroups(everything);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 150 }), { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 2 ** 31 - 2 }),
      fc.constantFrom(1, 200_000, undefined),
      async (sizes, seed, setBytes) => {
        let state = seed;
        const next = () => state = (state * 48271) % 2147483647;
        let first = 0;
        const batches = sizes.map((rows) => batchOf(rows, (first += rows) - rows, next));
        const stream = async function* () {
          yield* batches;
        };
        const options = { createdBy: "test", ...(setBytes === undefined ? {} : { setBytes }) };
        const sets = await Array.fromAsync(encodeRows(groups, stream(), options));
        if (setBytes === 1) assert.equal(sets.length, sizes.length);
        const wanted = exactRows(batches);
        wanted.delete("RowID");
        assert.deepEqual(exactRows(await Array.fromAsync(readBack(groups, sets, everything))), wanted);
        const stamps = batches.flatMap(({ timestamps }) => [...timestamps!]).sort((a, b) => a < b ? -1 : 1);
        assert.equal(sets.map(({ tsFrom }) => tsFrom).sort((a, b) => a < b ? -1 : 1)[0], stamps[0]);
        assert.equal(sets.map(({ tsTo }) => tsTo).sort((a, b) => a < b ? 1 : -1)[0], stamps.at(-1));
      },
    ),
    { numRuns: 8 },
  );
});

Deno.test("encodeRows holds one set at a time: files end with the set's bytes, row groups with a mebibyte", async () => {
  const schema = schemaOf("wide", [
    { id: 100n, name: "id", type: DataType.Int64, primary: true },
    { id: 101n, name: "v", type: DataType.FloatVector, dim: 256 },
  ]);
  const groups = columnGroups(schema);
  let asked = 0;
  const batch = (firstRow: number): ColumnBatch => {
    const head = { elementType: 0, isDynamic: false, valid: undefined };
    const ids = BigInt64Array.from({ length: 1000 }, (_, i) => BigInt(firstRow + i));
    const bytes = new Uint8Array(1000 * 1024).map((_, i) => (i * 7 + firstRow) & 255);
    return {
      firstRow,
      rows: 1000,
      columns: [
        // As a source leaves them out: the rows are numbered.
        {
          ...head,
          fieldId: 0n,
          name: "RowID",
          type: DataType.Int64,
          dim: 0,
          valid: new Uint8Array(1000),
          data: { kind: "int64", values: ids },
        },
        { ...head, fieldId: 100n, name: "id", type: DataType.Int64, dim: 0, data: { kind: "int64", values: ids } },
        {
          ...head,
          fieldId: 101n,
          name: "v",
          type: DataType.FloatVector,
          dim: 256,
          data: { kind: "fixed", width: 1024, bytes },
        },
      ],
      timestamps: new BigUint64Array(ids.buffer),
    };
  };
  const batches = async function* () {
    for (let i = 0; i < 10; i++) {
      asked++;
      yield batch(i * 1000);
    }
  };
  const sets: FileSet[] = [];
  for await (const set of encodeRows(groups, batches(), { createdBy: "test", setBytes: 4_000_000 })) {
    sets.push(set);
    // Nothing is read ahead of a set.
    assert.equal(asked, Math.min(10, 4 * sets.length));
  }
  assert.deepEqual(sets.map(({ rows, tsFrom, tsTo }) => [rows, tsFrom, tsTo]), [
    [4000, 0n, 3999n],
    [4000, 4000n, 7999n],
    [
      2000,
      8000n,
      9999n,
    ],
  ]);
  const [system, vectors] = sets[1]!.files;
  assert.deepEqual((await openParquet(vectors!, "vectors")).groups.map(({ rows }) => rows), [1024, 1024, 1024, 928]);
  assert.deepEqual((await openParquet(system!, "system")).groups.map(({ rows }) => rows), [4000]);
  const found = await Array.fromAsync(readBack(groups, sets, schema));
  const cells = exactRows(found);
  assert.deepEqual(cells.get("id")!.length, 10_000);
  assert.deepEqual(cells.get("v")![4321], exact(batch(4000).columns[2]!, 321));
});
