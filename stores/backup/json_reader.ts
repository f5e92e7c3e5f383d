/** Typed access to parsed JSON of Go's making: what is absent is the type's zero value. */
import { TidemarkError } from "../../pipeline/errors.ts";
import { type Json, parseJson } from "../../pipeline/json.ts";

export interface JsonObject {
  text(key: string): string;
  int(key: string): bigint;
  /** For small numbers only: enums, counts below 2^31. */
  small(key: string): number;
  flag(key: string): boolean;
  list(key: string): JsonObject[];
  texts(key: string): string[];
  ints(key: string): bigint[];
  /** Undefined if absent. */
  object(key: string): JsonObject | undefined;
  /** A map of strings. */
  map(key: string): Record<string, string>;
  /** `[{key, value}, …]` as a record. */
  pairs(key: string): Record<string, string>;
  has(key: string): boolean;
  /** Names of the keys of the object at `key`. */
  keysOf(key: string): string[];
}

/** `what` names the file in errors. Throws `damaged` for text that is no JSON object. */
export function readJsonObject(text: string, what: string): JsonObject {
  let json: Json;
  try {
    json = parseJson(text, { bigint: "all" });
  } catch (cause) {
    throw new TidemarkError("damaged", `${what} is not JSON: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    });
  }
  if (!isObject(json)) throw new TidemarkError("damaged", `${what} holds no JSON object`);
  return wrap(json, () => what);
}

type Raw = { [key: string]: Json };

function isObject(json: Json | undefined): json is Raw {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

/** `what` is asked only for an error: a large file has a million objects. */
function wrap(raw: Raw, what: () => string): JsonObject {
  const fail = (key: string, expected: string): never => {
    throw new TidemarkError("damaged", `${what()}: ${key} should be ${expected}`);
  };
  const array = (key: string): Json[] => {
    const value = raw[key] ?? null;
    if (value === null) return [];
    return Array.isArray(value) ? value : fail(key, "a list");
  };
  const reader: JsonObject = {
    keysOf(key) {
      const value = raw[key] ?? null;
      return isObject(value) ? Object.keys(value) : [];
    },
    has: (key) => raw[key] !== undefined && raw[key] !== null,
    text(key) {
      const value = raw[key] ?? "";
      return typeof value === "string" ? value : fail(key, "a text");
    },
    int(key) {
      const value = raw[key] ?? 0n;
      return typeof value === "bigint" ? value : fail(key, "an integer");
    },
    small(key) {
      const value = reader.int(key);
      return value >= -(2n ** 31n) && value < 2n ** 31n ? Number(value) : fail(key, "an integer of 32 bits");
    },
    flag(key) {
      const value = raw[key] ?? false;
      return typeof value === "boolean" ? value : fail(key, "true or false");
    },
    list: (key) =>
      array(key).map((item, index) =>
        isObject(item) ? wrap(item, () => `${what()}: ${key}[${index}]`) : fail(key, "a list of objects")
      ),
    texts: (key) => array(key).map((item) => typeof item === "string" ? item : fail(key, "a list of texts")),
    ints: (key) => array(key).map((item) => typeof item === "bigint" ? item : fail(key, "a list of integers")),
    object(key) {
      const value = raw[key] ?? null;
      if (value === null) return undefined;
      return isObject(value) ? wrap(value, () => `${what()}: ${key}`) : fail(key, "an object");
    },
    map(key) {
      const value = raw[key] ?? null;
      if (value === null) return {};
      if (!isObject(value)) return fail(key, "an object");
      return Object.fromEntries(
        Object.entries(value).map((
          [name, item],
        ) => [name, typeof item === "string" ? item : fail(key, "a map of texts")]),
      );
    },
    pairs: (key) => Object.fromEntries(reader.list(key).map((pair) => [pair.text("key"), pair.text("value")])),
  };
  return reader;
}
