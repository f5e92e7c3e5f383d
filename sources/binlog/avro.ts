/**
 * Avro, as far as manifests need it: the binary form of values by a schema, and the object container file around them.
 * https://avro.apache.org/docs/1.11.1/specification/
 *
 * Longs are bigint. Every count and length is held against the bytes that are there, so broken bytes end in an error.
 */
import { inflateRawSync } from "node:zlib";
import { type Json, parseJson } from "../../pipeline/json.ts";

/** A decoded value: records and maps are Maps by name. */
export type AvroValue =
  | null
  | boolean
  | bigint
  | number
  | string
  | Uint8Array
  | AvroValue[]
  | ReadonlyMap<string, AvroValue>;

/** More entries in one file no manifest has; each takes memory even where it takes no byte. */
const MOST_ITEMS = 10_000_000;
/** A block that is larger when it is inflated is not read. */
const MOST_INFLATED = 256 * 1024 ** 2;
const MOST_DEPTH = 32;

const UTF8 = new TextDecoder("utf-8", { fatal: true });

/** Reads values one behind the other. Every method throws a plain error where the bytes end. */
export class AvroReader {
  #at = 0;
  #items = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** int and long: a zigzag varint. */
  long(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw new RangeError("the bytes end within a number");
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n));
    }
    throw new RangeError("a number has more than ten bytes");
  }

  boolean(): boolean {
    const byte = this.view(1)[0]!;
    if (byte > 1) throw new RangeError(`${byte} is neither true nor false`);
    return byte === 1;
  }

  bytes(): Uint8Array {
    return this.view(this.#length(this.long()));
  }

  string(): string {
    return UTF8.decode(this.bytes());
  }

  /** `count` bytes as they are. */
  view(count: number): Uint8Array {
    if (count > this.#bytes.length - this.#at) {
      throw new RangeError(`${count} bytes expected where ${this.#bytes.length - this.#at} are left`);
    }
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  /** The items of an array, in blocks until one of no items; a negative count has the block's size behind it. */
  array<T>(item: () => T): T[] {
    const items: T[] = [];
    for (;;) {
      let count = this.long();
      if (count === 0n) return items;
      if (count < 0n) {
        count = -count;
        this.long();
      }
      for (let left = this.#length(count); left > 0; left--) {
        if (++this.#items > MOST_ITEMS) throw new RangeError(`more than ${MOST_ITEMS} entries`);
        items.push(item());
      }
    }
  }

  map<T>(value: () => T): Map<string, T> {
    return new Map(this.array((): [string, T] => [this.string(), value()]));
  }

  #length(value: bigint): number {
    if (value < 0n || value > 2n ** 40n) throw new RangeError(`a length of ${value}`);
    return Number(value);
  }
}

export const AVRO_MAGIC = [0x4f, 0x62, 0x6a, 0x01] as const;

/** The records of an object container file, by the schema that it carries. Throws a plain error. */
export function readAvroFile(file: Uint8Array): AvroValue[] {
  if (!AVRO_MAGIC.every((byte, i) => file[i] === byte)) {
    throw new Error("it does not begin as an Avro file does");
  }
  const header = new AvroReader(file.subarray(4));
  const meta = header.map(() => header.bytes());
  const sync = header.view(16);
  const schema = parseJson(UTF8.decode(meta.get("avro.schema") ?? new Uint8Array()));
  const codec = UTF8.decode(meta.get("avro.codec") ?? new TextEncoder().encode("null"));
  const records: AvroValue[] = [];
  while (!header.done) {
    const count = header.long();
    const block = unpacked(header.bytes(), codec);
    if (header.view(16).some((byte, i) => byte !== sync[i])) throw new Error("a block does not end in the file's mark");
    const values = new AvroReader(block);
    for (let i = 0n; i < count; i++) records.push(readBySchema(values, schema));
  }
  return records;
}

/** A codec that is not read here. */
export class UnknownCodec extends Error {}

function unpacked(block: Uint8Array, codec: string): Uint8Array {
  if (codec === "null") return block;
  if (codec === "deflate") return inflateRawSync(block, { maxOutputLength: MOST_INFLATED });
  throw new UnknownCodec(`the codec ${codec}`);
}

/** One value. Named types (records, enums, fixed) may be referred to by name further on. */
export function readBySchema(reader: AvroReader, schema: Json): AvroValue {
  return valueOf(reader, schema, new Map(), 0);
}

type Named = Map<string, Json>;

function valueOf(reader: AvroReader, schema: Json, named: Named, depth: number): AvroValue {
  if (depth > MOST_DEPTH) throw new RangeError("the schema has no end");
  if (typeof schema === "string") return primitive(reader, schema, named, depth);
  if (Array.isArray(schema)) {
    const branch = schema[Number(reader.long())];
    if (branch === undefined) throw new RangeError("a union has no such branch");
    return valueOf(reader, branch, named, depth + 1);
  }
  if (schema === null || typeof schema !== "object") throw new Error("a schema is neither a name nor an object");
  const { type } = schema;
  if (typeof schema.name === "string") {
    named.set(schema.name, schema);
    if (typeof schema.namespace === "string") named.set(`${schema.namespace}.${schema.name}`, schema);
  }
  const inner = (part: Json | undefined) => () => valueOf(reader, part ?? null, named, depth + 1);
  switch (type) {
    case "record": {
      if (!Array.isArray(schema.fields)) throw new Error("a record has no fields");
      const record = new Map<string, AvroValue>();
      for (const field of schema.fields) {
        if (field === null || typeof field !== "object" || Array.isArray(field)) {
          throw new Error("a field is no object");
        }
        record.set(String(field.name), inner(field.type)());
      }
      return record;
    }
    case "array":
      return reader.array(inner(schema.items));
    case "map":
      return reader.map(inner(schema.values));
    case "fixed":
      return reader.view(Number(schema.size));
    case "enum": {
      const symbol = Array.isArray(schema.symbols) ? schema.symbols[Number(reader.long())] : undefined;
      if (typeof symbol !== "string") throw new RangeError("an enum has no such symbol");
      return symbol;
    }
    default:
      return inner(type)();
  }
}

function primitive(reader: AvroReader, type: string, named: Named, depth: number): AvroValue {
  switch (type) {
    case "null":
      return null;
    case "boolean":
      return reader.boolean();
    case "int":
    case "long":
      return reader.long();
    case "float":
    case "double": {
      const size = type === "float" ? 4 : 8;
      const { buffer, byteOffset } = reader.view(size);
      const view = new DataView(buffer, byteOffset, size);
      return size === 4 ? view.getFloat32(0, true) : view.getFloat64(0, true);
    }
    case "bytes":
      return reader.bytes();
    case "string":
      return reader.string();
    default: {
      const known = named.get(type);
      if (known === undefined) throw new Error(`a type ${type} that the schema does not have`);
      return valueOf(reader, known, named, depth + 1);
    }
  }
}
