/**
 * A file of the log archive: Parquet, one row per record in the order of the log, Zstd, with minimum and maximum of `offset` and `ts`
 * per row group, so that a reader finds a moment by the footer. What makes a file a link of a chain stands in its footer's
 * key/value metadata: nothing but the files themselves says what the archive holds, so nothing can disagree with them.
 */
import { formatJson } from "../../pipeline/json.ts";
import { TidemarkError } from "../../pipeline/errors.ts";
import type { ArchivedRecord, HybridTs, LogRecord, Position, Queue, ResumePoint } from "../../pipeline/model/mod.ts";
import { isQueue, positionsOf, restorePosition, storePosition } from "../../pipeline/positions/mod.ts";
import { readJsonObject } from "./json_reader.ts";
import type { ParquetColumnSpec, ParquetValues } from "../parquet_writer.ts";

/** Places of a queue that does not count its records are text. */
const POSITION = { name: "position", type: "string" } as const satisfies ParquetColumnSpec;

/** Columns, in order, of an archive of Kafka. `ts` is a hybrid timestamp, `time_ms` the producer's wall clock, `headers` JSON `[[name, base64], …]`. */
export const LOG_COLUMNS = [
  { name: "offset", type: "int64" },
  { name: "ts", type: "int64" },
  { name: "time_ms", type: "int64" },
  { name: "vchannel", type: "string" },
  { name: "type", type: "string" },
  { name: "headers", type: "string", nullable: true },
  { name: "value", type: "bytes", nullable: true },
] as const satisfies readonly ParquetColumnSpec[];

/** Columns, in order, of an archive of this queue. */
export function logColumns(queue: Queue): readonly ParquetColumnSpec[] {
  return queue === "kafka" ? LOG_COLUMNS : [POSITION, ...LOG_COLUMNS.slice(1)];
}

/** Records that the archive does not have, and says so: [from, to). */
export interface LogGap {
  readonly from: Position;
  readonly to: Position;
  readonly reason: string;
}

export interface LogFileFacts {
  /** Whose places they are. */
  readonly queue: Queue;
  readonly pchannel: string;
  /** 1, 2, 3, … without holes. */
  readonly sequence: bigint;
  readonly firstOffset: Position;
  readonly lastOffset: Position;
  readonly tsMin: HybridTs;
  readonly tsMax: HybridTs;
  /** This file holds everything after it: the last offset of the file before, or the one before the base's cut. */
  readonly previousLastOffset: Position;
  /** Checksum of the whole file before; empty for the first. */
  readonly previousSum: string;
  /** Checksum of this file's bytes before the footer. */
  readonly dataSum: string;
  /** Bytes that `dataSum` covers. */
  readonly dataBytes: bigint;
  /** Where a restart reads once this file is there. */
  readonly resume: ResumePoint;
  /** Of the chain up to this file. */
  readonly gaps: readonly LogGap[];
}

export function encodeFacts(facts: LogFileFacts): Record<string, string> {
  const { format } = positionsOf(facts.queue);
  return {
    "tidemark.log": "1",
    ...(facts.queue === "kafka" ? {} : { "tidemark.queue": facts.queue }),
    "tidemark.pchannel": facts.pchannel,
    "tidemark.sequence": facts.sequence.toString(),
    "tidemark.first_offset": format(facts.firstOffset),
    "tidemark.last_offset": format(facts.lastOffset),
    "tidemark.ts_min": facts.tsMin.toString(),
    "tidemark.ts_max": facts.tsMax.toString(),
    "tidemark.previous_last_offset": format(facts.previousLastOffset),
    "tidemark.previous_sum": facts.previousSum,
    "tidemark.data_sum": facts.dataSum,
    "tidemark.data_bytes": facts.dataBytes.toString(),
    "tidemark.resume_offset": format(facts.resume.offset),
    "tidemark.resume_tick": facts.resume.tick.toString(),
    "tidemark.gaps": formatJson({
      gaps: facts.gaps.map(({ from, to, reason }) => ({
        from: storePosition(from, facts.queue),
        to: storePosition(to, facts.queue),
        reason,
      })),
    }),
  };
}

/** Throws `damaged` where a key is missing, `unsupported` for a newer form. */
export function decodeFacts(metadata: Readonly<Record<string, string>>, key: string): LogFileFacts {
  const text = (name: string): string => {
    const value = metadata[`tidemark.${name}`];
    if (value === undefined) {
      throw new TidemarkError("damaged", `${key} is no file of a log archive: ${name} is missing`);
    }
    return value;
  };
  const int = (name: string): bigint => {
    const value = text(name);
    if (!/^-?\d+$/.test(value)) {
      throw new TidemarkError("damaged", `${key}: ${name} is "${value}", expected an integer`);
    }
    return BigInt(value);
  };
  if (text("log") !== "1") {
    throw new TidemarkError("unsupported", `${key} has archive format ${text("log")}, expected 1`, {
      hint: "Use the version of Tidemark that made the backup, or a newer one.",
    });
  }
  const queue = metadata["tidemark.queue"] ?? "kafka";
  if (!isQueue(queue)) {
    throw new TidemarkError(
      "unsupported",
      `${key} is an archive of the queue ${queue}, which this version does not know`,
      {
        hint: "Use the version of Tidemark that made the backup, or a newer one.",
      },
    );
  }
  const place = (name: string): Position => {
    const found = positionsOf(queue).parse(text(name));
    if (found !== undefined) return found;
    throw new TidemarkError("damaged", `${key}: ${name} is "${text(name)}", expected a position of ${queue}`);
  };
  return {
    queue,
    pchannel: text("pchannel"),
    sequence: int("sequence"),
    firstOffset: place("first_offset"),
    lastOffset: place("last_offset"),
    tsMin: int("ts_min"),
    tsMax: int("ts_max"),
    previousLastOffset: place("previous_last_offset"),
    previousSum: text("previous_sum"),
    dataSum: text("data_sum"),
    dataBytes: int("data_bytes"),
    resume: { offset: place("resume_offset"), tick: int("resume_tick") },
    gaps: readJsonObject(text("gaps"), key).list("gaps").map((gap) => ({
      from: restorePosition(gap.value("from"), queue, key),
      to: restorePosition(gap.value("to"), queue, key),
      reason: gap.text("reason"),
    })),
  };
}

/** Records as the columns of {@link logColumns}. */
export function encodeRows(records: readonly ArchivedRecord[], queue: Queue): ParquetValues[] {
  const { format } = positionsOf(queue);
  return [
    queue === "kafka" ? records.map(({ record }) => record.offset) : records.map(({ record }) => format(record.offset)),
    records.map(({ ts }) => BigInt.asIntN(64, ts)),
    records.map(({ record }) => record.timestampMs),
    records.map(({ vchannel }) => vchannel),
    records.map(({ type }) => type),
    records.map(({ record: { headers } }) =>
      headers.length === 0 ? null : JSON.stringify(headers.map(([name, value]) => [name, value.toBase64()]))
    ),
    records.map(({ record }) => record.value),
  ];
}

/** One row, as a reader of Parquet gives it. */
export interface LogRow {
  readonly offset: Position;
  readonly ts: bigint;
  readonly time_ms: bigint;
  readonly vchannel: string;
  readonly type: string;
  readonly headers: string | null;
  readonly value: Uint8Array | null;
}

/** Throws `damaged`; `key` names the file. */
export function decodeRow(row: LogRow, pchannel: string, key: string): ArchivedRecord {
  const record: LogRecord = {
    topic: pchannel,
    offset: row.offset,
    timestampMs: row.time_ms,
    headers: row.headers === null ? [] : decodeHeaders(row.headers, key),
    value: row.value,
  };
  return { record, ts: BigInt.asUintN(64, row.ts), vchannel: row.vchannel, type: row.type };
}

function decodeHeaders(text: string, key: string): LogRecord["headers"] {
  try {
    return (JSON.parse(text) as [string, string][]).map(([name, value]) =>
      [name, Uint8Array.fromBase64(value)] as const
    );
  } catch (cause) {
    throw new TidemarkError("damaged", `${key} has a record whose headers are no JSON of names and base64`, { cause });
  }
}
