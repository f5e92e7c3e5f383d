/** Entries of a topic: one message each, or a batch of them. */
import { fromBinary } from "@bufbuild/protobuf";
import { TidemarkError } from "../../../pipeline/errors.ts";
import { type LogRecord, type Position } from "../../../pipeline/model/mod.ts";
import { pulsarPosition } from "../../../pipeline/positions/mod.ts";
import {
  type KeyValue,
  type SingleMessageMetadata,
  SingleMessageMetadataSchema,
} from "../../../pipeline/proto/gen/pulsar_api_pb.ts";
import { decompress } from "./compression.ts";
import { parseMessage, type RawMessage, uint32 } from "./frame.ts";

/** As the broker delivers it, still compressed. */
export interface RawEntry {
  readonly ledger: bigint;
  readonly entry: bigint;
  /** What follows the command. */
  readonly rest: Uint8Array;
}

export interface Entry {
  /** Of its first record. */
  readonly position: Position;
  /** Behind its last. */
  readonly end: Position;
  readonly records: readonly LogRecord[];
  /** Of {@link sealOf}. */
  readonly seal: string;
}

const NO_HEADERS: LogRecord["headers"] = [];
const utf8 = new TextEncoder();

/** `topic`: its short name. Throws RangeError for bytes that cannot be, `unsupported` for what Milvus never writes. */
export function readEntry({ ledger, entry, rest }: RawEntry, topic: string): Entry {
  const position = pulsarPosition({ ledger, entry, batch: 0 });
  const raw = parseMessage(rest);
  const { head } = raw;
  const seal = sealOf(raw);
  // What brokers write for themselves: an entry, but no record of anybody.
  if (head.markerType !== 0) return { position, end: position + 1n, records: [], seal };
  refuseUnknown(raw, topic, ledger, entry);
  const payload = decompress(head.compression, raw.payload, head.uncompressedSize);
  const timestampMs = head.publishTime;
  if (head.batch === undefined) {
    const value = head.nullValue ? null : payload;
    const record = { topic, offset: position, timestampMs, headers: head.properties, value };
    return { position, end: position + 1n, records: [record], seal };
  }
  const records: LogRecord[] = [];
  let at = 0;
  for (let i = 0; i < head.batch; i++) {
    const length = payload.length - at < 4 ? -1 : uint32(payload, at);
    at += 4;
    if (length < 0 || length > payload.length - at) throw new RangeError(`Message ${i} of a batch is cut short`);
    const single = singleOf(payload.subarray(at, at + length));
    at += length;
    const size = single.payloadSize;
    if (size < 0 || size > payload.length - at) throw new RangeError(`Message ${i} of a batch is cut short`);
    const value = single.nullValue ? null : payload.subarray(at, at + size);
    at += size;
    const offset = position + BigInt(i);
    records.push({ topic, offset, timestampMs, headers: headersOf(single.properties), value });
  }
  if (at !== payload.length) throw new RangeError(`A batch holds more than its ${records.length} messages`);
  return { position, end: position + BigInt(records.length), records, seal };
}

/** What tells a message from another one at the same place: when it was published, by whom, and its number there. */
export function sealOf({ head }: Pick<RawMessage, "head">): string {
  return `${head.publishTime} ${head.producerName} ${head.sequenceId}`;
}

function singleOf(bytes: Uint8Array): SingleMessageMetadata {
  try {
    return fromBinary(SingleMessageMetadataSchema, bytes);
  } catch (cause) {
    throw new RangeError(`No metadata of a message in a batch: ${String(cause)}`, { cause });
  }
}

function headersOf(properties: readonly KeyValue[]): LogRecord["headers"] {
  return properties.length === 0 ? NO_HEADERS : properties.map(({ key, value }) => [key, utf8.encode(value)] as const);
}

function refuseUnknown({ head }: RawMessage, topic: string, ledger: bigint, entry: bigint): void {
  const what = head.isEncrypted
    ? "encrypted"
    : head.chunks > 1
    ? "one of several chunks"
    : head.isOfTransaction
    ? "part of a transaction of Pulsar"
    : undefined;
  if (what === undefined) return;
  throw new TidemarkError("unsupported", `The message at ${ledger}:${entry} of ${topic} is ${what}`, {
    hint: "Milvus writes none of that kind: something else writes to this topic.",
  });
}
