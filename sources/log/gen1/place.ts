/** The fields that msg.InsertRequest and msg.DeleteRequest have in common: where their rows belong, and when they were written. */
import { joined, packedSame, packedUint64, type WireReader } from "../wire.ts";

export interface Place {
  vchannel: string;
  collectionId: bigint;
  partitionId: bigint;
  partitionName: string;
  /** `timestamps`, as it came: packed, or one by one. */
  readonly stamps: Uint8Array[];
}

export function noPlace(): Place {
  return { vchannel: "", collectionId: 0n, partitionId: 0n, partitionName: "", stamps: [] };
}

/** Reads a field of the place; false where `tag` is another. */
export function readPlace(place: Place, tag: number, reader: WireReader): boolean {
  switch (tag) {
    case 2 << 3 | 2:
      place.vchannel = reader.text();
      return true;
    case 5 << 3 | 2:
      place.partitionName = reader.text();
      return true;
    case 7 << 3:
      place.collectionId = reader.int64();
      return true;
    case 8 << 3:
      place.partitionId = reader.int64();
      return true;
    case 10 << 3 | 2:
      place.stamps.push(reader.view());
      return true;
    case 10 << 3:
      place.stamps.push(reader.varintView());
      return true;
    default:
      return false;
  }
}

export interface Stamps {
  readonly count: number;
  /** The one timestamp of all rows; 0 where there is none. */
  readonly ts: bigint;
  /** One per row, only where they differ. */
  readonly timestamps: BigUint64Array | undefined;
}

export function stampsOf({ stamps }: Place): Stamps {
  const packed = joined(stamps);
  const { count, value: ts, same } = packedSame(packed);
  return { count, ts, timestamps: same ? undefined : packedUint64(packed) };
}
