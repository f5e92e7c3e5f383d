/** Values of etcd keys: protobuf, positions, texts. */
import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import type { KeyValuePair } from "../../pipeline/proto/gen/common_pb.ts";
import { WALName } from "../../pipeline/proto/gen/common_pb.ts";
import type { MsgPosition } from "../../pipeline/proto/gen/msg_pb.ts";
import type { PositionForms, Properties, Queue, StoredPosition } from "../../pipeline/model/mod.ts";
import { damagedKey, DELETED, isTombstone, type Stored } from "./keys.ts";

/** Throws `damaged` naming the key. */
export function decodeValue<Desc extends DescMessage>(
  schema: Desc,
  value: Uint8Array,
  key: string,
): MessageShape<Desc> {
  try {
    return fromBinary(schema, value, { readUnknownFields: false });
  } catch (cause) {
    throw damagedKey(key, `its ${value.length} bytes are no ${schema.typeName}: ${(cause as Error).message}`, cause);
  }
}

/** A root-coord value, which may be a tombstone. */
export function decodeStored<Desc extends DescMessage>(
  schema: Desc,
  value: Uint8Array,
  key: string,
): Stored<MessageShape<Desc>> {
  return isTombstone(value) ? DELETED : decodeValue(schema, value, key);
}

/** Throws `damaged` where what a value says of its own identity is not what its key says. */
export function mustMatch(inValue: bigint, inKey: bigint, what: string, key: string): void {
  if (inValue !== inKey) throw damagedKey(key, `its value is of ${what} ${inValue}, expected ${inKey}`);
}

export function decodeText(value: Uint8Array): string {
  return new TextDecoder().decode(value);
}

/** Repeated key-value pairs as a record; the last of a key counts. */
export function propertiesOf(pairs: readonly KeyValuePair[]): Properties {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, value]));
}

/** Releases before 2.6 do not say the queue; later ones leave out the id of a position that only says a time. */
export function positionOf(position: MsgPosition, forms: PositionForms): StoredPosition {
  const { channelName: channel, timestamp: ts, msgID } = position;
  const queue = QUEUES[position.WALName];
  const readable = forms.queue === "files" || (queue === undefined ? msgID.length > 0 : queue === forms.queue);
  const offset = readable ? forms.fromMilvus(msgID) : undefined;
  return { channel, offset, ts, ...(queue === undefined ? {} : { queue }) };
}

export const QUEUES: Readonly<Partial<Record<WALName, Queue>>> = {
  [WALName.RocksMQ]: "rocksmq",
  [WALName.Pulsar]: "pulsar",
  [WALName.Kafka]: "kafka",
  [WALName.WoodPecker]: "woodpecker",
};
