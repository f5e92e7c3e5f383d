/**
 * ImportTaskInfo of 2.2 and 2.3, which later protos no longer have. Seen on 2.3.5: id 1, collection_id 4, state 11
 * {stateCode 1, segments 2, row_count 4}.
 */
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import type { ImportReading } from "./readings.ts";
import { damagedKey } from "./keys.ts";

export type OldImport = ImportReading;

/** common.ImportState. */
const STATES: Readonly<Record<number, readonly [OldImport["state"], string]>> = {
  0: ["pending", "Pending"],
  1: ["failed", "Failed"],
  2: ["pending", "Started"],
  5: ["persisted", "Persisted"],
  6: ["completed", "Completed"],
  7: ["failed", "FailedAndCleaned"],
  // Flushed: between Persisted and Completed.
  8: ["persisted", "Flushed"],
};

/** Throws `damaged`. */
export function decodeOldImport(value: Uint8Array, key: string): OldImport {
  let [id, collectionId] = [0n, 0n];
  let state: TaskState = { code: 0, segmentIds: [], rows: 0n };
  try {
    const reader = new BinaryReader(value);
    while (reader.pos < reader.len) {
      const [field, wire] = reader.tag();
      if (field === 1) id = BigInt(reader.int64());
      else if (field === 4) collectionId = BigInt(reader.int64());
      else if (field === 11) state = taskState(reader.bytes());
      else reader.skip(wire, field);
    }
  } catch (cause) {
    throw damagedKey(key, `its ${value.length} bytes are no ImportTaskInfo: ${(cause as Error).message}`, cause);
  }
  if (collectionId === 0n) throw damagedKey(key, "it names no collection");
  const [kind, stateName] = STATES[state.code] ?? ["other", `state ${state.code}`] as const;
  return { id, collectionId, state: kind, stateName, segmentIds: state.segmentIds, rows: state.rows };
}

interface TaskState {
  readonly code: number;
  readonly segmentIds: readonly bigint[];
  readonly rows: bigint;
}

function taskState(bytes: Uint8Array): TaskState {
  const reader = new BinaryReader(bytes);
  const segmentIds: bigint[] = [];
  let [code, rows] = [0, 0n];
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    if (field === 1) code = reader.int32();
    else if (field === 4) rows = BigInt(reader.int64());
    else if (field !== 2) reader.skip(wire, field);
    else if (wire === WireType.LengthDelimited) {
      // Packed, as proto3 writes repeated numbers.
      const end = reader.uint32() + reader.pos;
      while (reader.pos < end) segmentIds.push(BigInt(reader.int64()));
    } else segmentIds.push(BigInt(reader.int64()));
  }
  return { code, segmentIds, rows };
}
