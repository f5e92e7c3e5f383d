/** What the beginning of a payload says already. */
import { MsgType } from "../../../pipeline/proto/gen/common_pb.ts";
import { WireError, WireReader } from "../wire.ts";
import { readBase } from "./base.ts";

/** Tag of field 1, length-delimited. */
const BASE_FIRST = 1 << 3 | 2;

/**
 * True if the payload that begins with `front` is an insert of rows, of which only the rows are to be learnt. False also
 * where the beginning does not say. Only for a record without headers: with them it may be of generation 2.
 */
export function isInsert(front: Uint8Array): boolean {
  if (front[0] !== BASE_FIRST) return false;
  try {
    return readBase(new WireReader(front))?.type === MsgType.Insert;
  } catch (error) {
    if (error instanceof WireError) return false;
    throw error;
  }
}
