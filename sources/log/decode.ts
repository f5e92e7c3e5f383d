/** The one dispatch point: each record says itself which generation wrote it, also in a topic that saw an upgrade. */
import type { BlockEvent, LogRecord } from "../../pipeline/model/mod.ts";
import { positionsOf } from "../../pipeline/positions/mod.ts";
import type { DecodeContext, Decoded } from "./decoded.ts";
import { decodeGen1 } from "./gen1/decode.ts";
import { decodeGen2 } from "./gen2/decode.ts";
import { isGeneration2 } from "./generation.ts";

/** Decodes one record of a pchannel. Never throws for what a record holds: what cannot be used becomes a block. */
export function decodeRecord(record: LogRecord, context: DecodeContext): Decoded {
  const decoded = record.headers.length > 0 && isGeneration2(record)
    ? decodeGen2(record, context)
    : decodeGen1(record, context);
  return decoded.kind === "block" ? withPlace(decoded, record, context) : decoded;
}

/** The reason ends with the record's place, as people find it in this queue. */
function withPlace(event: BlockEvent, { offset, topic }: LogRecord, { queue = "kafka" }: DecodeContext): BlockEvent {
  const place = queue === "kafka" ? `offset ${offset}` : `at ${positionsOf(queue).format(offset)}`;
  return { ...event, reason: `${event.reason} (${place} of ${topic})` };
}
