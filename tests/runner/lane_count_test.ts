import assert from "node:assert/strict";
import { laneCount, loadNow } from "./lane_count.ts";

const GIB = 1024 ** 3;
const quiet = { cores: 2, load: 0.2, memory: 16 * GIB };

Deno.test("laneCount gives three lanes for two cores up to four, half a lane a core beside other work", () => {
  assert.equal(laneCount(quiet), 3);
  assert.equal(laneCount({ ...quiet, cores: 1 }), 1);
  assert.equal(laneCount({ ...quiet, cores: 16 }), 4);
  assert.equal(laneCount({ ...quiet, load: 2 }), 1);
  assert.equal(laneCount({ ...quiet, cores: 1, load: 4 }), 1);
  assert.equal(laneCount({ ...quiet, cores: 16, load: 1.5 }), 4);
});

Deno.test("laneCount gives no more lanes than memory holds, and at least one", () => {
  assert.equal(laneCount({ ...quiet, cores: 8, memory: 5 * GIB }), 2);
  assert.equal(laneCount({ ...quiet, memory: GIB / 2 }), 1);
});

Deno.test("loadNow believes a load of the last minute only where the processors are still at work", () => {
  assert.equal(loadNow(3, 0.1), 3);
  assert.equal(loadNow(3, 0.75), 0.25);
  assert.equal(loadNow(0.1, 0.5), 0.1);
  assert.equal(loadNow(3, undefined), 3);
});
