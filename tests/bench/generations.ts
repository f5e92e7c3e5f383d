/**
 * What a row of the log costs this process up to the request that carries it, of generation 1 and 2: the same rows in
 * messages of each, as a broker sends them (a Zstd batch a message, in pieces of 64 KiB), taken apart, ordered by ticks, folded
 * and put into requests. No server, no network: sending costs the same for both.
 *
 *     deno task bench generations [--rows 200000] [--rounds 8] [--small]
 */
import process from "node:process";
import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { encodeColumn } from "../../pipeline/columns/mod.ts";
import type { Column, ColumnData, DeleteEvent, InsertEvent, LogFetch, LogSource } from "../../pipeline/model/mod.ts";
import { MsgType } from "../../pipeline/proto/gen/common_pb.ts";
import { InsertMessageHeaderSchema, MessageType } from "../../pipeline/proto/gen/messages_pb.ts";
import { InsertDataVersion, InsertRequestSchema, TimeTickMsgSchema } from "../../pipeline/proto/gen/msg_pb.ts";
import { DataType } from "../../pipeline/proto/gen/schema_pb.ts";
import { foldEvents } from "../../pipeline/transforms/mod.ts";
import { spliceMutation } from "../../sinks/milvus/splice.ts";
import { Expansion } from "../../sources/log/kafka/expansion.ts";
import { assertWhole, readBatches, recordsOf } from "../../sources/log/kafka/record_batch.ts";
import { followPchannel } from "../../sources/log/mod.ts";
import { at, batchOf, inPieces, otherCodec, type Written } from "../sources/log/batches.ts";
import { numberArgument } from "./arguments.ts";
import { fixed, printFigure } from "./table.ts";

const ROWS = numberArgument("rows", 200_000, 8_000);
const ROUNDS = numberArgument("rounds", 8, 2);
const DIM = 128;
/** Rows of a message, as a client's insert of about a megabyte has them. */
const MESSAGE_ROWS = 2000;
/** Messages of one write. */
const FOLDED = 4;
const PCHANNEL = "by-dev-rootcoord-dml_0";
const VCHANNEL = `${PCHANNEL}_77v0`;
const KEY = { fieldID: 100n, name: "id", dataType: DataType.Int64 };
const utf8 = new TextEncoder();

function bytes<Desc extends DescMessage>(schema: Desc, init: MessageInitShape<Desc>): Uint8Array {
  return toBinary(schema, create(schema, init));
}

let random = 1;
function columnsOf(first: number): Uint8Array[] {
  const column = (fieldId: bigint, name: string, type: DataType, data: ColumnData): Column => {
    const dim = type === DataType.FloatVector ? DIM : 0;
    return { fieldId, name, type, elementType: DataType.None, dim, isDynamic: false, valid: undefined, data };
  };
  const texts = (make: (row: number) => string) =>
    Array.from({ length: MESSAGE_ROWS }, (_, i) => utf8.encode(make(first + i)));
  const floats = Float32Array.from({ length: MESSAGE_ROWS * DIM }, () => {
    random = (random * 48271) % 2147483647;
    return random / 2147483647;
  });
  const ids = BigInt64Array.from({ length: MESSAGE_ROWS }, (_, i) => BigInt(first + i));
  const tag = texts((row) => `item ${row}`);
  const doc = texts((row) => `{"n": ${row}, "tag": "t${row % 100}"}`);
  const vec = new Uint8Array(floats.buffer);
  return [
    column(100n, "id", DataType.Int64, { kind: "int64", values: ids }),
    column(101n, "tag", DataType.VarChar, { kind: "utf8", values: tag }),
    column(102n, "doc", DataType.JSON, { kind: "bytes", values: doc }),
    column(103n, "vec", DataType.FloatVector, { kind: "fixed", width: DIM * 4, bytes: vec }),
  ].map((item) => encodeColumn(item));
}

/** A message of generation 2 stands in its headers, and its body's own time is provisional. */
function written(generation: 1 | 2, type: MessageType, ts: bigint, value: Uint8Array): Written {
  if (generation === 1) return { value };
  const header = type === MessageType.Insert ? bytes(InsertMessageHeaderSchema, { collectionId: 77n }).toBase64() : "";
  const headers = [["_v", "1"], ["_t", String(type)], ["_tt", ts.toString(36)], ["_h", header]];
  if (type === MessageType.Insert) headers.push(["_vc", VCHANNEL]);
  return { value, headers: headers.map(([name, text]) => [name!, utf8.encode(text)] as const) };
}

/** Batches of all rows, a tick behind each message. */
function logOf(generation: 1 | 2): Uint8Array[] {
  const log: Uint8Array[] = [];
  random = 1;
  for (let first = 0; first < ROWS; first += MESSAGE_ROWS) {
    const ts = BigInt(first + 1) << 18n;
    const insert = bytes(InsertRequestSchema, {
      base: { msgType: MsgType.Insert, timestamp: ts, msgID: ts },
      shardName: VCHANNEL,
      collectionID: 77n,
      partitionID: 78n,
      partitionName: "_default",
      timestamps: new Array(MESSAGE_ROWS).fill(ts),
      rowIDs: Array.from({ length: MESSAGE_ROWS }, (_, i) => BigInt(first + i)),
      numRows: BigInt(MESSAGE_ROWS),
      version: InsertDataVersion.ColumnBased,
    });
    // Field 13 of the request: columns that are serialised already.
    const parts = columnsOf(first).flatMap((column) => [delimited(13, column.length), column]);
    const tick = bytes(TimeTickMsgSchema, { base: { msgType: MsgType.TimeTick, timestamp: ts } });
    const records = [
      written(generation, MessageType.Insert, ts, new Uint8Array(Buffer.concat([insert, ...parts]))),
      written(generation, MessageType.TimeTick, ts, generation === 1 ? tick : new Uint8Array(0)),
    ];
    for (const record of records) log.push(at(batchOf([record], "zstd"), BigInt(log.length)));
  }
  return log;
}

function delimited(field: number, length: number): Uint8Array {
  const head = [(field << 3) | 2];
  for (let rest = length;; rest >>>= 7) {
    head.push(rest > 127 ? (rest & 127) | 128 : rest);
    if (rest < 128) return Uint8Array.from(head);
  }
}

/** As the Kafka source makes pages of the answers to its fetches. */
async function* pages(log: readonly Uint8Array[]): AsyncGenerator<LogFetch> {
  const expansion = new Expansion();
  const highWatermark = BigInt(log.length);
  for (const [i, batch] of log.entries()) {
    const records = readBatches(inPieces(batch, 64 << 10)).flatMap((one) => {
      assertWhole(one, PCHANNEL);
      return recordsOf(one, PCHANNEL, otherCodec, expansion);
    });
    yield { records, highWatermark, next: BigInt(i + 1) };
  }
}

async function consume(log: readonly Uint8Array[]): Promise<void> {
  const source = { queue: "kafka", tail: () => pages(log) } as unknown as LogSource;
  const options = { pchannel: PCHANNEL, from: { offset: 0n, tick: 0n }, topicId: undefined };
  const target = { primaryKey: KEY, hasPartitionKey: false };
  let events: (InsertEvent | DeleteEvent)[] = [];
  let rows = 0;
  const write = () => {
    for (const { rows: count, fieldsData } of foldEvents(events, target).writes) {
      spliceMutation({
        target: { db: "default", name: "items" },
        partition: "_default",
        rows: count,
        columns: fieldsData,
      });
      rows += count;
    }
    events = [];
  };
  for await (const group of followPchannel(source, options, new AbortController().signal)) {
    for (const event of group.events) if (event.kind === "insert" || event.kind === "delete") events.push(event);
    if (events.length >= FOLDED) write();
  }
  write();
  if (rows !== ROWS) throw new Error(`${rows} rows of ${ROWS}`);
}

if (import.meta.main) {
  if (ROWS % MESSAGE_ROWS !== 0) throw new Error(`--rows must be a multiple of ${MESSAGE_ROWS}`);
  const logs = ([1, 2] as const).map((generation) => ({ generation, log: logOf(generation), best: Infinity }));
  // In turns, so that a busy machine is so for both; the first of each warms up.
  for (let round = 0; round <= ROUNDS; round++) {
    for (const one of logs) {
      const before = process.cpuUsage();
      await consume(one.log);
      const { user, system } = process.cpuUsage(before);
      if (round > 0) one.best = Math.min(one.best, (user + system) / ROWS);
    }
  }
  printFigure({
    title: "From the log to requests, generation 1 and 2",
    command: "deno task bench generations",
    head: ["generation", "CPU s per million rows"],
    rows: logs.map(({ generation, best }) => [String(generation), fixed(best)]),
    notes: [
      `${ROWS} rows of int64 key, text, JSON and a ${DIM}-d float vector, ${MESSAGE_ROWS} a message; the best of ${ROUNDS} rounds`,
    ],
  });
}
