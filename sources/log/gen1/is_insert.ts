/** Whether a record is an insert of rows, told from its beginning. */
import type { LogRecord } from "../../../pipeline/model/mod.ts";
import { MsgType } from "../../../pipeline/proto/gen/common_pb.ts";
import { isGeneration2 } from "../generation.ts";
import { headersLength, type RecordFront } from "../kafka/record_batch.ts";
import { WireError, WireReader } from "../wire.ts";
import { readBase } from "./base.ts";

/** Tag of field 1, length-delimited. */
const BASE_FIRST = 1 << 3 | 2;

/** Of a W3C trace: the only header that inserts of 2.3 have. */
const TRACE = headersLength([{ name: "traceparent", bytes: 55 }]);
const NONE = headersLength([]);

/**
 * True if the record is of generation 1 and an insert; false also where its beginning does not say. Headers come behind the
 * value, so here only their length is known: with that of a trace, or none, they cannot be the five that every row message
 * of generation 2 has (`_v`, `_t`, `_tt`, `_vc`, `_h`), of which the vchannel's name alone is nearly as long. Even if they
 * were, the body would be that of an insert.
 */
export function beginsAsInsert(front: RecordFront | undefined): boolean {
  if (front === undefined || (front.headersLength !== NONE && front.headersLength !== TRACE)) return false;
  return hasInsertBase(front.value);
}

/** As {@link beginsAsInsert}, of a whole record. */
export function isInsert(record: Pick<LogRecord, "headers" | "value">): boolean {
  return record.value !== null && !isGeneration2(record) && hasInsertBase(record.value);
}

function hasInsertBase(value: Uint8Array): boolean {
  if (value[0] !== BASE_FIRST) return false;
  try {
    return readBase(new WireReader(value))?.type === MsgType.Insert;
  } catch (error) {
    if (error instanceof WireError) return false;
    throw error;
  }
}
