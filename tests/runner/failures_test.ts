import assert from "node:assert/strict";
import { readFailures } from "./failures.ts";

const FAILED_RUN = `running 2 tests from ./a_test.ts
adds up ... \x1b[31mFAILED\x1b[0m (2ms)

 ERRORS 

adds up => ./a_test.ts:2:6
error: AssertionError: Expected values to be strictly equal:

1 !== 2

    at file:///project/a_test.ts:2:49

steps ... one => ./a_test.ts:3:43
error: Error: bad
second line
    at file:///project/a_test.ts:3:69

 FAILURES 

adds up => ./a_test.ts:2:6
steps ... one => ./a_test.ts:3:43

FAILED | 0 passed | 2 failed (1 step) (164ms)

error: Test failed
`;

Deno.test("each failed test is named with the first lines of its error", () => {
  assert.deepEqual(readFailures(FAILED_RUN), [
    "adds up => ./a_test.ts:2:6",
    "  error: AssertionError: Expected values to be strictly equal:",
    "  1 !== 2",
    "steps ... one => ./a_test.ts:3:43",
    "  error: Error: bad",
    "  second line",
  ]);
});

Deno.test("of a step without a list of failures its last lines are given", () => {
  const output = `begun\n${Array.from({ length: 20 }, (_, at) => `line ${at}\n\n`).join("")}`;
  assert.deepEqual(readFailures(output), [14, 15, 16, 17, 18, 19].map((at) => `  line ${at}`));
});

Deno.test("a long line is cut", () => {
  assert.equal(readFailures("x".repeat(1000))[0]!.length, 302);
});
