/** common.MsgBase, which is field 1 of every generation-1 payload. */
import type { WireReader } from "../wire.ts";

export interface Base {
  /** common.MsgType. */
  readonly type: number;
  /** Unique per insert and delete message; 0 in ticks and DDL. */
  readonly msgId: bigint;
  /** 0 in the insert half of an upsert (2.3.5). */
  readonly ts: bigint;
}

const BASE = 1 << 3 | 2;
const MSG_TYPE = 1 << 3 | 0;
const MSG_ID = 2 << 3 | 0;
const TIMESTAMP = 3 << 3 | 0;

/** Reads up to and including the base, which writers put first; undefined where the payload has none. */
export function readBase(reader: WireReader): Base | undefined {
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag !== BASE) {
      reader.skip(tag);
      continue;
    }
    const base = reader.message();
    let type = 0;
    let msgId = 0n;
    let ts = 0n;
    for (let inner = base.tag(); inner !== 0; inner = base.tag()) {
      if (inner === MSG_TYPE) type = base.uint32();
      else if (inner === MSG_ID) msgId = base.int64();
      else if (inner === TIMESTAMP) ts = base.uint64();
      else base.skip(inner);
    }
    return { type, msgId, ts };
  }
  return undefined;
}
