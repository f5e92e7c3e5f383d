import assert from "node:assert/strict";
import { readCounts } from "./counts.ts";

Deno.test("readCounts reads the summary line with and without steps", () => {
  assert.deepEqual(readCounts("ok | 12 passed | 0 failed (2s)\n", true), { passed: 12, failed: 0 });
  const steps = "FAILED | 1 passed (1 step) | 2 failed (1 step) | 1 ignored (86ms)\n\nerror: Test failed\n";
  assert.deepEqual(readCounts(steps, false), { passed: 1, failed: 2 });
});

Deno.test("readCounts takes the last summary and sees through colours", () => {
  const output = "ok | 1 passed | 0 failed (1s)\nnoise\n\x1b[32mok\x1b[0m | 3 passed | 0 failed (1s)\n";
  assert.deepEqual(readCounts(output, true), { passed: 3, failed: 0 });
});

Deno.test("readCounts counts a run that crashed, or failed without a failed test, as one failure", () => {
  assert.deepEqual(readCounts("panicked at", false), { passed: 0, failed: 1 });
  assert.deepEqual(readCounts("ok | 3 passed | 0 failed (1s)", false), { passed: 3, failed: 1 });
});
