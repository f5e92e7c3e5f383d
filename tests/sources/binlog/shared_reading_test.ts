import assert from "node:assert/strict";
import { sharedReading } from "../../../sources/binlog/mod.ts";

const MIB = 1024 ** 2;

Deno.test("sharedReading holds as much in batches and files for many segments at once as for a few", () => {
  for (const parallel of [2, 4, 8]) {
    const { batchBytes, memoryBytes } = sharedReading(parallel);
    assert.equal(batchBytes! * parallel, 8 * MIB);
    assert.equal(memoryBytes! * parallel, 32 * MIB);
  }
});

Deno.test("sharedReading keeps batches large enough for a request, and no larger than one needs", () => {
  assert.equal(sharedReading(1).batchBytes, 4 * MIB);
  assert.equal(sharedReading(256).batchBytes, MIB);
});
