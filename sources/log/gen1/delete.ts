/**
 * msg.DeleteRequest (401). Keys are in `primary_keys`, or in `int64_primary_keys` of old writers; a delete by predicate
 * (3.0) has neither but a serialised plan.
 */
import type { Keys } from "../../../pipeline/model/mod.ts";
import { packedInt64, WireError, type WireReader } from "../wire.ts";
import { noPlace, readPlace, stampsOf } from "./place.ts";

export interface DeleteBody {
  readonly vchannel: string;
  readonly collectionId: bigint;
  /** -1 = all partitions. */
  readonly partitionId: bigint;
  readonly partitionName: string;
  readonly keys: Keys;
  /** The one timestamp of all keys; 0 where there is none. */
  readonly ts: bigint;
  /** One per key, only where they differ. */
  readonly timestamps: BigUint64Array | undefined;
  /** It names no keys but this plan, which selects rows: a serialised plan.PlanNode. */
  readonly predicate: Uint8Array | undefined;
  readonly defect: string | undefined;
}

const ALL_PARTITIONS = -1n;

/** `reader` stands behind the base or at the start. Throws WireError. */
export function readDelete(reader: WireReader): DeleteBody {
  const place = noPlace();
  let legacy: bigint[] | BigInt64Array = [];
  let keys: Keys | undefined;
  let predicate: Uint8Array | undefined;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (readPlace(place, tag, reader)) continue;
    switch (tag) {
      case 9 << 3 | 2:
        legacy = [...legacy, ...packedInt64(reader.view())];
        break;
      case 9 << 3:
        legacy = [...legacy, reader.int64()];
        break;
      case 12 << 3 | 2:
        keys = readIds(reader.message());
        break;
      case 14 << 3 | 2:
        predicate = reader.view();
        if (predicate.length === 0) predicate = undefined;
        break;
      default:
        reader.skip(tag);
    }
  }
  const { vchannel, collectionId, partitionName } = place;
  const partitionId = place.partitionId === 0n && partitionName === "" ? ALL_PARTITIONS : place.partitionId;
  keys ??= { kind: "int64", values: legacy };
  const { count, ts, timestamps } = stampsOf(place);
  const length = keys.values.length;
  const defect = timestamps !== undefined && count !== length
    ? `has ${length} keys but ${count} timestamps`
    : undefined;
  return { vchannel, collectionId, partitionId, partitionName, keys, ts, timestamps, predicate, defect };
}

/** schema.IDs: int_id = 1 (LongArray), str_id = 2 (StringArray); the arrays have `data` = 1. */
function readIds(ids: WireReader): Keys | undefined {
  let keys: Keys | undefined;
  for (let tag = ids.tag(); tag !== 0; tag = ids.tag()) {
    if (tag === (1 << 3 | 2)) keys = { kind: "int64", values: readLongs(ids.message()) };
    else if (tag === (2 << 3 | 2)) keys = { kind: "varchar", values: readTexts(ids.message()) };
    else if (tag >>> 3 === 3) throw new WireError("Primary keys are UUIDs, which are not supported");
    else ids.skip(tag);
  }
  return keys;
}

function readLongs(array: WireReader): bigint[] | BigInt64Array {
  let values: bigint[] | BigInt64Array = [];
  for (let tag = array.tag(); tag !== 0; tag = array.tag()) {
    if (tag === (1 << 3 | 2)) {
      const more = packedInt64(array.view());
      values = values.length === 0 ? more : [...values, ...more];
    } else if (tag === 1 << 3) values = [...values, array.int64()];
    else array.skip(tag);
  }
  return values;
}

function readTexts(array: WireReader): string[] {
  const values: string[] = [];
  for (let tag = array.tag(); tag !== 0; tag = array.tag()) {
    if (tag === (1 << 3 | 2)) values.push(array.text());
    else array.skip(tag);
  }
  return values;
}
