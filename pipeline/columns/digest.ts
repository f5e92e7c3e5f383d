/**
 * One 64-bit digest of each row's content, to compare two copies of it. Not cryptographic: two lanes of 32 bits, each step
 * a bijection of the state, finished as in MurmurHash3; two different contents of one key are taken for equal with a
 * probability of about 2^-64.
 */
import type { Column } from "../model/mod.ts";
import { DataType } from "../proto/gen/schema_pb.ts";
import { canonicalJson } from "./canonical_json.ts";
import { decodeFieldData } from "./decode.ts";
import { parseScalarField, parseVectorField } from "./nested.ts";
import { decodeUtf8 } from "./utf8.ts";
import { broken } from "./wire.ts";

export interface DigestOptions {
  /**
   * `meaning` (default): texts of one JSON value are equal whatever their spaces, key order and way to write a number;
   * `bytes`: as they are.
   */
  readonly json?: "meaning" | "bytes";
  /** Columns to leave out, by name. */
  readonly ignore?: ReadonlySet<string>;
}

/** Of encoded columns. Throws `damaged`. */
export function rowDigests(
  fieldsData: readonly Uint8Array[],
  rows: number,
  options: DigestOptions = {},
): BigUint64Array<ArrayBuffer> {
  return columnDigests(fieldsData.map((bytes) => decodeFieldData(bytes, rows)), rows, options);
}

/**
 * The order of columns and their field ids do not count, their names do. A null is as if the column were not there, and
 * a dynamic column of `{}` too. Floats count by their bits, arrays by their elements.
 */
export function columnDigests(
  columns: readonly Column[],
  rows: number,
  options: DigestOptions = {},
): BigUint64Array<ArrayBuffer> {
  const state = new Int32Array(rows * 2);
  const hasher = new Hasher();
  const sorted = [...columns].sort((a, b) => nameOf(a) < nameOf(b) ? -1 : 1);
  for (const column of sorted) {
    if (options.ignore?.has(nameOf(column))) continue;
    absorbColumn(column, rows, state, hasher, options.json ?? "meaning");
  }
  for (let row = 0; row < rows; row++) {
    hasher.load(state, row);
    hasher.finish();
    hasher.store(state, row);
  }
  return new BigUint64Array(state.buffer);
}

function nameOf(column: Column): string {
  return column.isDynamic ? "$meta" : column.name;
}

class Hasher {
  a = 0;
  b = 0;

  load(state: Int32Array, row: number): void {
    this.a = state[row * 2]!;
    this.b = state[row * 2 + 1]!;
  }

  store(state: Int32Array, row: number): void {
    state[row * 2] = this.a;
    state[row * 2 + 1] = this.b;
  }

  word(value: number): void {
    const a = this.a ^ value;
    this.a = Math.imul((a << 15) | (a >>> 17), 0xcc9e2d51 | 0);
    const b = this.b ^ Math.imul(value, 0x85ebca6b | 0);
    this.b = (Math.imul((b << 13) | (b >>> 19), 0x1b873593) + this.a) | 0;
  }

  words(values: Int32Array, from: number, to: number): void {
    let { a, b } = this;
    for (let i = from; i < to; i++) {
      const value = values[i]!;
      a ^= value;
      a = Math.imul((a << 15) | (a >>> 17), 0xcc9e2d51 | 0);
      b ^= Math.imul(value, 0x85ebca6b | 0);
      b = (Math.imul((b << 13) | (b >>> 19), 0x1b873593) + a) | 0;
    }
    this.a = a;
    this.b = b;
  }

  /** The length and the bytes, four at a time. */
  bytes(bytes: Uint8Array, from = 0, to = bytes.length): void {
    this.word(to - from);
    let i = from;
    for (; i + 4 <= to; i += 4) {
      this.word(bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24));
    }
    let rest = 0;
    for (let shift = 0; i < to; i++, shift += 8) rest |= bytes[i]! << shift;
    this.word(rest);
  }

  text(text: string): void {
    this.word(text.length);
    for (let i = 0; i < text.length; i += 2) this.word(text.charCodeAt(i) | (text.charCodeAt(i + 1) << 16));
  }

  finish(): void {
    this.a = (mix(this.a) + this.b) | 0;
    this.b = (mix(this.b) + this.a) | 0;
    this.a = mix((this.a + this.b) | 0);
    this.b = mix((this.b + this.a) | 0);
  }
}

function mix(value: number): number {
  let hash = Math.imul(value ^ (value >>> 16), 0x85ebca6b | 0);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35 | 0);
  return hash ^ (hash >>> 16);
}

function absorbColumn(
  column: Column,
  rows: number,
  state: Int32Array,
  hasher: Hasher,
  json: "meaning" | "bytes",
): void {
  const { valid } = column;
  const seed = new Hasher();
  seed.text(nameOf(column));
  seed.finish();
  const absorb = absorber(column, hasher, json);
  for (let row = 0; row < rows; row++) {
    if (valid !== undefined && valid[row] === 0) continue;
    hasher.load(state, row);
    const { a, b } = hasher;
    hasher.word(seed.a);
    hasher.word(seed.b);
    if (absorb(row) === "nothing") {
      hasher.a = a;
      hasher.b = b;
    }
    hasher.store(state, row);
  }
}

function absorber(column: Column, hasher: Hasher, json: "meaning" | "bytes"): (row: number) => "nothing" | void {
  const { data } = column;
  switch (data.kind) {
    case "bool":
      return (row) => hasher.word(data.values[row] === 0 ? 0 : 1);
    case "int32":
      return (row) => hasher.word(data.values[row]!);
    case "float": {
      const words = wordsOf(data.values);
      return (row) => hasher.words(words, row, row + 1);
    }
    case "int64":
    case "double": {
      const words = wordsOf(data.values);
      return (row) => hasher.words(words, row * 2, row * 2 + 2);
    }
    case "utf8":
      return (row) => hasher.bytes(data.values[row]!);
    case "fixed":
      return dense(data.bytes, data.width, hasher);
    case "bytes":
      switch (column.type) {
        case DataType.JSON:
          return (row) => absorbJson(data.values[row]!, column.isDynamic, hasher, json);
        case DataType.Array:
          return (row) => absorbElements(parseScalarField(data.values[row]!, column.elementType), hasher);
        case DataType.ArrayOfVector:
          return (row) => absorbElements(parseVectorField(data.values[row]!, column.elementType, column.dim), hasher);
        case DataType.SparseFloatVector:
          return (row) => hasher.bytes(sortedPairs(data.values[row]!, column.name));
        default:
          return (row) => hasher.bytes(data.values[row]!);
      }
  }
}

function wordsOf(values: BigInt64Array | Float32Array | Float64Array): Int32Array {
  return new Int32Array(values.buffer, values.byteOffset, values.byteLength / 4);
}

function dense(bytes: Uint8Array, width: number, hasher: Hasher): (row: number) => void {
  if (width % 4 !== 0) return (row) => hasher.bytes(bytes, row * width, (row + 1) * width);
  // A Buffer of Node would give a view for slice().
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
  const words = new Int32Array(aligned.buffer, aligned.byteOffset, aligned.length >> 2);
  const each = width / 4;
  return (row) => hasher.words(words, row * each, (row + 1) * each);
}

function absorbJson(bytes: Uint8Array, dynamic: boolean, hasher: Hasher, json: "meaning" | "bytes"): "nothing" | void {
  const text = json === "meaning" || dynamic ? decodeUtf8(bytes) : undefined;
  const meaning = text === undefined ? undefined : canonicalJson(text);
  if (dynamic && (meaning === "{}" || bytes.length === 0)) return "nothing";
  if (json === "meaning" && meaning !== undefined) hasher.text(meaning);
  else hasher.bytes(bytes);
}

/** Which type the elements have, how many there are, and their packed bytes. An empty array has no type on the wire. */
function absorbElements(frame: ReturnType<typeof parseScalarField>, hasher: Hasher): void {
  hasher.word(frame.slots);
  if (frame.slots === 0) return;
  hasher.word(frame.layout!.field);
  for (const piece of frame.payload) hasher.bytes(piece);
}

/** The (index, value) pairs of a sparse vector in order of their index. */
function sortedPairs(bytes: Uint8Array, name: string): Uint8Array {
  if (bytes.length % 8 !== 0) {
    throw broken(`column ${name}: a sparse vector has ${bytes.length} bytes, no multiple of 8`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const starts = Array.from({ length: bytes.length / 8 }, (_, i) => i * 8);
  const index = (start: number) => view.getUint32(start, true);
  if (starts.every((start, i) => i === 0 || index(starts[i - 1]!) <= index(start))) return bytes;
  starts.sort((a, b) => index(a) - index(b));
  const out = new Uint8Array(bytes.length);
  starts.forEach((start, i) => out.set(bytes.subarray(start, start + 8), i * 8));
  return out;
}
