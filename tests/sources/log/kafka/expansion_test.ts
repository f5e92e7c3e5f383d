import assert from "node:assert/strict";
import { Expansion } from "../../../../sources/log/kafka/expansion.ts";

const KIB = 1 << 10;

Deno.test("Expansion sets aside a little more than the two batches before have needed", () => {
  const expansion = new Expansion();
  assert.equal(expansion.room(100 * KIB), Math.ceil(100 * KIB * 2 * 1.06), "before anything is known");
  expansion.saw(100 * KIB, 110 * KIB);
  expansion.saw(100 * KIB, 120 * KIB);
  assert.equal(expansion.room(200 * KIB), Math.ceil(200 * KIB * 1.2 * 1.06));
  expansion.saw(100 * KIB, 500 * KIB);
  assert.equal(expansion.room(200 * KIB), 1060 * KIB);
});

Deno.test("Expansion learns nothing from time ticks, and keeps between 16 KiB and 8 MiB", () => {
  const expansion = new Expansion();
  expansion.saw(60, 6000);
  expansion.saw(60, 6000);
  assert.equal(expansion.room(60), 16 * KIB);
  assert.equal(expansion.room(100 * KIB), Math.ceil(100 * KIB * 2 * 1.06));
  assert.equal(expansion.room(100 << 20), 8 << 20);
});
