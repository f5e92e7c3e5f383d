/** Boolean expressions over primary keys, in Milvus' grammar. */
import { int64Literal, stringLiteral } from "../../pipeline/columns/mod.ts";
import type { Keys } from "../../pipeline/model/mod.ts";

/** The expression `<field> in [...]` for keys [start, end). */
export function keysExpression(field: string, keys: Keys, start = 0, end = keys.values.length): string {
  const literals: string[] = [];
  if (keys.kind === "int64") {
    for (let i = start; i < end; i++) literals.push(int64Literal(keys.values[i]!));
  } else {
    for (let i = start; i < end; i++) literals.push(stringLiteral(keys.values[i]!));
  }
  return `${field} in [${literals.join(",")}]`;
}

export interface KeyRangeOptions {
  readonly maxKeys: number;
  /** Bound on the text of one expression. */
  readonly maxBytes: number;
}

/** Ranges [start, end) of `keys` whose expressions stay within the bounds; a single key always fits. */
export function* keyRanges(keys: Keys, options: KeyRangeOptions): Generator<{ start: number; end: number }> {
  const total = keys.values.length;
  let start = 0;
  let bytes = 0;
  for (let i = 0; i < total; i++) {
    // int64: 20 digits and a comma; varchar: at most 6 bytes a UTF-16 unit when escaped.
    const size = keys.kind === "int64" ? 21 : keys.values[i]!.length * 3 + 3;
    if (i > start && (i - start >= options.maxKeys || bytes + size > options.maxBytes)) {
      yield { start, end: i };
      start = i;
      bytes = 0;
    }
    bytes += size;
  }
  if (start < total) yield { start, end: total };
}
