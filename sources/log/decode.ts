/** The one dispatch point: each record says itself which generation wrote it, also in a topic that saw an upgrade. */
import type { LogRecord } from "../../pipeline/model/mod.ts";
import type { DecodeContext, Decoded } from "./decoded.ts";
import { decodeGen1 } from "./gen1/decode.ts";
import { decodeGen2 } from "./gen2/decode.ts";
import { isGeneration2 } from "./generation.ts";

/** Decodes one record of a pchannel. Never throws for what a record holds: what cannot be used becomes a block. */
export function decodeRecord(record: LogRecord, context: DecodeContext): Decoded {
  return record.headers.length > 0 && isGeneration2(record) ? decodeGen2(record, context) : decodeGen1(record, context);
}
