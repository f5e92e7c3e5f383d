import assert from "node:assert/strict";
import { KeySample } from "../../../../pipeline/flow/verify/by_key.ts";

function filled(limit: number, values: number): KeySample {
  const sample = new KeySample(limit);
  for (let key = 0n; key < BigInt(values * 3); key++) sample.add(`tenant ${key % BigInt(values)}`, key);
  return sample;
}

Deno.test("KeySample keeps every value with all of its keys up to the limit", () => {
  const sample = filled(40, 40);
  assert.equal(sample.isWhole, true);
  const taken = sample.take();
  assert.equal(taken.size, 40);
  for (const keys of taken.values()) assert.equal(keys.size, 3);
});

Deno.test("KeySample beyond the limit keeps the same values whatever their order, each with all of its keys", () => {
  const sample = filled(40, 500);
  assert.equal(sample.isWhole, false);
  const taken = sample.take();
  assert.ok(taken.size > 0 && taken.size <= 40, `${taken.size} values`);
  for (const keys of taken.values()) assert.equal(keys.size, 3);
  const turned = new KeySample(40);
  for (let key = 1499n; key >= 0n; key--) turned.add(`tenant ${key % 500n}`, key);
  assert.deepEqual([...turned.take().keys()].sort(), [...taken.keys()].sort());
});

Deno.test("KeySample without a limit takes all", () => {
  const sample = filled(Infinity, 500);
  assert.equal(sample.isWhole, true);
  assert.equal(sample.take().size, 500);
});
