/**
 * JSON that carries 64-bit integers. Milvus ids and hybrid timestamps are about 4.6e17, beyond 2^53, so plain
 * `JSON.parse` corrupts them. Every JSON with ids in it goes through this codec.
 */
import { scanJson } from "./json_scan.ts";

/** What {@link parseJson} returns: as JSON, with `bigint` for integers that a double cannot hold. */
export type Json = null | boolean | number | bigint | string | Json[] | { [key: string]: Json };

export interface ParseJsonOptions {
  /** `unsafe` (default): only integers beyond ±2^53 become bigint. `all`: every integer does. */
  bigint?: "unsafe" | "all";
}

const INTEGER = /^-?\d+$/;

/** Parses JSON text without rounding an integer. Throws `SyntaxError` as `JSON.parse` does. */
export function parseJson(text: string, options: ParseJsonOptions = {}): Json {
  const all = options.bigint === "all";
  try {
    return scanJson(text, all) as Json;
  } catch {
    // What is wrong with it, and where, is said by the engine's own parser.
    return reviveJson(text, all);
  }
}

function reviveJson(text: string, all: boolean): Json {
  const reviver = (_key: string, value: unknown, context: { source?: string }): unknown => {
    if (typeof value !== "number" || context.source === undefined || !INTEGER.test(context.source)) return value;
    return all || !Number.isSafeInteger(value) ? BigInt(context.source) : value;
  };
  return JSON.parse(text, reviver as (key: string, value: unknown) => unknown) as Json;
}

/** Writes JSON with `bigint` as bare integers. `indent` as in `JSON.stringify`. Keys keep their order. */
export function formatJson(value: unknown, indent?: number): string {
  const raw = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON;
  const text = JSON.stringify(value, (_key, item) => typeof item === "bigint" ? raw(item.toString()) : item, indent);
  return text ?? "null";
}
