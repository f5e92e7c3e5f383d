import assert from "node:assert/strict";
import fc from "fast-check";
import { prefixEnd } from "../../../stores/etcd/kv.ts";
import { commonPrefix } from "../../../stores/etcd/watch.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const before = (a: Uint8Array, b: Uint8Array): boolean => {
  for (let at = 0; at < Math.min(a.length, b.length); at++) if (a[at] !== b[at]) return a[at]! < b[at]!;
  return a.length < b.length;
};

Deno.test("prefixEnd is behind every key of the prefix and not behind any other", () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, unit: "grapheme" }), fc.string({ unit: "grapheme" }), (prefix, other) => {
      const end = prefixEnd(prefix);
      assert.ok(before(bytes(prefix + other), end));
      const inside = !before(bytes(other), bytes(prefix)) && before(bytes(other), end);
      assert.equal(inside, other.startsWith(prefix));
    }),
  );
  assert.deepEqual([...prefixEnd("")], [0]);
});

Deno.test("commonPrefix is what all begin with", () => {
  assert.equal(commonPrefix(["m/root/", "m/field/", "m/"]), "m/");
  assert.equal(commonPrefix(["a"]), "a");
  assert.equal(commonPrefix([]), "");
  assert.equal(commonPrefix(["a", "b"]), "");
});
