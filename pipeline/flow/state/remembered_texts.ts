/**
 * JSON texts of lists of which few items change between two writings. The document of a run with 5000 collections, 8 MB, takes
 * 150 ms to write, in which nothing else of the process goes on; with what is remembered it takes 60.
 */
import { formatJson } from "../../json.ts";

interface Remembered {
  readonly value: unknown;
  readonly text: string;
}

export class RememberedTexts {
  readonly #lists = new Map<string, Remembered[]>();

  /** Each item as `formatJson(item, 1)` is `depth` levels down in a document. `name` says which list it is. */
  of(name: string, items: readonly unknown[], depth: number): readonly string[] {
    const known = this.#lists.get(name) ?? [];
    this.#lists.set(name, known);
    known.length = Math.min(known.length, items.length);
    return items.map((value, at) => {
      const before = known[at];
      if (before !== undefined && isSame(before.value, value)) return before.text;
      const text = indented(value, depth);
      known[at] = { value: isPlain(value) ? copyOf(value) : NEVER, text };
      return text;
    });
  }

  /** Forgets the lists that are none of these. */
  keep(names: readonly string[]): void {
    for (const name of this.#lists.keys()) if (!names.includes(name)) this.#lists.delete(name);
  }
}

/** The same as nothing. */
const NEVER = Symbol("never");

/** `value` as it stands `depth` levels down in a document of `formatJson(…, 1)`. */
export function indented(value: unknown, depth: number): string {
  // Within strings a line's end is escaped.
  return formatJson(value, 1).split("\n").join("\n" + " ".repeat(depth));
}

/** Nothing but what JSON has, and bigint: of what can look the same and be different nothing is remembered. */
function isPlain(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return typeof value !== "function" && typeof value !== "symbol";
  if (Array.isArray(value)) return value.every(isPlain);
  return Object.getPrototypeOf(value) === Object.prototype && Object.values(value).every(isPlain);
}

function copyOf(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(copyOf);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, copyOf(item)]));
}

function isSame(known: unknown, value: unknown): boolean {
  if (typeof known !== "object" || known === null || typeof value !== "object" || value === null) {
    return Object.is(known, value);
  }
  if (Array.isArray(value)) {
    return Array.isArray(known) && known.length === value.length && value.every((item, at) => isSame(known[at], item));
  }
  if (Object.getPrototypeOf(value) !== Object.prototype || Array.isArray(known)) return false;
  return isSameRecord(known as Record<string, unknown>, value as Record<string, unknown>);
}

/** Also in the order of their keys. Both have no keys but their own. */
function isSameRecord(known: Record<string, unknown>, value: Record<string, unknown>): boolean {
  const names = Object.keys(known);
  let at = 0;
  for (const key in value) {
    if (key !== names[at++] || !isSame(known[key], value[key])) return false;
  }
  return at === names.length;
}
