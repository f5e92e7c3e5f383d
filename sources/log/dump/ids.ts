/**
 * Ids of messages as DumpMessages takes and gives them: a text in the form of the queue, base 36 for Kafka, base64 of the
 * bytes for the others (milvus pkg/streaming/walimpls/impls).
 */
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { Position, PositionForms } from "../../../pipeline/model/mod.ts";
import {
  kafkaPositions,
  pulsarPlace,
  pulsarPositions,
  woodpeckerPlace,
  woodpeckerPositions,
} from "../../../pipeline/positions/mod.ts";
import { type MessageID, WALName } from "../../../pipeline/proto/gen/common_pb.ts";
import type { DumpLogConfig } from "./spec.ts";

export type DumpQueue = DumpLogConfig["queue"];

/** What a request names as its start. */
export interface StartId {
  readonly id: string;
  readonly WALName: WALName;
}

export interface DumpIds {
  readonly queue: DumpQueue;
  readonly wal: WALName;
  readonly forms: PositionForms;
  /** Throws RangeError for what is no id of this queue. */
  read(text: string): Position;
  /** Before everything. Never an empty text: that is refused. */
  readonly first: StartId;
  /**
   * A start from which everything at and behind `position` comes, also from releases that leave out the start itself
   * (2.6.14 to 2.6.19). What lies before it may come, too.
   */
  before(position: Position): StartId;
}

export function dumpIds(queue: DumpQueue): DumpIds {
  switch (queue) {
    case "kafka":
      return kafkaIds;
    case "pulsar":
      return pulsarIds;
    case "woodpecker":
      return woodpeckerIds;
  }
}

/** Of an answer. Throws RangeError where it is missing or of another queue. */
export function placeOf(ids: DumpIds, id: MessageID | undefined): Position {
  if (id === undefined) throw new RangeError("a message has no id");
  if (id.WALName !== ids.wal) {
    throw new RangeError(`a message has an id of ${WALName[id.WALName] ?? id.WALName}, expected ${WALName[ids.wal]}`);
  }
  return ids.read(id.id);
}

const kafka = (offset: Position): StartId => ({ id: offset.toString(36), WALName: WALName.Kafka });

const kafkaIds: DumpIds = {
  queue: "kafka",
  wal: WALName.Kafka,
  forms: kafkaPositions,
  read(text) {
    if (!/^-?[0-9a-z]{1,13}$/.test(text)) throw new RangeError(`"${text}" is no offset of Kafka`);
    const [sign, digits] = text.startsWith("-") ? [-1n, text.slice(1)] : [1n, text];
    let value = 0n;
    for (const digit of digits) value = value * 36n + BigInt(parseInt(digit, 36));
    return sign * value;
  },
  first: kafka(0n),
  // The first record of all is a time tick, which nobody misses.
  before: (position) => kafka(position > 0n ? position - 1n : 0n),
};

/** Zeros are written: an id without bytes is refused. */
function woodpecker(segment: bigint, entry: bigint): StartId {
  const bytes = new BinaryWriter().tag(1, WireType.Varint).int64(segment).tag(2, WireType.Varint).int64(entry).finish();
  return { id: bytes.toBase64(), WALName: WALName.WoodPecker };
}

const woodpeckerIds: DumpIds = {
  queue: "woodpecker",
  wal: WALName.WoodPecker,
  forms: woodpeckerPositions,
  read: (text) => fromBase64(woodpeckerPositions, text),
  first: woodpecker(0n, 0n),
  before(position) {
    const { segment, entry } = woodpeckerPlace(position);
    if (entry > 0n) return woodpecker(segment, entry - 1n);
    // The last entry of the segment before is not known, its first one is.
    return woodpecker(segment > 0n ? segment - 1n : 0n, 0n);
  },
};

function pulsar(ledger: bigint, entry: bigint): StartId {
  const bytes = new BinaryWriter()
    .tag(1, WireType.Varint).uint64(BigInt.asUintN(64, ledger))
    .tag(2, WireType.Varint).uint64(BigInt.asUintN(64, entry))
    .finish();
  return { id: bytes.toBase64(), WALName: WALName.Pulsar };
}

const pulsarIds: DumpIds = {
  queue: "pulsar",
  wal: WALName.Pulsar,
  forms: pulsarPositions,
  read: (text) => fromBase64(pulsarPositions, text),
  // "Earliest" of Pulsar's own clients.
  first: pulsar(-1n, -1n),
  before(position) {
    const { ledger, entry } = pulsarPlace(position);
    // Before the first entry of a ledger stands -1.
    return pulsar(ledger, entry - 1n);
  },
};

function fromBase64(forms: PositionForms, text: string): Position {
  let bytes: Uint8Array;
  try {
    bytes = Uint8Array.fromBase64(text);
  } catch (cause) {
    throw new RangeError(`"${text}" is no base64`, { cause });
  }
  const found = forms.fromMilvus(bytes);
  if (found === undefined) throw new RangeError(`"${text}" is no id of ${forms.queue}`);
  return found;
}
