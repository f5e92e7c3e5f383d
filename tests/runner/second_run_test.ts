import assert from "node:assert/strict";
import { Failures } from "./failures.ts";
import { filesToRunAgain, secondRun } from "./second_run.ts";

const failed = (...names: string[]) =>
  `\n ERRORS \n\n${names.map((name) => `${name}\nerror: Error: late\n`).join("\n")}\n FAILURES \n\n${
    names.join("\n")
  }\n\nFAILED | 9 passed | ${names.length} failed (1s)\n`;

Deno.test("filesToRunAgain names the files of failed tests, and the one that hung", () => {
  const output = failed("a => ./tests/a_test.ts:1:6", "b => ./tests/b_test.ts:1:6", "c => ./tests/a_test.ts:9:6");
  assert.deepEqual(filesToRunAgain({ name: "unit tests", output }), ["tests/a_test.ts", "tests/b_test.ts"]);
  const crashed = failed("./tests/c_test.ts (uncaught error)");
  assert.deepEqual(filesToRunAgain({ name: "unit tests", output: crashed }), ["tests/c_test.ts"]);
  const file = "tests/integration/x_test.ts";
  assert.deepEqual(filesToRunAgain({ name: file, output: "still waits for 60 s: it ends" }), [file]);
  assert.deepEqual(filesToRunAgain({ name: "lint", output: "error[no-eval] tests/x.ts" }), []);
});

Deno.test("filesToRunAgain takes no counterexample back, and nothing that random work has found", () => {
  const property = "error: Error: Property failed after 3 tests\n{ seed: 1 }\nCounterexample: [1]";
  for (
    const [name, output] of [
      ["unit tests", failed("a => ./tests/a_test.ts:1:6").replace("error: Error: late", property)],
      ["tests/crash/crash_test.ts", failed("a => ./tests/crash/crash_test.ts:1:6")],
      ["tests/integration/pipeline/oracle_test.ts", "hung"],
    ] as const
  ) {
    assert.deepEqual(filesToRunAgain({ name, output }), [], name);
  }
});

const note = (failures: Failures, file: string) =>
  failures.note(file, { passed: 3, failed: 1 }, { output: failed(`t => ./${file}:1:6`), reason: "ended with 1" });

Deno.test("secondRun counts what passes then, names it, and leaves what fails again", async () => {
  const failures = new Failures();
  for (const name of ["once", "always"]) note(failures, `tests/${name}_test.ts`);
  failures.note("lint", { passed: 0, failed: 1 }, { output: "bad", reason: "ended with 1" });
  const ran: string[] = [];
  const { counts, unsteady } = await secondRun(failures, (files) => {
    ran.push(...files);
    return Promise.resolve(files[0] === "tests/once_test.ts" ? { passed: 4, failed: 0 } : { passed: 3, failed: 1 });
  });
  assert.deepEqual(ran, ["tests/once_test.ts", "tests/always_test.ts"]);
  assert.deepEqual(counts, { passed: 1, failed: -1 });
  assert.deepEqual(unsteady, [
    "UNSTEADY tests/once_test.ts passed when it ran again; at first it ended with 1",
    "  t => ./tests/once_test.ts:1:6",
    "    error: Error: late",
  ]);
  assert.deepEqual(failures.summary().filter((line) => line.startsWith("FAILED")), [
    "FAILED tests/always_test.ts ended with 1",
    "FAILED lint ended with 1",
  ]);
});

Deno.test("secondRun runs nothing where many files failed, and takes a run without a test for no proof", async () => {
  const failures = new Failures();
  for (let i = 0; i < 5; i++) note(failures, `tests/f${i}_test.ts`);
  assert.deepEqual(await secondRun(failures, () => assert.fail("it runs")), {
    counts: { passed: 0, failed: 0 },
    unsteady: [],
  });
  const single = new Failures();
  note(single, "tests/gone_test.ts");
  const { counts } = await secondRun(single, () => Promise.resolve({ passed: 0, failed: 0 }));
  assert.deepEqual([counts, single.summary().length > 0], [{ passed: 0, failed: 0 }, true]);
});
