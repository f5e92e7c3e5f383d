import assert from "node:assert/strict";
import { homePartition } from "../../../pipeline/transforms/mod.ts";

function partitions(count: number) {
  return Array.from({ length: count }, (_, i) => ({ id: BigInt(i), name: `_default_${i}`, createTs: 0n }));
}

Deno.test("homePartition chooses as Milvus does: murmur3 of an int64, CRC-32 of the first 100 bytes of a text", () => {
  const home = homePartition({ partitions: partitions(10) })!;
  // Computed by another implementation; that a real server agrees is a test of the field suite.
  assert.deepEqual([0n, 1n, 2n, 7n, -1n].map(home), [6n, 6n, 2n, 9n, 2n]);
  assert.deepEqual(["a", "tenant 1", "x".repeat(120), "x".repeat(100)].map(home), [7n, 0n, 9n, 9n]);
});

Deno.test("homePartition goes by the number in a partition's name, in any order, and knows no other names", () => {
  const all = partitions(12);
  const home = homePartition({ partitions: all })!;
  const turned = homePartition({ partitions: all.toReversed() })!;
  for (let key = 0n; key < 50n; key++) assert.equal(turned(key), home(key));
  assert.equal(homePartition({ partitions: [{ id: 1n, name: "_default", createTs: 0n }] }), undefined);
  assert.equal(homePartition({ partitions: all.slice(1) }), undefined);
  assert.equal(homePartition({ partitions: [] }), undefined);
});
