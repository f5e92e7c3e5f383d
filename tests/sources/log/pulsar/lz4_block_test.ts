import assert from "node:assert/strict";
import fc from "fast-check";
import { decompressLz4Block } from "../../../../sources/log/pulsar/lz4_block.ts";
import { lz4Block } from "./lz4.ts";

Deno.test("decompressLz4Block reads what a compressor writes, matches that overlap themselves and long runs included", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 2000 }),
    fc.array(fc.integer({ min: 97, max: 100 }), { maxLength: 3000 }).map((letters) => Uint8Array.from(letters)),
    fc.tuple(fc.nat(255), fc.nat(5000)).map(([value, length]) => new Uint8Array(length).fill(value)),
  );
  fc.assert(fc.property(bytes, (plain) => {
    assert.deepEqual(decompressLz4Block(lz4Block(plain), plain.length), plain);
  }));
});

Deno.test("decompressLz4Block reads a block of the reference implementation", () => {
  // `lz4.block.compress(b"abcabcabcabcabcabcabcabc" + b"x" * 40 + b"end of it", store_size=False)`
  const block = Uint8Array.fromHex("3f6162630300021f7801001490656e64206f66206974");
  const plain = new TextEncoder().encode("abcabcabcabcabcabcabcabc" + "x".repeat(40) + "end of it");
  assert.deepEqual(decompressLz4Block(block, plain.length), plain);
});

Deno.test("decompressLz4Block throws RangeError for every block that is cut, and for another length", () => {
  const plain = new TextEncoder().encode("abcd".repeat(100) + "tail of it");
  const block = lz4Block(plain);
  for (let length = 0; length < block.length; length++) {
    assert.throws(() => decompressLz4Block(block.subarray(0, length), plain.length), RangeError);
  }
  assert.throws(() => decompressLz4Block(block, plain.length + 1), RangeError);
  assert.throws(() => decompressLz4Block(block, plain.length - 1), RangeError);
});
