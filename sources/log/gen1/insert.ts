/**
 * msg.InsertRequest (400). The columns stay serialised views: a target's Insert wants the same bytes. All rows of one
 * message were given one timestamp by the proxy, which is in `timestamps`; `base.timestamp` is 0 in upserts.
 */
import { packedSame, type WireReader } from "../wire.ts";

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
  /** Why it cannot be applied, a sentence's second half; undefined where all is well. */
  readonly defect: string | undefined;
}

/** `reader` stands behind the base or at the start. Throws WireError. */
export function readInsert(reader: WireReader): InsertBody {
  let vchannel = "";
  let collectionId = 0n;
  let partitionId = 0n;
  let partitionName = "";
  let segmentId = 0n;
  let numRows = 0;
  let version = 0;
  let rowBlobs = 0;
  let stamps = { count: 0, value: 0n, same: true };
  const fieldsData: Uint8Array[] = [];
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    switch (tag) {
      case 2 << 3 | 2:
        vchannel = reader.text();
        break;
      case 5 << 3 | 2:
        partitionName = reader.text();
        break;
      case 7 << 3:
        collectionId = reader.int64();
        break;
      case 8 << 3:
        partitionId = reader.int64();
        break;
      case 9 << 3:
        segmentId = reader.int64();
        break;
      case 10 << 3 | 2:
        stamps = merge(stamps, packedSame(reader.view()));
        break;
      case 10 << 3:
        stamps = merge(stamps, { count: 1, value: reader.uint64(), same: true });
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
  const rows = numRows > 0 ? numRows : Math.max(stamps.count, rowBlobs);
  const body = { vchannel, collectionId, partitionId, partitionName, segmentId, rows, ts: stamps.value, fieldsData };
  return { ...body, defect: defectOf(version, rows, stamps, fieldsData.length) };
}

function defectOf(
  version: number,
  rows: number,
  stamps: { count: number; same: boolean },
  columns: number,
): string | undefined {
  if (rows === 0) return undefined;
  if (version === 0) return "is row-based, the form that Milvus wrote before 2.1";
  if (!stamps.same) return "has rows with different timestamps, which no release of Milvus is known to write";
  if (stamps.count !== 0 && stamps.count !== rows) return `says ${rows} rows but has ${stamps.count} timestamps`;
  if (columns === 0) return `says ${rows} rows but has no columns`;
  return undefined;
}

/** Repeated fields may come in several pieces. */
export function merge(
  before: { count: number; value: bigint; same: boolean },
  next: { count: number; value: bigint; same: boolean },
): { count: number; value: bigint; same: boolean } {
  if (before.count === 0) return next;
  if (next.count === 0) return before;
  return {
    count: before.count + next.count,
    value: before.value,
    same: before.same && next.same && before.value === next.value,
  };
}
