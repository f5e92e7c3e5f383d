import assert from "node:assert/strict";
import { Scratch } from "../../../../sources/log/kafka/scratch.ts";
import { inPieces } from "../batches.ts";

function bytesOf(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => i * seed + (i >> 8));
}

Deno.test("Scratch.gathered gives the same bytes in one piece, whatever the pieces, larger and smaller than before", () => {
  const scratch = new Scratch();
  for (const [length, size] of [[40_000, 7_000], [100, 3], [200_001, 65_536], [0, 1], [16_384, 16_384]] as const) {
    const bytes = bytesOf(length, 31 + size);
    const whole = scratch.gathered(inPieces(bytes, size));
    assert.equal(whole.length, length);
    assert.deepEqual(whole.slice(0, length), bytes);
    assert.deepEqual(whole.slice(length >> 1, length), bytes.subarray(length >> 1));
  }
});

Deno.test("Scratch.gathered uses its room again, but for what is too large to be kept", () => {
  const scratch = new Scratch();
  const first = scratch.gathered(inPieces(bytesOf(50_000, 3), 1_000)).slice(0, 50_000);
  const second = scratch.gathered(inPieces(bytesOf(40_000, 5), 1_000)).slice(0, 40_000);
  assert.equal(second.buffer, first.buffer);
  const large = inPieces(bytesOf(5 << 20, 7), 1 << 20);
  assert.equal(scratch.gathered(large), large);
});
