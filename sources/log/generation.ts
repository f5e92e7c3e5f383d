/** Which generation of Milvus' log wrote a record. */
import type { LogRecord } from "../../pipeline/model/mod.ts";
import { headerBytes } from "./headers.ts";

/** True for records of the streaming WAL (2.6, 3.0; opt-in in 2.5): they have a non-empty header `_v`. */
export function isGeneration2(record: Pick<LogRecord, "headers">): boolean {
  const version = headerBytes(record, "_v");
  return version !== undefined && version.length > 0;
}
