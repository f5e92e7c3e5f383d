/**
 * Log records as JSON lines: `{topic, partition, offset, key, headers: {name: base64}, value: base64, note}`. Offsets are
 * numbers or decimal text, a missing or null value is a record without one.
 */
import { TidemarkError } from "../../../pipeline/errors.ts";
import { type Json, parseJson } from "../../../pipeline/json.ts";
import type { LogRecord } from "../../../pipeline/model/mod.ts";

/** Records in file order; empty lines are passed over. `name`: of the file, for errors. Throws `damaged` with the line's number. */
export function parseRecords(text: string, name: string): LogRecord[] {
  const records: LogRecord[] = [];
  text.split("\n").forEach((line, i) => {
    if (line.trim() === "") return;
    try {
      records.push(recordOf(parseJson(line)));
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new TidemarkError("damaged", `${name}:${i + 1} is no log record: ${why}`, {
        hint: 'A line is {"topic": …, "offset": …, "headers": {name: base64}, "value": base64}.',
        cause,
      });
    }
  });
  return records;
}

function recordOf(json: Json): LogRecord {
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw new Error("expected an object");
  const { topic, offset, headers = {}, value = null } = json;
  if (typeof topic !== "string") throw new Error("expected topic to be text");
  if (typeof headers !== "object" || headers === null || Array.isArray(headers)) {
    throw new Error("expected headers to be an object");
  }
  if (value !== null && typeof value !== "string") throw new Error("expected value to be base64 text or null");
  return {
    topic,
    offset: offsetOf(offset),
    timestampMs: 0n,
    headers: Object.entries(headers).map(([key, text]) => {
      if (typeof text !== "string") throw new Error(`expected header ${key} to be base64 text`);
      return [key, Uint8Array.fromBase64(text)] as const;
    }),
    value: value === null ? null : Uint8Array.fromBase64(value),
  };
}

function offsetOf(offset: Json | undefined): bigint {
  if (typeof offset === "bigint") return offset;
  if (typeof offset === "number" && Number.isSafeInteger(offset)) return BigInt(offset);
  if (typeof offset === "string" && /^\d+$/.test(offset)) return BigInt(offset);
  throw new Error("expected offset to be an integer");
}
