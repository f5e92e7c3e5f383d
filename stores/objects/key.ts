/** Object keys: what is a valid one, and the order in which stores list them. */
import { TidemarkError } from "../../pipeline/errors.ts";

/**
 * Throws `refused` unless `key` is a plain relative path with `/`: not empty, no leading or double slash, no `.` or `..`
 * part, no NUL. The rule is the folder store's, kept by every store so that a tree can move between them.
 */
export function validateKey(key: string): void {
  if (key === "" || key.startsWith("/") || key.endsWith("/") || key.includes("\0") || key.includes("\\")) refuse(key);
  for (const part of key.split("/")) {
    if (part === "" || part === "." || part === "..") refuse(key);
  }
}

/** As {@link validateKey} for a listing prefix, which may be empty or end in `/`. */
export function validatePrefix(prefix: string): void {
  const key = prefix.endsWith("/") ? prefix.slice(0, -1) : prefix;
  if (prefix !== "") validateKey(key);
}

/** Order of UTF-8 bytes, as S3 lists; JavaScript's own string order differs for characters beyond U+FFFF. */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

/** Joins parts with `/`, leaving out empty ones and slashes at their ends. */
export function joinKey(...parts: readonly string[]): string {
  return parts.map((part) => part.replace(/^\/+|\/+$/g, "")).filter((part) => part !== "").join("/");
}

/** Surrogates stand for characters beyond U+FFFF and so come after every other unit. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

function refuse(key: string): never {
  throw new TidemarkError("refused", `Object key ${JSON.stringify(key)} is not a plain relative path`, {
    hint: "Keys use / between non-empty parts, without . or .. and without a slash at either end.",
  });
}
