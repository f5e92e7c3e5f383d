/** Typed access to parsed JSON of Go's making: what is absent is the type's zero value. */
import { TidemarkError } from "../../pipeline/errors.ts";
import { type Json, parseJson } from "../../pipeline/json.ts";

export interface JsonObject {
  text(key: string): string;
  int(key: string): bigint;
  /** Of base64. */
  bytes(key: string): Uint8Array;
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
  /** A map of base64. */
  bytesMap(key: string): Map<string, Uint8Array>;
  /** `[{key, value}, …]` as a record. */
  pairs(key: string): Record<string, string>;
  has(key: string): boolean;
  /** As it is; undefined if absent. */
  value(key: string): Json | undefined;
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
  return new RawReader(json, what);
}

type Raw = { [key: string]: Json };

function isObject(json: Json | undefined): json is Raw {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

/** A large file has a million objects: a reader of one holds its place, from which only an error makes a text. */
class RawReader implements JsonObject {
  readonly #raw: Raw;
  /** Name of the file, or the object that holds this one. */
  readonly #parent: string | RawReader;
  readonly #key: string;
  /** -1: not in a list. */
  readonly #index: number;

  constructor(raw: Raw, parent: string | RawReader, key = "", index = -1) {
    this.#raw = raw;
    this.#parent = parent;
    this.#key = key;
    this.#index = index;
  }

  keysOf(key: string): string[] {
    const value = this.#raw[key] ?? null;
    return isObject(value) ? Object.keys(value) : [];
  }

  has(key: string): boolean {
    return this.#raw[key] !== undefined && this.#raw[key] !== null;
  }

  value(key: string): Json | undefined {
    return this.#raw[key];
  }

  text(key: string): string {
    const value = this.#raw[key] ?? "";
    return typeof value === "string" ? value : this.#fail(key, "a text");
  }

  bytes(key: string): Uint8Array {
    return this.#decoded(key, this.text(key));
  }

  int(key: string): bigint {
    const value = this.#raw[key] ?? 0n;
    return typeof value === "bigint" ? value : this.#fail(key, "an integer");
  }

  small(key: string): number {
    const value = this.int(key);
    return value >= -(2n ** 31n) && value < 2n ** 31n ? Number(value) : this.#fail(key, "an integer of 32 bits");
  }

  flag(key: string): boolean {
    const value = this.#raw[key] ?? false;
    return typeof value === "boolean" ? value : this.#fail(key, "true or false");
  }

  list(key: string): JsonObject[] {
    return this.#array(key).map((item, index) =>
      isObject(item) ? new RawReader(item, this, key, index) : this.#fail(key, "a list of objects")
    );
  }

  texts(key: string): string[] {
    return this.#array(key).map((item) => typeof item === "string" ? item : this.#fail(key, "a list of texts"));
  }

  ints(key: string): bigint[] {
    return this.#array(key).map((item) => typeof item === "bigint" ? item : this.#fail(key, "a list of integers"));
  }

  object(key: string): JsonObject | undefined {
    const value = this.#raw[key] ?? null;
    if (value === null) return undefined;
    return isObject(value) ? new RawReader(value, this, key) : this.#fail(key, "an object");
  }

  map(key: string): Record<string, string> {
    const value = this.#raw[key] ?? null;
    if (value === null) return {};
    if (!isObject(value)) return this.#fail(key, "an object");
    const texts = Object.entries(value).map(([name, item]) =>
      [name, typeof item === "string" ? item : this.#fail(key, "a map of texts")] as const
    );
    return Object.fromEntries(texts);
  }

  bytesMap(key: string): Map<string, Uint8Array> {
    return new Map(Object.entries(this.map(key)).map(([name, text]) => [name, this.#decoded(key, text)]));
  }

  #decoded(key: string, base64: string): Uint8Array {
    try {
      return Uint8Array.fromBase64(base64);
    } catch {
      return this.#fail(key, "base64");
    }
  }

  pairs(key: string): Record<string, string> {
    return Object.fromEntries(this.list(key).map((pair) => [pair.text("key"), pair.text("value")]));
  }

  #array(key: string): Json[] {
    const value = this.#raw[key] ?? null;
    if (value === null) return [];
    return Array.isArray(value) ? value : this.#fail(key, "a list");
  }

  #place(): string {
    if (typeof this.#parent === "string") return this.#parent;
    return `${this.#parent.#place()}: ${this.#key}${this.#index < 0 ? "" : `[${this.#index}]`}`;
  }

  #fail(key: string, expected: string): never {
    throw new TidemarkError("damaged", `${this.#place()}: ${key} should be ${expected}`);
  }
}
