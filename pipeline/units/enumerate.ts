/** Names in a sentence. */

/**
 * The first `most` of `names` with commas between them, and how many there are besides.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { enumerate } from "./enumerate.ts";
 *
 * assert.equal(enumerate(["a", "b"]), "a, b");
 * assert.equal(enumerate(["a", "b", "c", "d"], 2), "a, b and 2 more");
 * ```
 */
export function enumerate(names: readonly string[], most = 20): string {
  const shown = names.slice(0, most).join(", ");
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}
