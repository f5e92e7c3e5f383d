/**
 * Woodpecker: segment and entry, both counted from 0. Milvus writes a protobuf message {1: segment, 2: entry} in which zeros
 * are left out, so that the first place of all has no bytes. In memory the segment stands in front of 64 bits of the entry.
 */
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { Position, PositionForms } from "../model/mod.ts";

const ENTRY_BITS = 64n;

/** `entry` may be one behind the segment's last. */
export function woodpeckerPosition(segment: bigint, entry: bigint): Position {
  return (segment << ENTRY_BITS) + entry;
}

export function woodpeckerPlace(position: Position): { readonly segment: bigint; readonly entry: bigint } {
  const entry = BigInt.asUintN(64, position);
  return { segment: (position - entry) >> ENTRY_BITS, entry };
}

export const woodpeckerPositions: PositionForms = {
  queue: "woodpecker",
  format(position) {
    const { segment, entry } = woodpeckerPlace(position);
    return `${segment}/${entry}`;
  },
  parse(text) {
    // The place before the first of all has the segment -1.
    const found = /^(-1|\d{1,20})\/(\d{1,20})$/.exec(text);
    if (found === null) return undefined;
    const [segment, entry] = [BigInt(found[1]!), BigInt(found[2]!)];
    return segment >> ENTRY_BITS > 0n || entry >> ENTRY_BITS > 0n ? undefined : woodpeckerPosition(segment, entry);
  },
  fromMilvus(id) {
    let [segment, entry] = [0n, 0n];
    try {
      const reader = new BinaryReader(id);
      while (reader.pos < reader.len) {
        const [field, wire] = reader.tag();
        if (wire !== WireType.Varint || (field !== 1 && field !== 2)) return undefined;
        const value = BigInt(reader.int64());
        if (value < 0n) return undefined;
        if (field === 1) segment = value;
        else entry = value;
      }
    } catch {
      return undefined;
    }
    return woodpeckerPosition(segment, entry);
  },
  toMilvus(position) {
    const { segment, entry } = woodpeckerPlace(position);
    const writer = new BinaryWriter();
    if (segment !== 0n) writer.tag(1, WireType.Varint).int64(segment);
    if (entry !== 0n) writer.tag(2, WireType.Varint).int64(entry);
    return writer.finish();
  },
  distance(from, to) {
    const [a, b] = [woodpeckerPlace(from), woodpeckerPlace(to)];
    return a.segment === b.segment ? b.entry - a.entry : undefined;
  },
  back(position, records) {
    const { segment, entry } = woodpeckerPlace(position);
    return entry < records ? undefined : woodpeckerPosition(segment, entry - records);
  },
};
