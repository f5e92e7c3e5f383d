/** A short run of every target; `deno task bench fuzz` makes the long one. */
import assert from "node:assert/strict";
import { fuzz } from "./fuzz.ts";
import { TARGETS } from "./targets.ts";

for (const { name } of TARGETS) {
  Deno.test(`fuzz: foreign bytes for ${name} end in an error of ours or in a value, within bounds`, async () => {
    const result = await fuzz(name, { first: 0, count: 400, hangMs: 120_000, memoryMiB: 700 });
    assert.deepEqual(result.finds, []);
    assert.equal(result.inputs, 400);
  });
}

/** Inputs of long runs that found something. */
const FOUND: readonly (readonly [target: string, input: number])[] = [
  ["dead_letters", 1_001_478],
  ["dead_letters", 1_024_490],
];

Deno.test("fuzz: what long runs found stays mended", async () => {
  for (const [name, first] of FOUND) {
    const { finds, inputs } = await fuzz(name, { first, count: 1, hangMs: 120_000, memoryMiB: 700 });
    assert.deepEqual({ finds, inputs }, { finds: [], inputs: 1 }, name);
  }
});
