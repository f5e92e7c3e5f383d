/** Records of generation 2 (streaming WAL, 2.6 and 3.0). */
import type { LogRecord } from "../../../pipeline/model/mod.ts";
import type { DecodeContext, Decoded } from "../decoded.ts";
import { headerText } from "../headers.ts";

export function decodeGen2(record: LogRecord, context: DecodeContext): Decoded {
  const type = Number.parseInt(headerText(record, "_t") ?? "0");
  return {
    kind: "block",
    generation: 2,
    ts: 0n,
    pchannel: context.pchannel,
    vchannel: headerText(record, "_vc") ?? "",
    offset: record.offset,
    bytes: record.value?.length ?? 0,
    collectionId: -1n,
    type,
    reason: "Generation 2 of the log (Milvus 2.6 and later) is not supported yet",
  };
}
