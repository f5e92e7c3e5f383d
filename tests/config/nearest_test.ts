import assert from "node:assert/strict";
import fc from "fast-check";
import { editDistance, nearest } from "../../config/nearest.ts";

Deno.test("editDistance counts a swap of neighbours as one edit", () => {
  assert.equal(editDistance("brokesr", "brokers"), 1);
  assert.equal(editDistance("kitten", "sitting"), 3);
  assert.equal(editDistance("", "abc"), 3);
});

Deno.test("editDistance is symmetric, zero only for equal words, and at most the longer word", () => {
  fc.assert(fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (a, b) => {
    const distance = editDistance(a, b);
    assert.equal(distance, editDistance(b, a));
    assert.equal(distance === 0, a === b);
    assert.ok(distance <= Math.max(a.length, b.length));
  }));
});

Deno.test("nearest finds slips of the fingers and other ways to write a word", () => {
  const keys = ["root_path", "endpoints", "brokers", "secret_access_key", "type"];
  for (
    const [word, key] of [
      ["rootPath", "root_path"],
      ["root-path", "root_path"],
      ["endpoint", "endpoints"],
      ["borkers", "brokers"],
      ["secret_acess_key", "secret_access_key"],
      ["tpye", "type"],
      ["ROOT_PATH", "root_path"],
    ] as const
  ) {
    assert.equal(nearest(word, keys), key, word);
  }
});

Deno.test("nearest is silent where nothing is near", () => {
  assert.equal(nearest("colour", ["brokers", "type"]), undefined);
  assert.equal(nearest("x", ["type"]), undefined);
});
