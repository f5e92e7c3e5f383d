/**
 * One cell of a delta log: who was deleted, and when.
 *
 *     {"pk":700,"ts":470597853798465538,"pkType":5}      {"pk":"k\"4226","ts":470598716063481858,"pkType":21}
 *     700,470597853798465538                             (up to 2.2, int64 keys only)
 *
 * Numbers are beyond 2^53. Cells as Milvus writes them are read from the bytes; anything else that is JSON, by the parser.
 */
import { parseJson } from "../../pipeline/json.ts";

export interface DeltaCell {
  readonly pk: bigint | string;
  readonly ts: bigint;
}

const PK = new TextEncoder().encode('{"pk":');
const TS = new TextEncoder().encode(',"ts":');
const TYPE = new TextEncoder().encode(',"pkType":');
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const BRACE = 0x7b;
const MIN_INT64 = -(2n ** 63n);
const MAX_INT64 = 2n ** 63n - 1n;
const MAX_UINT64 = 2n ** 64n - 1n;
const decoder = new TextDecoder("utf-8", { fatal: true });

/** Throws `SyntaxError` or `RangeError` where the bytes are no such cell. */
export function parseDeltaCell(bytes: Uint8Array): DeltaCell {
  return fastJson(bytes) ?? (bytes[0] === BRACE ? slowJson(bytes) : plainText(bytes));
}

/** The exact form that Go's encoder gives; undefined for any other, which is not an error yet. */
function fastJson(bytes: Uint8Array): DeltaCell | undefined {
  if (!matches(bytes, 0, PK)) return undefined;
  let pk: bigint | string;
  let at = PK.length;
  if (bytes[at] === QUOTE) {
    let escaped = false;
    let end = at + 1;
    for (; end < bytes.length && bytes[end] !== QUOTE; end++) {
      if (bytes[end] === BACKSLASH) {
        escaped = true;
        end++;
      }
    }
    const text = decoder.decode(bytes.subarray(at, end + 1));
    pk = escaped ? JSON.parse(text) as string : text.slice(1, -1);
    at = end + 1;
  } else {
    const end = digitsEnd(bytes, at);
    const value = integer(bytes, at, end);
    if (value === undefined || value < MIN_INT64 || value > MAX_INT64) return undefined;
    pk = value;
    at = end;
  }
  if (!matches(bytes, at, TS)) return undefined;
  at += TS.length;
  const end = digitsEnd(bytes, at);
  const ts = integer(bytes, at, end);
  if (ts === undefined || ts < 0n || ts > MAX_UINT64 || !matches(bytes, end, TYPE)) return undefined;
  const close = digitsEnd(bytes, end + TYPE.length);
  return close === bytes.length - 1 && bytes[close] === 0x7d ? { pk, ts } : undefined;
}

function slowJson(bytes: Uint8Array): DeltaCell {
  const cell = parseJson(decoder.decode(bytes), { bigint: "all" });
  if (cell === null || typeof cell !== "object" || Array.isArray(cell)) throw new SyntaxError("no JSON object");
  const { pk, ts } = cell;
  if (typeof pk !== "string" && typeof pk !== "bigint") {
    throw new SyntaxError("`pk` is neither an integer nor a string");
  }
  if (typeof ts !== "bigint") throw new SyntaxError("`ts` is no integer");
  return checked(pk, ts);
}

function plainText(bytes: Uint8Array): DeltaCell {
  const match = /^(-?\d{1,20}),(\d{1,20})$/.exec(decoder.decode(bytes));
  if (match === null) throw new SyntaxError("neither JSON nor `key,timestamp`");
  return checked(BigInt(match[1]!), BigInt(match[2]!));
}

function checked(pk: bigint | string, ts: bigint): DeltaCell {
  if (typeof pk === "bigint" && (pk < MIN_INT64 || pk > MAX_INT64)) throw new RangeError("`pk` is no 64-bit integer");
  if (ts < 0n || ts > MAX_UINT64) throw new RangeError("`ts` is no unsigned 64-bit integer");
  return { pk, ts };
}

function matches(bytes: Uint8Array, at: number, word: Uint8Array): boolean {
  for (let i = 0; i < word.length; i++) if (bytes[at + i] !== word[i]) return false;
  return true;
}

function digitsEnd(bytes: Uint8Array, at: number): number {
  let end = bytes[at] === 0x2d ? at + 1 : at;
  while (bytes[end]! >= 0x30 && bytes[end]! <= 0x39) end++;
  return end;
}

/** Exact value of up to 20 digits: in two halves that a double holds. Undefined where there are none, or too many. */
function integer(bytes: Uint8Array, start: number, end: number): bigint | undefined {
  const negative = bytes[start] === 0x2d;
  const first = negative ? start + 1 : start;
  const count = end - first;
  if (count < 1 || count > 20 || (count > 1 && bytes[first] === 0x30)) return undefined;
  const split = Math.max(first, end - 10);
  let high = 0;
  for (let i = first; i < split; i++) high = high * 10 + bytes[i]! - 0x30;
  let low = 0;
  for (let i = split; i < end; i++) low = low * 10 + bytes[i]! - 0x30;
  const value = high === 0 ? BigInt(low) : BigInt(high) * 10_000_000_000n + BigInt(low);
  return negative ? -value : value;
}
