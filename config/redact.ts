/** Keeps secrets out of everything that is printed: they are collected at load time and replaced in any text. */
import type { z } from "zod";
import type { ConfigNode } from "./document.ts";
import { unwrap, walk } from "./schema_walk.ts";

/** What stands where a secret was. */
export const MASK = "***";

/** Shorter ones are not replaced in text: they would be found inside ordinary words. */
const SHORTEST = 4;

/** Passwords that stand in every manual. Masking them hides nothing and would garble the product's name. */
const PUBLIC = new Set(["Milvus", "root", "default"]);

/** Replaces every known secret of a text. */
export interface Redactor {
  (text: string): string;
  /** Number of secrets known. */
  readonly known: number;
}

/** A redactor for the given secrets, in plain, JSON-escaped, URL-encoded and base64 form (also within a longer base64 text). */
export function createRedactor(secrets: Iterable<string>): Redactor {
  const forms = new Set<string>();
  let known = 0;
  for (const secret of new Set([...secrets].flatMap(partsOf))) {
    if (secret.length < SHORTEST || PUBLIC.has(secret)) continue;
    known++;
    for (const form of formsOf(secret)) if (form.length >= SHORTEST) forms.add(form);
  }
  // The longest first: a secret may contain another one.
  const ordered = [...forms].sort((a, b) => b.length - a.length);
  const pattern = ordered.length === 0 ? undefined : new RegExp(ordered.map(escapeRegExp).join("|"), "g");
  const redact = (text: string) => pattern === undefined ? text : text.replace(pattern, MASK);
  return Object.assign(redact, { known });
}

/** Every value under a key that a spec marks as secret, and passwords inside URLs, wherever they stand. */
export function collectSecrets(root: ConfigNode, schema: z.core.$ZodType): string[] {
  const secrets: string[] = [];
  walk(schema, root, (node, at) => {
    if (unwrap(at).meta.secret === true) secrets.push(...scalarsOf(node));
  });
  for (const text of scalarsOf(root)) {
    for (const match of text.matchAll(/:\/\/[^/\s:@]*:([^/\s@]+)@/g)) {
      secrets.push(match[1]!, decodeLeniently(match[1]!));
    }
  }
  // A key that is misspelt or misplaced is unknown to the schema, its value is as secret as ever.
  secrets.push(...suspicious(root));
  return secrets;
}

/** The secret, its lines (a PEM key), and the password of `user:password` as Milvus tokens are written. */
function partsOf(secret: string): string[] {
  const lines = secret.split(/\r?\n/).map((line) => line.trim());
  if (lines.length > 1) return [secret, ...lines];
  const colon = secret.indexOf(":");
  return colon > 0 ? [secret, secret.slice(colon + 1)] : [secret];
}

const SECRET_KEY =
  /(pass(word|wd|phrase)?|secret|token|api_?key|private_?key|credential|sasl.*pw|pwd)(?!.*(_file|_ms|_secs)$)/i;

function suspicious(node: ConfigNode): string[] {
  if (node.kind === "list") return node.items.flatMap(suspicious);
  if (node.kind !== "map") return [];
  return [...node.entries].flatMap(([key, { value }]) =>
    value.kind === "scalar" && typeof value.value === "string" && SECRET_KEY.test(key)
      ? [value.value]
      : suspicious(value)
  );
}

function scalarsOf(node: ConfigNode): string[] {
  if (node.kind === "scalar") {
    if (node.value === null || typeof node.value === "boolean") return [];
    return [...new Set([String(node.value), node.source])].filter((text) => text !== "" && !text.includes("${"));
  }
  if (node.kind === "list") return node.items.flatMap(scalarsOf);
  return [...node.entries.values()].flatMap((entry) => scalarsOf(entry.value));
}

function decodeLeniently(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function formsOf(secret: string): string[] {
  const bytes = new TextEncoder().encode(secret);
  const json = JSON.stringify(secret).slice(1, -1);
  const url = encodeURIComponent(secret);
  const forms = [secret, json, JSON.stringify(json).slice(1, -1), url, url.replaceAll("%20", "+")];
  for (let offset = 0; offset < 3; offset++) {
    // In base64 of something longer, the secret starts at any of three bit offsets; its outermost digits mix with neighbours.
    const padded = new Uint8Array(offset + bytes.length);
    padded.set(bytes, offset);
    const digits = padded.toBase64({ omitPadding: true });
    const first = Math.ceil(offset * 8 / 6);
    const last = Math.floor(padded.length * 8 / 6);
    const core = digits.slice(first, last);
    if (core.length >= 6) forms.push(core, core.replaceAll("+", "-").replaceAll("/", "_"));
    if (offset === 0) forms.push(bytes.toBase64(), bytes.toBase64({ alphabet: "base64url" }));
  }
  const hex = bytes.toHex();
  if (hex.length >= 8) forms.push(hex);
  return forms;
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&");
}
