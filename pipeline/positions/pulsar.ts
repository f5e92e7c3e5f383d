/**
 * Pulsar: ledger, entry and the index in the entry's batch. Milvus writes the protobuf message MessageIdData {1: ledger,
 * 2: entry, 3: partition, 4: batch index, 5 and 6: acknowledged, size of the batch}; partition and sizes say nothing of the
 * place, and an entry without a batch has the index -1, 0 or none. Ledger ids of a topic grow; they have gaps.
 */
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { Position, PositionForms } from "../model/mod.ts";

const ENTRY_BITS = 64n;
const BATCH_BITS = 32n;

export interface PulsarPlace {
  readonly ledger: bigint;
  readonly entry: bigint;
  readonly batch: number;
}

export function pulsarPosition({ ledger, entry, batch }: PulsarPlace): Position {
  return (((ledger << ENTRY_BITS) + entry) << BATCH_BITS) + BigInt(batch < 0 ? 0 : batch);
}

export function pulsarPlace(position: Position): PulsarPlace {
  const batch = BigInt.asUintN(32, position);
  const rest = (position - batch) >> BATCH_BITS;
  const entry = BigInt.asUintN(64, rest);
  return { ledger: (rest - entry) >> ENTRY_BITS, entry, batch: Number(batch) };
}

export const pulsarPositions: PositionForms = {
  queue: "pulsar",
  format(position) {
    const { ledger, entry, batch } = pulsarPlace(position);
    return `${ledger}:${entry}:${batch}`;
  },
  parse(text) {
    // The place before the first of all has the ledger -1.
    const found = /^(-1|\d{1,20}):(\d{1,20}):(\d{1,10})$/.exec(text);
    if (found === null) return undefined;
    const place = { ledger: BigInt(found[1]!), entry: BigInt(found[2]!), batch: parseInt(found[3]!, 10) };
    if (place.ledger >> ENTRY_BITS > 0n || place.entry >> ENTRY_BITS > 0n || place.batch >= 2 ** 32) return undefined;
    return pulsarPosition(place);
  },
  fromMilvus(id) {
    let [ledger, entry, batch] = [-1n, -1n, 0];
    try {
      const reader = new BinaryReader(id);
      while (reader.pos < reader.len) {
        const [field, wire] = reader.tag();
        if (field === 1 && wire === WireType.Varint) ledger = BigInt(reader.uint64());
        else if (field === 2 && wire === WireType.Varint) entry = BigInt(reader.uint64());
        else if (field === 4 && wire === WireType.Varint) batch = reader.int32();
        else reader.skip(wire, field);
      }
    } catch {
      return undefined;
    }
    // "Earliest" is -1 of everything, written as the largest unsigned number: no place of a record.
    if (ledger < 0n || entry < 0n || ledger >= 1n << 63n || entry >= 1n << 63n) return undefined;
    return pulsarPosition({ ledger, entry, batch });
  },
  toMilvus(position) {
    const { ledger, entry, batch } = pulsarPlace(position);
    return new BinaryWriter()
      .tag(1, WireType.Varint).uint64(ledger)
      .tag(2, WireType.Varint).uint64(entry)
      .tag(3, WireType.Varint).int32(0)
      .tag(4, WireType.Varint).int32(batch)
      .finish();
  },
  distance: () => undefined,
  back(position, records) {
    const { ledger, entry } = pulsarPlace(position);
    return entry < records ? undefined : pulsarPosition({ ledger, entry: entry - records, batch: 0 });
  },
};
