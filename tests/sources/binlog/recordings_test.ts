/**
 * The files of recorded servers against the rows that the recordings know to be true: at a moment, all rows that no record
 * behind their channel's checkpoint touches, and no others.
 */
import assert from "node:assert/strict";
import { columnToJson, keysOfColumn } from "../../../pipeline/columns/mod.ts";
import type { Json } from "../../../pipeline/json.ts";
import {
  type Collection,
  type Column,
  hybridFromMs,
  type LogRecord,
  partitionKey,
  primaryKey,
  type Snapshot,
} from "../../../pipeline/model/mod.ts";
import { completeColumns, DeadRows, liveSegments } from "../../../pipeline/transforms/mod.ts";
import { createBinlogSource } from "../../../sources/binlog/mod.ts";
import { LogInspector } from "../../../sources/log/inspect/inspector.ts";
import { decodeSnapshot } from "../../../sources/meta/mod.ts";
import { createMemoryStore, type MemoryStore } from "../../../stores/mod.ts";
import { type Moment, readRecording, type Recording, type TrueRows } from "../../stack/recorded/recording.ts";
import { differences, type HeldRow } from "../../stack/recorded/truth.ts";

const signal = new AbortController().signal;

/** How many rows are compared over all moments: the least, so that a test that compares nothing fails. */
const RECORDINGS: Readonly<Record<string, number>> = {
  "2.6.19-kafka-v1": 3000,
  "2.6.19-kafka-v2": 3000,
  "2.6.19-woodpecker-v1": 1300,
  "3.0.0-kafka-v2": 3000,
  "2.5.27-kafka-random": 500,
};

/**
 * Columns that the living files do not have: the recorders' stand-in for the server's own Parquet writer left the vectors of
 * struct arrays empty when it rewrote a segment. What it wrote first has them, see below.
 */
const EMPTIED = { recordings: ["2.6.19-kafka-v2", "3.0.0-kafka-v2"], column: "items[emb]" };

/** Collections that were written to behind their last flush: without a log it is not known which of their rows are in files. */
const UNFLUSHED = ["types", "late"];

function snapshotAt(recording: Recording, moment: Moment): Snapshot {
  const keys = new Map<string, Uint8Array>();
  for (const { revision, changes } of recording.revisions) {
    if (revision > moment.revision) break;
    for (const { key, value } of changes) value === undefined ? keys.delete(key) : keys.set(key, value);
  }
  const records = [...keys].map(([key, value]) => ({ key, value }));
  return decodeSnapshot(records, { metaRoot: "by-dev/meta", kvRoot: "by-dev/kv" });
}

/** Writes of the log: of which collection, on which channel, when, and what keys by which name. */
interface Write {
  readonly collectionId: string;
  readonly vchannel: string;
  readonly ts: bigint;
  readonly rows: readonly Readonly<Record<string, Json>>[];
  readonly keys: readonly string[];
}

function writesOf(recording: Recording): Write[] {
  const inspector = new LogInspector();
  for (const { topic, offset, headers, value } of recording.records) {
    inspector.push({ topic, offset: BigInt(offset), timestampMs: 0n, headers, value } as LogRecord);
  }
  return [...inspector.lines(true)].filter(({ event }) => event === "insert" || event === "delete").map((line) => ({
    collectionId: line.collection_id as string,
    vchannel: line.channel as string,
    ts: BigInt(line.ts as string),
    rows: (line.rows ?? []) as Record<string, Json>[],
    keys: (line.pks ?? []) as string[],
  }));
}

/** Keys that a record between the checkpoint of its channel and the moment writes or deletes. */
function touchedKeys(
  writes: readonly Write[],
  snapshot: Snapshot,
  moment: Moment,
  { id, schema }: Collection,
): Set<string> {
  const key = primaryKey(schema)!.name;
  const end = hybridFromMs(moment.ms + 1000);
  const behind = writes.filter(({ collectionId, vchannel, ts }) =>
    collectionId === id.toString() && ts <= end && ts > (snapshot.checkpoints.get(vchannel)?.ts ?? 0n)
  );
  return new Set(behind.flatMap(({ rows, keys }) => [...rows.map((row) => String(row[key])), ...keys]));
}

/** Partition -> key -> row, as the files have them up to the checkpoints. */
async function rowsIn(
  store: MemoryStore,
  snapshot: Snapshot,
  collection: Collection,
): Promise<Map<string, Map<bigint | string, HeldRow>>> {
  const binlogs = createBinlogSource({ store, root: "files", reading: { batchRows: 50 } });
  const { schema } = collection;
  const key = primaryKey(schema)!;
  const hashed = partitionKey(schema) !== undefined;
  const all = snapshot.segments.filter(({ collectionId }) => collectionId === collection.id);
  const report = await binlogs.verify(collection.id, all, signal);
  assert.deepEqual(report.findings.filter(({ kind }) => kind !== "unnamed_delta" && kind !== "dirty_insert"), []);
  const partitions = new Map<string, Map<bigint | string, HeldRow>>();
  for (const vchannel of collection.vchannels) {
    const cutTs = snapshot.checkpoints.get(vchannel)?.ts ?? 0n;
    const segments = liveSegments(snapshot, collection).filter((segment) => segment.vchannel === vchannel);
    const finder = new DeadRows({ cutTs, deletesUpTo: cutTs, partitions: hashed ? "any" : "scoped" });
    for (const file of report.deltaFiles) {
      for await (const mark of binlogs.deletes(file, signal)) finder.addDeletes(mark);
    }
    for (const segment of segments) {
      for await (const batch of binlogs.rows(segment, schema, [1n, key.fieldID], signal)) {
        const keys = keysOfColumn(batch.columns[0]!);
        finder.addRows(segment.id, segment.partitionId, batch.firstRow, keys, batch.timestamps!);
      }
    }
    const dead = finder.finish();
    for (const segment of segments) {
      const gone = new Set(dead.get(segment.id)?.dead);
      const name = hashed ? "" : collection.partitions.find(({ id }) => id === segment.partitionId)!.name;
      const rows = partitions.get(name) ?? new Map<bigint | string, HeldRow>();
      partitions.set(name, rows);
      for await (const batch of binlogs.rows(segment, schema, "all", signal)) {
        const columns = completeColumns(schema, batch, segment);
        const cells = columns.map((column): [Column, Json[]] => [column, columnToJson(column)]);
        const keys = keysOfColumn(columns.find(({ fieldId }) => fieldId === key.fieldID)!);
        for (let row = 0; row < batch.rows; row++) {
          if (gone.has(batch.firstRow + row)) continue;
          rows.set(keys.values[row]!, Object.fromEntries(cells.map(([{ name }, values]) => [name, values[row]!])));
        }
      }
    }
  }
  return partitions;
}

/** Without the rows of the given keys. */
function without<T>(partitions: ReadonlyMap<string, ReadonlyMap<T, HeldRow>>, keys: ReadonlySet<string>) {
  return new Map(
    [...partitions].map(([name, rows]) => [name, new Map([...rows].filter(([key]) => !keys.has(String(key))))]),
  );
}

function untouched(truth: TrueRows, keys: ReadonlySet<string>): TrueRows {
  const partitions = Object.entries(truth.partitions).map(([name, rows]) => [
    name,
    Object.fromEntries(Object.entries(rows).filter(([key]) => !keys.has(key))),
  ]);
  return { ...truth, partitions: Object.fromEntries(partitions) };
}

for (const [name, least] of Object.entries(RECORDINGS)) {
  Deno.test(`readSegment gives the true rows of the recording ${name} at its moments`, async () => {
    const recording = readRecording(name);
    const store = createMemoryStore();
    for (const [key, bytes] of recording.objects) await store.put(key, bytes);
    const writes = writesOf(recording);
    let compared = 0;
    const last = recording.moments.at(-1)!;
    const some = recording.moments.filter(({ label }) => label === "after-types-flush" || label === "after-evolve");
    for (const moment of writes.length === 0 ? [last] : [...some, last]) {
      const snapshot = snapshotAt(recording, moment);
      for (const truth of moment.rows) {
        if (writes.length === 0 && UNFLUSHED.includes(truth.collection)) continue;
        const collection = snapshot.catalog.collections.find((one) =>
          one.dbName === truth.db && one.name === truth.collection
        )!;
        const touched = touchedKeys(writes, snapshot, moment, collection);
        const partitions = without(await rowsIn(store, snapshot, collection), touched);
        const wanted = untouched(truth, touched);
        const found = differences(wanted, { schema: collection.schema, partitions }).filter((line) =>
          !EMPTIED.recordings.includes(name) || !line.includes(` ${EMPTIED.column}: `)
        );
        assert.deepEqual(found, [], `${name} at ${moment.label}`);
        for (const rows of Object.values(wanted.partitions)) compared += Object.keys(rows).length;
      }
    }
    assert.ok(compared >= least, `${compared} rows compared`);
  });
}

for (const name of EMPTIED.recordings) {
  Deno.test(`readSegment reads the vectors of struct arrays that the flush of ${name} wrote`, async () => {
    const recording = readRecording(name);
    const moment = recording.moments.at(-1)!;
    const snapshot = snapshotAt(recording, moment);
    const collection = snapshot.catalog.collections.find((one) => one.name === "structs")!;
    const store = createMemoryStore();
    for (const [key, bytes] of recording.objects) await store.put(key, bytes);
    const binlogs = createBinlogSource({ store, root: "files" });
    const truth = moment.rows.find((rows) => rows.collection === "structs")!;
    const rows = new Map<bigint | string, HeldRow>();
    const flushed = snapshot.segments.filter(({ collectionId, compactionFrom, binlogs }) =>
      collectionId === collection.id && compactionFrom.length === 0 && binlogs.length > 0
    );
    for (const segment of flushed) {
      for await (const batch of binlogs.rows(segment, collection.schema, "all", signal)) {
        const cells = batch.columns.map((column): [Column, Json[]] => [column, columnToJson(column)]);
        const keys = keysOfColumn(batch.columns.find(({ name }) => name === truth.primaryKey)!);
        keys.values.forEach((key, i) => {
          rows.set(key, Object.fromEntries(cells.map(([{ name }, values]) => [name, values[i]!])));
        });
      }
    }
    // What was deleted later is in these files.
    const known = new Map([...rows].filter(([key]) => String(key) in truth.partitions._default!));
    const partitions = new Map([["_default", known]]);
    assert.deepEqual(differences(truth, { schema: collection.schema, partitions }), []);
    assert.ok(known.size >= 40);
  });
}
