/** Record batches and answers to fetches as a broker sends them, made by the Kafka client's own writer. */
import {
  compressionsAlgorithmsByBitmask,
  createRecordsBatch,
  type MessageRecord,
  Reader,
  type RecordsBatch,
  Writer,
} from "@platformatic/kafka";
import type { Pieces } from "../../../sources/log/byte_cursor.ts";
import type { OtherCodec } from "../../../sources/log/kafka/record_batch.ts";

export type Compression = "none" | "gzip" | "snappy" | "lz4" | "zstd";

export interface Written {
  readonly value: Uint8Array | null;
  readonly headers?: readonly (readonly [string, Uint8Array])[];
}

/** One batch; its first offset is 0, as a producer writes it. */
export function batchOf(records: readonly Written[], compression: Compression = "none"): Uint8Array {
  const messages = records.map(({ value, headers = [] }, i): MessageRecord => ({
    topic: "t",
    key: Buffer.from(`key ${i}`),
    // The client's own type has no null, its writer has.
    value: (value === null ? null : Buffer.from(value)) as Buffer,
    timestamp: 1_700_000_000_000n + BigInt(i * 3),
    headers: new Map(headers.map(([name, bytes]) => [Buffer.from(name), Buffer.from(bytes)])),
  } as MessageRecord));
  return new Uint8Array(createRecordsBatch(messages, { compression }).buffer);
}

/** Sets the first offset of a batch, as the broker does. */
export function at(batch: Uint8Array, offset: bigint): Uint8Array {
  const moved = batch.slice();
  new DataView(moved.buffer).setBigInt64(0, offset);
  return moved;
}

export function joined(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** As the adapter does it. */
export const otherCodec: OtherCodec = (codec, payload) => {
  return compressionsAlgorithmsByBitmask[codec]!.decompressSync(Buffer.from(payload));
};

/** The same bytes as a socket brings them. */
export function inPieces(bytes: Uint8Array, size: number): Pieces {
  const { buffer } = Reader.from(Buffer.alloc(0));
  buffer.consume(buffer.length);
  for (let i = 0; i < bytes.length; i += size) buffer.append(Buffer.from(bytes.subarray(i, i + size)));
  return buffer;
}

export interface AnsweredPartition {
  readonly errorCode?: number;
  readonly highWatermark: bigint;
  /** Null: no records at all. */
  readonly records: Uint8Array | null;
  readonly aborted?: readonly (readonly [producer: bigint, offset: bigint])[];
}

/** What follows the header of a response of that version, as the protocol's guide says it. */
export function answerOf(
  version: number,
  topic: { readonly name: string; readonly id: string },
  partitions: readonly AnsweredPartition[],
): Uint8Array {
  const compact = version >= 12;
  const writer = Writer.create().appendInt32(7);
  if (version >= 7) writer.appendInt16(0).appendInt32(4711);
  writer.appendArray(
    [topic],
    (w) => {
      if (version >= 13) w.appendUUID(topic.id);
      else w.appendString(topic.name, compact);
      w.appendArray(
        [...partitions],
        (w, { errorCode = 0, highWatermark, records, aborted = [] }, i) => {
          w.appendInt32(i).appendInt16(errorCode).appendInt64(highWatermark).appendInt64(highWatermark - 1n);
          if (version >= 5) w.appendInt64(2n);
          w.appendArray(
            [...aborted],
            (w, [producer, offset]) => void w.appendInt64(producer).appendInt64(offset),
            compact,
            compact,
          );
          if (version >= 11) w.appendInt32(-1);
          w.appendBytes(records === null ? null : Buffer.from(records), compact);
          // A tag that some brokers send: the epoch at which logs part.
          if (compact) {
            w.appendUnsignedVarInt(1).appendUnsignedVarInt(0).appendUnsignedVarInt(12).appendInt32(3)
              .appendInt64(9n);
          }
        },
        compact,
        false,
      );
      if (compact) w.appendTaggedFields();
    },
    compact,
    false,
  );
  if (compact) writer.appendTaggedFields();
  return new Uint8Array(writer.buffer);
}

export type { RecordsBatch };
