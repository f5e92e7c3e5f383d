/** Kafka: the offset. Milvus writes it as 8 bytes, little endian, as it does the ids of RocksMQ. */
import type { PositionForms } from "../model/mod.ts";

export const kafkaPositions: PositionForms = {
  queue: "kafka",
  format: (position) => position.toString(),
  parse: (text) => /^-?\d+$/.test(text) ? BigInt(text) : undefined,
  fromMilvus: (id) => id.length === 8 ? new DataView(id.buffer, id.byteOffset, 8).getBigInt64(0, true) : undefined,
  toMilvus(position) {
    const id = new Uint8Array(8);
    new DataView(id.buffer).setBigInt64(0, position, true);
    return id;
  },
  distance: (from, to) => to - from,
  back: (position, records) => position - records,
};

/** The same bytes, of another queue: nothing here reads its log, but its metadata is shown. */
export const rocksmqPositions: PositionForms = { ...kafkaPositions, queue: "rocksmq" };
