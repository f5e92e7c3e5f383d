/**
 * A file of the log archive: Parquet, one row per record in offset order, Zstd, with minimum and maximum of `offset` and `ts`
 * per row group, so that a reader finds a moment by the footer. What makes a file a link of a chain stands in its footer's
 * key/value metadata: nothing but the files themselves says what the archive holds, so nothing can disagree with them.
 */
import { formatJson } from "../../pipeline/json.ts";
import { TidemarkError } from "../../pipeline/errors.ts";
import type { ArchivedRecord, HybridTs, LogRecord, ResumePoint } from "../../pipeline/model/mod.ts";
import { readJsonObject } from "./json_reader.ts";
import type { ParquetColumnSpec, ParquetValues } from "../parquet_writer.ts";

/** Columns, in order. `ts` is a hybrid timestamp, `time_ms` the producer's wall clock, `headers` JSON `[[name, base64], …]`. */
export const LOG_COLUMNS = [
  { name: "offset", type: "int64" },
  { name: "ts", type: "int64" },
  { name: "time_ms", type: "int64" },
  { name: "vchannel", type: "string" },
  { name: "type", type: "string" },
  { name: "headers", type: "string", nullable: true },
  { name: "value", type: "bytes", nullable: true },
] as const satisfies readonly ParquetColumnSpec[];

/** Records that the archive does not have, and says so: [from, to). */
export interface LogGap {
  readonly from: bigint;
  readonly to: bigint;
  readonly reason: string;
}

export interface LogFileFacts {
  readonly pchannel: string;
  /** 1, 2, 3, … without holes. */
  readonly sequence: bigint;
  readonly firstOffset: bigint;
  readonly lastOffset: bigint;
  readonly tsMin: HybridTs;
  readonly tsMax: HybridTs;
  /** This file holds everything after it: the last offset of the file before, or the one before the base's cut. */
  readonly previousLastOffset: bigint;
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
  return {
    "tidemark.log": "1",
    "tidemark.pchannel": facts.pchannel,
    "tidemark.sequence": facts.sequence.toString(),
    "tidemark.first_offset": facts.firstOffset.toString(),
    "tidemark.last_offset": facts.lastOffset.toString(),
    "tidemark.ts_min": facts.tsMin.toString(),
    "tidemark.ts_max": facts.tsMax.toString(),
    "tidemark.previous_last_offset": facts.previousLastOffset.toString(),
    "tidemark.previous_sum": facts.previousSum,
    "tidemark.data_sum": facts.dataSum,
    "tidemark.data_bytes": facts.dataBytes.toString(),
    "tidemark.resume_offset": facts.resume.offset.toString(),
    "tidemark.resume_tick": facts.resume.tick.toString(),
    "tidemark.gaps": formatJson({ gaps: facts.gaps }),
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
  return {
    pchannel: text("pchannel"),
    sequence: int("sequence"),
    firstOffset: int("first_offset"),
    lastOffset: int("last_offset"),
    tsMin: int("ts_min"),
    tsMax: int("ts_max"),
    previousLastOffset: int("previous_last_offset"),
    previousSum: text("previous_sum"),
    dataSum: text("data_sum"),
    dataBytes: int("data_bytes"),
    resume: { offset: int("resume_offset"), tick: int("resume_tick") },
    gaps: readJsonObject(text("gaps"), key).list("gaps").map((gap) => ({
      from: gap.int("from"),
      to: gap.int("to"),
      reason: gap.text("reason"),
    })),
  };
}

/** Records as the columns of {@link LOG_COLUMNS}. */
export function encodeRows(records: readonly ArchivedRecord[]): ParquetValues[] {
  return [
    records.map(({ record }) => record.offset),
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
  readonly offset: bigint;
  readonly ts: bigint;
  readonly time_ms: bigint;
  readonly vchannel: string;
  readonly type: string;
  readonly headers: string | null;
  readonly value: Uint8Array | null;
}

export function decodeRow(row: LogRow, pchannel: string): ArchivedRecord {
  const headers = row.headers === null
    ? []
    : (JSON.parse(row.headers) as [string, string][]).map(([name, value]) =>
      [name, Uint8Array.fromBase64(value)] as const
    );
  const record: LogRecord = {
    topic: pchannel,
    offset: row.offset,
    timestampMs: row.time_ms,
    headers,
    value: row.value,
  };
  return { record, ts: BigInt.asUintN(64, row.ts), vchannel: row.vchannel, type: row.type };
}
