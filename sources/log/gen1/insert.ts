/**
 * msg.InsertRequest (400). The columns stay serialised views: a target's Insert wants the same bytes. All rows of one
 * message were given one timestamp by the proxy, which is in `timestamps`; `base.timestamp` is 0 in upserts.
 */
import type { WireReader } from "../wire.ts";
import { noPlace, readPlace, stampsOf } from "./place.ts";

export interface InsertBody {
  readonly vchannel: string;
  readonly collectionId: bigint;
  readonly partitionId: bigint;
  readonly partitionName: string;
  readonly segmentId: bigint;
  readonly rows: number;
  /** 0 where the message has none. */
  readonly ts: bigint;
  readonly fieldsData: readonly Uint8Array[];
  /** One per row, only where they differ. */
  readonly timestamps: BigUint64Array | undefined;
  /** Why it cannot be applied, a sentence's second half; undefined where all is well. */
  readonly defect: string | undefined;
}

/** `reader` stands behind the base or at the start. Throws WireError. */
export function readInsert(reader: WireReader): InsertBody {
  const place = noPlace();
  let segmentId = 0n;
  let numRows = 0;
  let version = 0;
  let rowBlobs = 0;
  const fieldsData: Uint8Array[] = [];
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (readPlace(place, tag, reader)) continue;
    switch (tag) {
      case 9 << 3:
        segmentId = reader.int64();
        break;
      case 12 << 3 | 2:
        rowBlobs++;
        reader.skip(tag);
        break;
      case 13 << 3 | 2:
        fieldsData.push(reader.view());
        break;
      case 14 << 3:
        numRows = reader.uint32();
        break;
      case 15 << 3:
        version = reader.uint32();
        break;
      default:
        reader.skip(tag);
    }
  }
  const { vchannel, collectionId, partitionId, partitionName } = place;
  const { count, ts, timestamps } = stampsOf(place);
  const rows = numRows > 0 ? numRows : Math.max(count, rowBlobs);
  const defect = defectOf(version, rows, count, fieldsData.length);
  return { vchannel, collectionId, partitionId, partitionName, segmentId, rows, ts, fieldsData, timestamps, defect };
}

function defectOf(version: number, rows: number, stamps: number, columns: number): string | undefined {
  if (rows === 0) return undefined;
  if (version === 0) return "is row-based, the form that Milvus wrote before 2.1";
  if (stamps !== 0 && stamps !== rows) return `says ${rows} rows but has ${stamps} timestamps`;
  if (columns === 0) return `says ${rows} rows but has no columns`;
  return undefined;
}
