/**
 * Reading the same rows from storage V1 and V2: int64 key, varchar, JSON, 128-d float vector, as a base reads them (all columns,
 * then encoded for the target). The files are made here, Zstd level 3, and lie in memory: no server, no network.
 *
 *     deno run -A tests/bench/storage.ts [--rows 100000] [--rounds 5]
 */
import process from "node:process";
import { constants, zstdCompressSync } from "node:zlib";
import { ByteWriter, ParquetWriter } from "hyparquet-writer";
import { encodeColumn } from "../../pipeline/columns/mod.ts";
import type { FieldFiles, LogFile, Segment } from "../../pipeline/model/mod.ts";
import { DataType } from "../../pipeline/proto/gen/schema_pb.ts";
import { readSegment } from "../../sources/binlog/mod.ts";
import { createMemoryStore, type MemoryStore } from "../../stores/mod.ts";
import { segmentOf } from "../fakes/segment.ts";
import { envelopeOf } from "../sources/binlog/build.ts";
import { fileOf, schemaOf } from "../sources/binlog/sample.ts";
import { numberArgument } from "./arguments.ts";
import { printFigure } from "./table.ts";

const ROWS = numberArgument("rows", 100_000, 5_000);
const ROUNDS = numberArgument("rounds", 5, 2);
const DIM = 128;
/** What a row group of storage V2 holds in memory. */
const ROW_GROUP_BYTES = 1024 ** 2;

type Kind = "int64" | "utf8" | "bytes" | "vector";

interface Field {
  readonly id: bigint;
  readonly kind: Kind;
  /** Bytes of a value, about. */
  readonly width: number;
  readonly values: readonly unknown[];
}

const utf8 = new TextEncoder();
const rows = Array.from({ length: ROWS }, (_, i) => i);
let random = 1;
const vectors = rows.map(() =>
  new Uint8Array(
    Float32Array.from({ length: DIM }, () => {
      random = (random * 48271) % 2147483647;
      return random / 2147483647;
    }).buffer,
  )
);
const FIELDS: readonly Field[] = [
  { id: 0n, kind: "int64", width: 8, values: rows.map((i) => 460_000_000_000_000_000n + BigInt(i)) },
  { id: 1n, kind: "int64", width: 8, values: rows.map((i) => 463_000_000_000_000_000n + BigInt(i >> 10)) },
  { id: 100n, kind: "int64", width: 8, values: rows.map((i) => BigInt(i)) },
  { id: 101n, kind: "utf8", width: 24, values: rows.map((i) => `row number ${i}, ä`) },
  { id: 102n, kind: "bytes", width: 30, values: rows.map((i) => utf8.encode(`{"n": ${i}, "tag": "t${i % 100}"}`)) },
  { id: 103n, kind: "vector", width: DIM * 4, values: vectors },
];
const schema = schemaOf("bench", [
  { id: 100n, name: "id", type: DataType.Int64, primary: true },
  { id: 101n, name: "s", type: DataType.VarChar },
  { id: 102n, name: "$meta", type: DataType.JSON, dynamic: true },
  { id: 103n, name: "v", type: DataType.FloatVector, dim: DIM },
]);

/** One Parquet file of some fields, all rows in row groups of `groupRows`. */
function parquet(fields: readonly Field[], groupRows: number): Uint8Array {
  const element = ({ id, kind }: Field) => ({
    name: String(id),
    field_id: Number(id),
    repetition_type: "REQUIRED" as const,
    ...(kind === "int64"
      ? { type: "INT64" as const }
      : kind === "vector"
      ? { type: "FIXED_LEN_BYTE_ARRAY" as const, type_length: DIM * 4 }
      : { type: "BYTE_ARRAY" as const, ...(kind === "utf8" ? { converted_type: "UTF8" as const } : {}) }),
  });
  const bytes = new ByteWriter(1024 ** 2);
  const params = { [constants.ZSTD_c_compressionLevel]: 3 };
  const writer = new ParquetWriter({
    writer: bytes,
    schema: [{ name: "schema", num_children: fields.length }, ...fields.map(element)],
    codec: "ZSTD",
    compressors: { ZSTD: (input) => zstdCompressSync(input, { params }) },
  });
  for (let start = 0; start < ROWS; start += groupRows) {
    const columnData = fields.map(({ id, values }) => ({
      name: String(id),
      data: values.slice(start, start + groupRows) as bigint[],
      statistics: false,
    }));
    writer.write({ columnData, rowGroupSize: groupRows });
  }
  writer.finish();
  return bytes.getBytes();
}

async function made(
  store: MemoryStore,
  id: bigint,
  storageVersion: bigint,
  groups: readonly { readonly id: bigint; readonly fields: readonly Field[]; readonly bytes: Uint8Array }[],
): Promise<Segment> {
  const binlogs: FieldFiles[] = [];
  for (const group of groups) {
    const path = `insert_log/1/2/${id}/${group.id}/1`;
    await store.put(path, group.bytes);
    const childFields = storageVersion === 2n ? group.fields.map((field) => field.id) : [];
    binlogs.push({ fieldId: group.id, childFields, files: [fileOf(path, group.bytes.length, BigInt(ROWS))] });
  }
  return segmentOf({ id, collectionId: 1n, partitionId: 2n, storageVersion, rows: BigInt(ROWS), binlogs });
}

/** CPU seconds and bytes of values of one reading. */
async function read(store: MemoryStore, segment: Segment): Promise<{ cpu: number; bytes: number }> {
  const locate = (file: LogFile) => ({ store, key: file.path });
  const before = process.cpuUsage();
  let bytes = 0;
  let found = 0;
  for await (const batch of readSegment(segment, schema, "all", locate)) {
    for (const column of batch.columns) bytes += encodeColumn(column).length;
    found += batch.rows;
  }
  if (found !== ROWS) throw new Error(`${found} rows of ${ROWS}`);
  const { user, system } = process.cpuUsage(before);
  return { cpu: (user + system) / 1e6, bytes };
}

const store = createMemoryStore();
const v1 = await made(
  store,
  3n,
  0n,
  FIELDS.map((field) => ({
    id: field.id,
    fields: [field],
    bytes: envelopeOf(1, parquet([field], ROWS), { fieldId: field.id }),
  })),
);
const grouped = [[FIELDS[2]!, FIELDS[0]!, FIELDS[1]!], [FIELDS[3]!, FIELDS[4]!], [FIELDS[5]!]];
const v2 = await made(
  store,
  4n,
  2n,
  grouped.map((fields, i) => {
    const width = fields.reduce((sum, field) => sum + field.width, 0);
    return { id: i === 2 ? 103n : BigInt(i), fields, bytes: parquet(fields, Math.floor(ROW_GROUP_BYTES / width)) };
  }),
);
const named = [["V1", v1], ["V2", v2]] as const;
const measured = new Map(named.map(([name]) => [name, [] as { cpu: number; bytes: number }[]]));
// In turns, so that a busy machine is so for both; the first of each warms up.
for (let round = 0; round <= ROUNDS; round++) {
  for (const [name, segment] of named) {
    const one = await read(store, segment);
    if (round > 0) measured.get(name)!.push(one);
  }
}
const table = named.map(([name, segment]) => {
  const best = measured.get(name)!.reduce((least, one) => one.cpu < least.cpu ? one : least);
  const files = segment.binlogs.flatMap((group) => group.files).reduce((sum, { size }) => sum + size, 0n);
  return [
    name,
    `${files / 1_000_000n} MB`,
    `${(best.bytes / 1e6 / best.cpu).toFixed(0)} MB`,
    `${(best.cpu / ROWS * 1e6).toFixed(2)} s`,
  ];
});
printFigure({
  title: "Reading files of storage V1 and V2",
  command: `deno run -A tests/bench/storage.ts --rows ${ROWS} --rounds ${ROUNDS}`,
  head: ["storage", "files", "values a CPU second", "CPU a million rows"],
  rows: table,
  notes: [
    "files in memory, decoded and encoded for the target; the best of the rounds",
    `V2: three column groups, row groups of ${ROW_GROUP_BYTES / 1024 ** 2} MiB in memory`,
  ],
});
