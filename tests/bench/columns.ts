/**
 * CPU seconds per million rows of what a row passes through in this process: encoding a base row, reading keys, merging
 * messages, folding, finding dead rows. Rows: int64 key, 128-d float vector, varchar, JSON; about 610 bytes each.
 *
 *     deno run -A tests/bench/columns.ts
 */
import process from "node:process";
import { columnDigests, encodeColumn, keysOf, mergeFieldsData, selectRows } from "../../pipeline/columns/mod.ts";
import type { Column, ColumnData, DeleteEvent, InsertEvent } from "../../pipeline/model/mod.ts";
import { DataType } from "../../pipeline/proto/gen/schema_pb.ts";
import { DeadRows, foldEvents, keyConflict } from "../../pipeline/transforms/mod.ts";

const DIM = 128;
const BATCH = 2000;
const MESSAGES = 50;
const text = new TextEncoder();

function column(fieldId: bigint, name: string, type: DataType, data: ColumnData): Column {
  const dim = type === DataType.FloatVector ? DIM : 0;
  return { fieldId, name, type, elementType: DataType.None, dim, isDynamic: false, valid: undefined, data };
}

function batch(first: number, rows = BATCH): Column[] {
  const ids = BigInt64Array.from({ length: rows }, (_, i) => 455_000_000_000_000_000n + BigInt(first + i));
  const floats = Float32Array.from({ length: rows * DIM }, (_, i) => Math.sin(first + i));
  const names = Array.from({ length: rows }, (_, i) => text.encode(`item ${first + i} of the catalogue`));
  const json = Array.from(
    { length: rows },
    (_, i) => text.encode(`{"n":${first + i},"tags":["a","b"],"price":${i / 4}}`),
  );
  return [
    column(100n, "id", DataType.Int64, { kind: "int64", values: ids }),
    column(101n, "vec", DataType.FloatVector, { kind: "fixed", width: DIM * 4, bytes: new Uint8Array(floats.buffer) }),
    column(102n, "name", DataType.VarChar, { kind: "utf8", values: names }),
    column(103n, "meta", DataType.JSON, { kind: "bytes", values: json }),
  ];
}

const key = { fieldID: 100n, name: "id", dataType: DataType.Int64 };
const textKey = { fieldID: 102n, name: "name", dataType: DataType.VarChar };

const common = {
  generation: 1,
  pchannel: "p",
  vchannel: "v",
  bytes: 0,
  collectionId: 1n,
  partitionName: "_default",
  msgId: 0n,
} as const;

function insert(i: number, fieldsData: Uint8Array[], rows = BATCH, partitionId = 10n): InsertEvent {
  return { ...common, kind: "insert", ts: BigInt(i), offset: BigInt(i), partitionId, segmentId: 1n, rows, fieldsData };
}

function report(name: string, rows: number, work: () => void): void {
  work();
  const before = process.cpuUsage();
  const wallBefore = performance.now();
  let rounds = 0;
  do {
    work();
    rounds++;
  } while (performance.now() - wallBefore < 700);
  const cpu = process.cpuUsage(before);
  const micros = cpu.user + cpu.system;
  const wall = performance.now() - wallBefore;
  const perMillion = micros / (rows * rounds);
  console.log(
    `${name.padEnd(56)} ${perMillion.toFixed(3).padStart(8)} CPU s/M ${
      (rows * rounds / wall).toFixed(0).padStart(7)
    }k rows/s`,
  );
}

const batches = Array.from({ length: MESSAGES }, (_, i) => batch(i * BATCH));
const messages = batches.map((columns) => columns.map((item) => encodeColumn(item)));
const total = BATCH * MESSAGES;
const events = messages.map((fieldsData, i) => insert(i, fieldsData));
const keep = Uint32Array.from({ length: BATCH - 20 }, (_, i) => i + Math.floor(i / 99));

report("encodeColumn, all columns", total, () => {
  for (const columns of batches) for (const item of columns) encodeColumn(item);
});
report("encodeColumn, all columns, 1 % of the rows left out", total, () => {
  for (const columns of batches) for (const item of columns) encodeColumn(item, keep);
});
report("keysOf int64", total, () => {
  for (const fieldsData of messages) keysOf(fieldsData, key, BATCH);
});
report("keysOf varchar", total, () => {
  for (const fieldsData of messages) keysOf(fieldsData, textKey, BATCH);
});
report("mergeFieldsData, 4 messages of 2000 rows", total, () => {
  for (let i = 0; i + 4 <= MESSAGES; i += 4) {
    mergeFieldsData(messages.slice(i, i + 4).map((fieldsData) => ({ fieldsData, rows: BATCH })));
  }
});
report("selectRows, 1 % of the rows left out", total, () => {
  for (const fieldsData of messages) selectRows(fieldsData, BATCH, keep);
});
report("rowDigests, JSON by meaning", total, () => {
  for (const columns of batches) columnDigests(columns, BATCH);
});
report("rowDigests, JSON by bytes", total, () => {
  for (const columns of batches) columnDigests(columns, BATCH, { json: "bytes" });
});

const int64Target = { primaryKey: key, hasPartitionKey: false };
const textTarget = { primaryKey: textKey, hasPartitionKey: false };
report("foldEvents int64, 4 messages a batch, no key twice", total, () => {
  for (let i = 0; i + 4 <= MESSAGES; i += 4) foldEvents(events.slice(i, i + 4), int64Target);
});
report("foldEvents varchar, 4 messages a batch, no key twice", total, () => {
  for (let i = 0; i + 4 <= MESSAGES; i += 4) foldEvents(events.slice(i, i + 4), textTarget);
});
const upserts = events.flatMap((event): (InsertEvent | DeleteEvent)[] => [
  {
    ...common,
    kind: "delete",
    ts: event.ts,
    offset: event.offset,
    partitionId: 10n,
    keys: keysOf(event.fieldsData, key, BATCH),
  },
  event,
]);
report("foldEvents int64, upserts, 4 messages a batch", total, () => {
  for (let i = 0; i + 8 <= upserts.length; i += 8) foldEvents(upserts.slice(i, i + 8), int64Target);
});
const small = Array.from(
  { length: 2000 },
  (_, i) => insert(i, batch(i * 10, 10).map((item) => encodeColumn(item)), 10),
);
report("foldEvents int64, 800 messages of 10 rows a batch", 20_000, () => {
  for (let i = 0; i + 800 <= small.length; i += 800) foldEvents(small.slice(i, i + 800), int64Target);
});
const folded = [foldEvents(events.slice(0, 4), int64Target), foldEvents(events.slice(4, 8), int64Target)] as const;
report("keyConflict of two batches of 8000 int64 keys", 8000, () => {
  keyConflict(folded[0], folded[1]);
});

for (const kind of ["int64", "varchar"] as const) {
  const rows = 1_000_000;
  const perBatch = 8192;
  const shuffled = (i: number) => (i * 7_368_787) % (rows * 2);
  const keysAt = (from: number, count: number) =>
    kind === "int64"
      ? {
        kind,
        values: BigInt64Array.from({ length: count }, (_, i) => 455_000_000_000_000_000n + BigInt(shuffled(from + i))),
      }
      : { kind, values: Array.from({ length: count }, (_, i) => `key-${shuffled(from + i)}`) };
  const chunks = Array.from(
    { length: Math.ceil(rows / perBatch) },
    (_, i) => keysAt(i * perBatch, Math.min(perBatch, rows - i * perBatch)),
  );
  const stamps = chunks.map((chunk, i) => new BigUint64Array(chunk.values.length).fill(BigInt(i + 1)));
  const deletes = {
    partitionId: -1n,
    keys: keysAt(rows - 100_000, 200_000),
    timestamps: new BigUint64Array(200_000).fill(60n),
  };
  let bytes = 0;
  report(`DeadRows ${kind}, 1 M rows, 200 k deletes`, rows, () => {
    const finder = new DeadRows({ cutTs: 10_000n, partitions: "scoped" });
    finder.addDeletes(deletes);
    chunks.forEach((keys, i) => finder.addRows(7n, 10n, i * perBatch, keys, stamps[i]!));
    finder.finish();
    bytes = finder.bytes;
  });
  console.log(`${"".padEnd(4)}tables: ${(bytes / (rows + 200_000)).toFixed(1)} bytes a row or delete`);
}
