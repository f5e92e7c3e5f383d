/** Builds one file of the log archive in memory. */
import type { ArchivedRecord, HybridTs, Position, Queue, ResumePoint } from "../../pipeline/model/mod.ts";
import { createParquetFile } from "../parquet_writer.ts";
import { type Checksum, checksumOf } from "./checksum.ts";
import { encodeFacts, encodeRows, logColumns, type LogFileFacts, type LogGap } from "./log_format.ts";

export interface LogFileLink {
  readonly queue: Queue;
  readonly pchannel: string;
  readonly sequence: bigint;
  readonly previousLastOffset: Position;
  readonly previousSum: string;
}

export interface FinishedLogFile {
  readonly bytes: Uint8Array;
  /** Of the whole file. */
  readonly sum: Checksum;
  readonly facts: LogFileFacts;
}

export interface LogFileWriter {
  /** Bytes held: encoded ones and those that wait for their row group. */
  readonly bytes: number;
  readonly rows: number;
  /** Copies what it keeps: the record's bytes may be a view into a response. */
  append(record: ArchivedRecord): void;
  gap(gap: LogGap): void;
  /** The whole file. At least one record must have been appended. */
  finish(resume: ResumePoint): FinishedLogFile;
}

export interface LogFileWriterOptions {
  createdBy: string;
  /** Bytes of values per row group. Default 4 MiB. */
  rowGroupBytes?: number;
  /** Rows per row group. Default 16384. */
  rowGroupRows?: number;
}

export function createLogFileWriter(link: LogFileLink, options: LogFileWriterOptions): LogFileWriter {
  const { createdBy, rowGroupBytes = 4 << 20, rowGroupRows = 16384 } = options;
  const file = createParquetFile(logColumns(link.queue), { createdBy, level: 1 });
  const gaps: LogGap[] = [];
  let pending: ArchivedRecord[] = [];
  let pendingBytes = 0;
  let rows = 0;
  let first: Position | undefined;
  let last = -1n;
  let tsMin: HybridTs | undefined;
  let tsMax: HybridTs = 0n;

  const encode = () => {
    file.writeRowGroup(encodeRows(pending, link.queue));
    pending = [];
    pendingBytes = 0;
  };
  return {
    get bytes() {
      return file.bytes + pendingBytes;
    },
    get rows() {
      return rows;
    },
    append(archived) {
      const { record } = archived;
      const value = record.value === null ? null : record.value.slice();
      const headers = record.headers.map(([name, bytes]) => [name, bytes.slice()] as const);
      pending.push({ ...archived, record: { ...record, headers, value } });
      pendingBytes += (value?.length ?? 0) + 64;
      rows++;
      first ??= record.offset;
      last = record.offset;
      if (tsMin === undefined || archived.ts < tsMin) tsMin = archived.ts;
      if (archived.ts > tsMax) tsMax = archived.ts;
      if (pendingBytes >= rowGroupBytes || pending.length >= rowGroupRows) encode();
    },
    gap(gap) {
      gaps.push(gap);
    },
    finish(resume) {
      encode();
      const body = file.body();
      const facts: LogFileFacts = {
        ...link,
        firstOffset: first ?? 0n,
        lastOffset: last,
        tsMin: tsMin ?? 0n,
        tsMax,
        dataSum: checksumOf(body),
        dataBytes: BigInt(body.length),
        resume,
        gaps: [...gaps],
      };
      const bytes = file.finish(encodeFacts(facts)).slice();
      return { bytes, sum: checksumOf(bytes), facts };
    },
  };
}
