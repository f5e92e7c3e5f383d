/**
 * A delta log in Milvus' own form (binlog envelope, one Delete event, a Parquet column `val` of JSON cells), for deletes that
 * the source's metadata forgot, or that a bulk import is to apply. Written as Milvus 2.3 writes it, the oldest reader that has to take it.
 */
import type { DeleteMark, HybridTs } from "../../pipeline/model/mod.ts";
import { createParquetFile } from "../parquet_writer.ts";

export interface DeltaFileOptions {
  readonly collectionId: bigint;
  readonly partitionId: bigint;
  readonly segmentId: bigint;
  /** For the event headers. Default: the time of the newest delete. */
  readonly writtenAt?: HybridTs;
}

export interface DeltaFile {
  readonly bytes: Uint8Array;
  readonly entries: number;
  readonly tsFrom: HybridTs;
  readonly tsTo: HybridTs;
}

const MAGIC = 0x00fffabc;
const DESCRIPTOR_EVENT = 0;
const DELETE_EVENT = 2;
const HEADER_BYTES = 17;
const DESCRIPTOR_FIXED_BYTES = 52;
const DATA_FIXED_BYTES = 16;
/** One byte per event type: the size of its fixed part. */
const POST_HEADER_LENGTHS = [52, 16, 16, 16, 16, 16, 16, 16];
/** schema.DataType String, as Milvus writes delta logs. */
const DATA_TYPE_STRING = 20;
const PK_INT64 = 5;
const PK_VARCHAR = 21;

/**
 * Entries are sorted by timestamp: readers that keep one timestamp per key must meet the latest last. Doubles are written once.
 * Undefined if there is no entry.
 */
export function encodeDeltaFile(marks: readonly DeleteMark[], options: DeltaFileOptions): DeltaFile | undefined {
  const entries = entriesOf(marks);
  const first = entries[0];
  if (first === undefined) return undefined;
  const tsFrom = first.ts;
  const tsTo = entries[entries.length - 1]!.ts;
  const { writtenAt = tsTo } = options;
  const cells = entries.map(({ cell }) => cell);
  const parquet = createParquetFile([{ name: "val", type: "string", statistics: false }], { createdBy: "tidemark" });
  parquet.writeRowGroup([cells]);
  const payload = parquet.finish();
  const originalSize = cells.reduce((sum, cell) => sum + new TextEncoder().encode(cell).length, 0);
  const extras = new TextEncoder().encode(JSON.stringify({ original_size: String(originalSize) }));

  const descriptorBytes = HEADER_BYTES + DESCRIPTOR_FIXED_BYTES + POST_HEADER_LENGTHS.length + 4 + extras.length;
  const dataBytes = HEADER_BYTES + DATA_FIXED_BYTES + payload.length;
  const bytes = new Uint8Array(4 + descriptorBytes + dataBytes);
  const out = littleEndian(bytes);
  out.i32(MAGIC);
  out.header(writtenAt, DESCRIPTOR_EVENT, descriptorBytes, 4 + descriptorBytes);
  out.i64(options.collectionId).i64(options.partitionId).i64(options.segmentId).i64(-1n);
  out.i64(tsFrom).i64(tsTo).i32(DATA_TYPE_STRING);
  out.bytes(Uint8Array.from(POST_HEADER_LENGTHS)).i32(extras.length).bytes(extras);
  out.header(writtenAt, DELETE_EVENT, dataBytes, bytes.length);
  out.i64(tsFrom).i64(tsTo).bytes(payload);
  return { bytes, entries: entries.length, tsFrom, tsTo };
}

function entriesOf(marks: readonly DeleteMark[]): { readonly ts: HybridTs; readonly cell: string }[] {
  const cells = new Map<string, HybridTs>();
  for (const { keys, timestamps } of marks) {
    for (let i = 0; i < timestamps.length; i++) {
      const ts = timestamps[i]!;
      const [pk, type] = keys.kind === "int64"
        ? [String(keys.values[i]!), PK_INT64]
        : [JSON.stringify(keys.values[i]!), PK_VARCHAR];
      cells.set(`{"pk":${pk},"ts":${ts},"pkType":${type}}`, ts);
    }
  }
  return [...cells].map(([cell, ts]) => ({ cell, ts })).sort((a, b) => a.ts < b.ts ? -1 : a.ts > b.ts ? 1 : 0);
}

interface LittleEndian {
  i32(value: number): LittleEndian;
  i64(value: bigint): LittleEndian;
  bytes(value: Uint8Array): LittleEndian;
  header(ts: HybridTs, type: number, length: number, next: number): LittleEndian;
}

function littleEndian(target: Uint8Array): LittleEndian {
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
  let at = 0;
  const out: LittleEndian = {
    i32(value) {
      view.setInt32(at, value, true);
      at += 4;
      return out;
    },
    i64(value) {
      view.setBigInt64(at, BigInt.asIntN(64, value), true);
      at += 8;
      return out;
    },
    bytes(value) {
      target.set(value, at);
      at += value.length;
      return out;
    },
    header(ts, type, length, next) {
      out.i64(ts);
      view.setInt8(at, type);
      at += 1;
      return out.i32(length).i32(next);
    },
  };
  return out;
}
