/**
 * Record batches of Kafka, format 2 (since Kafka 0.11), as a fetch brings them: a head that says which offsets there are,
 * and records behind it, compressed together. Decompressed is only what is read.
 */
import { constants, gunzipSync, zstdDecompressSync } from "node:zlib";
import type { LogRecord } from "../../../pipeline/model/mod.ts";
import { ByteCursor, type Pieces } from "../byte_cursor.ts";
import { crc32cOf } from "../crc32c.ts";
import { Expansion } from "./expansion.ts";

export interface RecordBatch {
  readonly firstOffset: bigint;
  readonly lastOffset: bigint;
  readonly attributes: number;
  /** Unix ms. */
  readonly firstTimestamp: bigint;
  readonly count: number;
  /** Compressed as the attributes say. */
  readonly payload: Pieces;
  /** CRC-32C of `covered` and the payload, as the producer made it. */
  readonly checksum: number;
  /** What the checksum covers of the batch's head: attributes to count. */
  readonly covered: Uint8Array;
}

/** Decompresses what is not read here: snappy (2) and lz4 (3). Throws for a codec that it does not know. */
export type OtherCodec = (codec: number, payload: Uint8Array) => Uint8Array;

const HEAD_BYTES = 12;
const BATCH_BYTES = 61;
/** From here on the checksum covers a batch. */
const COVERED_AT = 21;
const FORMAT = 2;
const CODEC = 7;
/** Decompressed. Milvus writes messages of at most 10 MiB; a broken length must not take all memory. */
const MAX_BATCH_BYTES = 256 << 20;
const GZIP = 1;
const ZSTD = 4;
/** Transaction markers, no records of anybody. */
const CONTROL = 32;

/** Compressed bytes of which the beginning of a batch is decompressed: a block of zstd is at most 128 KiB long. */
const FRONT_BYTES = 132 << 10;
/** Holds what a block of zstd becomes. Larger pieces cost more to allocate than the decompressing. */
const FRONT_CHUNK = 256 << 10;

const NO_HEADERS: LogRecord["headers"] = [];
const NO_BYTES = new Uint8Array(0);
const utf8 = new TextDecoder();

/** The whole batches in `bytes`; what a broker cut off at the end is left. Throws RangeError for another format. */
export function readBatches(bytes: Uint8Array | Pieces): RecordBatch[] {
  const batches: RecordBatch[] = [];
  const cursor = new ByteCursor(bytes);
  while (cursor.left >= HEAD_BYTES) {
    const start = cursor.position;
    const firstOffset = cursor.int64();
    const length = cursor.int32();
    if (cursor.left < length) break;
    const end = cursor.position + length;
    cursor.int32();
    const format = cursor.int8();
    if (format !== FORMAT) throw new RangeError(`A batch of records has format ${format}, expected ${FORMAT}`);
    if (length < BATCH_BYTES - HEAD_BYTES) throw new RangeError(`A batch of records has only ${length} bytes`);
    const checksum = cursor.int32() >>> 0;
    const covered = cursor.view(BATCH_BYTES - COVERED_AT);
    cursor.position = start + COVERED_AT;
    const attributes = cursor.int16();
    const lastOffset = firstOffset + BigInt(cursor.int32());
    const firstTimestamp = cursor.int64();
    cursor.position = start + BATCH_BYTES - 4;
    const count = cursor.int32();
    batches.push({
      firstOffset,
      lastOffset,
      attributes,
      firstTimestamp,
      count,
      payload: cursor.pieces(end - cursor.position),
      checksum,
      covered,
    });
  }
  return batches;
}

/**
 * Throws RangeError for a batch that is not what its producer wrote: brokers check none that they read from their disks. Only
 * its first offset and length are not covered.
 */
export function assertWhole(batch: RecordBatch, topic: string): void {
  const sum = crc32cOf(batch.covered, batch.payload);
  if (sum === batch.checksum) return;
  const hex = (value: number) => value.toString(16).padStart(8, "0");
  throw new RangeError(
    `The batch at offset ${batch.firstOffset} of ${topic} has the checksum ${hex(sum)}, its producer gave it ${
      hex(batch.checksum)
    }`,
  );
}

/** Nothing that is read of it is a view of its payload then. */
export function isCompressed(batch: RecordBatch): boolean {
  return (batch.attributes & CODEC) !== 0;
}

export function isControl(batch: RecordBatch): boolean {
  return (batch.attributes & CONTROL) !== 0;
}

/**
 * All records of a batch; values are views of what it was decompressed to. Throws RangeError where lengths do not fit
 * together, and where it cannot be decompressed.
 */
export function recordsOf(
  batch: RecordBatch,
  topic: string,
  other: OtherCodec,
  expansion: Expansion = new Expansion(),
): LogRecord[] {
  const cursor = new ByteCursor(decompressed(batch, other, expansion));
  const records: LogRecord[] = [];
  for (let i = 0; i < batch.count; i++) {
    const length = cursor.signed();
    const end = cursor.position + length;
    records.push(readRecord(cursor, batch, topic));
    if (cursor.position !== end) throw new RangeError(`A record of ${topic} does not end where it says`);
  }
  if (cursor.left !== 0) throw new RangeError(`A batch of ${topic} holds more than its ${batch.count} records`);
  return records;
}

/** Behind the record's length. */
function readRecord(cursor: ByteCursor, batch: RecordBatch, topic: string): LogRecord {
  cursor.int8();
  const timestampMs = batch.firstTimestamp + cursor.signed64();
  const offset = batch.firstOffset + BigInt(cursor.signed());
  nullable(cursor);
  const value = nullable(cursor);
  const count = cursor.signed();
  if (count <= 0) return { topic, offset, timestampMs, headers: NO_HEADERS, value };
  const headers: [string, Uint8Array][] = [];
  for (let i = 0; i < count; i++) {
    const name = nullable(cursor);
    headers.push([name === null ? "" : utf8.decode(name), nullable(cursor) ?? NO_BYTES]);
  }
  return { topic, offset, timestampMs, headers, value };
}

function nullable(cursor: ByteCursor): Uint8Array | null {
  const length = cursor.signed();
  return length < 0 ? null : cursor.view(length);
}

/** What the beginning of a record says of it. */
export interface RecordFront {
  /** The first bytes of the value, as many as there are at hand. */
  readonly value: Uint8Array;
  /** Length of all headers together with their count, as {@link headersLength} counts it. */
  readonly headersLength: number;
}

/**
 * The beginning of a batch's only record. Undefined where there are more records, or where the beginning alone does not say:
 * whoever wants to know reads the batch.
 */
export function frontOfOnly(batch: RecordBatch): RecordFront | undefined {
  if (batch.count !== 1) return undefined;
  const codec = batch.attributes & CODEC;
  // Of a small batch there is nothing to save.
  if (codec !== 0 && batch.payload.length < FRONT_BYTES) return undefined;
  const bytes = frontOf(batch.payload, codec);
  if (bytes === undefined) return undefined;
  const cursor = new ByteCursor(bytes);
  try {
    const length = cursor.signed();
    const end = cursor.position + length;
    cursor.int8();
    cursor.signed64();
    cursor.signed();
    nullable(cursor);
    const size = cursor.signed();
    if (size < 0) return undefined;
    const headersLength = end - (cursor.position + size);
    return { value: cursor.view(Math.min(size, cursor.left)), headersLength };
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Bytes that a record spends on these headers, each shorter than 64 bytes. */
export function headersLength(headers: readonly { readonly name: string; readonly bytes: number }[]): number {
  return headers.reduce((sum, { name, bytes }) => sum + 1 + name.length + 1 + bytes, 1);
}

function frontOf(payload: Pieces, codec: number): Uint8Array | undefined {
  const front = payload.slice(0, Math.min(FRONT_BYTES, payload.length));
  switch (codec) {
    case 0:
      return front;
    case GZIP:
      return gunzipSync(front, { finishFlush: constants.Z_SYNC_FLUSH, chunkSize: FRONT_CHUNK });
    case ZSTD:
      return zstdDecompressSync(front, { finishFlush: constants.ZSTD_e_flush, chunkSize: FRONT_CHUNK });
    default:
      return undefined;
  }
}

function decompressed(batch: RecordBatch, other: OtherCodec, expansion: Expansion): Uint8Array {
  const codec = batch.attributes & CODEC;
  const payload = batch.payload.slice(0, batch.payload.length);
  if (codec === 0) return payload;
  const options = { chunkSize: expansion.room(payload.length), maxOutputLength: MAX_BATCH_BYTES };
  let bytes: Uint8Array;
  try {
    if (codec !== GZIP && codec !== ZSTD) return other(codec, payload);
    bytes = codec === GZIP ? gunzipSync(payload, options) : zstdDecompressSync(payload, options);
  } catch (cause) {
    // What the codecs throw is of many kinds: errors without a code, and of WebAssembly only that it stopped.
    throw new RangeError(`The batch at offset ${batch.firstOffset} cannot be decompressed: ${String(cause)}`, {
      cause,
    });
  }
  expansion.saw(payload.length, bytes.length);
  // Views of it may live long, and would keep the rest of the piece with them.
  return bytes.length * 1.25 < bytes.buffer.byteLength ? new Uint8Array(bytes) : bytes;
}
