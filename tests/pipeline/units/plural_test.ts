import assert from "node:assert/strict";
import { plural } from "../../../pipeline/units/mod.ts";

Deno.test("plural gives the one word behind 1 alone, of either kind of number, and takes the word for others where it has no s", () => {
  assert.deepEqual([0, 1, 2, 0n, 1n, 2n].map((count) => plural(count, "row")), [
    "rows",
    "row",
    "rows",
    "rows",
    "row",
    "rows",
  ]);
  assert.deepEqual([1, 3n].map((count) => plural(count, "row is", "rows are")), ["row is", "rows are"]);
});
