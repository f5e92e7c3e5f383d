/** Kafka headers of a record by name. */
import type { LogRecord } from "../../pipeline/model/mod.ts";

const utf8 = new TextDecoder();

/** Value of the first header of that name. */
export function headerBytes(record: Pick<LogRecord, "headers">, name: string): Uint8Array | undefined {
  for (const header of record.headers) if (header[0] === name) return header[1];
  return undefined;
}

export function headerText(record: Pick<LogRecord, "headers">, name: string): string | undefined {
  const value = headerBytes(record, name);
  return value === undefined ? undefined : utf8.decode(value);
}
