import assert from "node:assert/strict";
import { parseArguments } from "./arguments.ts";

Deno.test("parseArguments takes files and folders, which leave the gate out", () => {
  const file = "tests/crash/crash_test.ts";
  const options = parseArguments(["--keep", file, "--stacks", "2"]);
  assert.ok(typeof options === "object");
  assert.deepEqual(options.files, [file]);
  assert.deepEqual([options.keep, options.stacks, options.gate], [true, 2, false]);
  const folder = parseArguments(["./tests/crash/"]);
  assert.ok(typeof folder === "object");
  assert.deepEqual(folder.files, [file]);
});

Deno.test("parseArguments without a file runs all of it, and leaves the number of stacks to the machine", () => {
  assert.deepEqual(parseArguments([]), {
    unit: false,
    keep: false,
    filter: undefined,
    suites: ["integration", "crash", "field"],
    files: undefined,
    gate: true,
    stacks: undefined,
  });
});

Deno.test("parseArguments says what it does not know", () => {
  assert.equal(parseArguments(["--stacks", "many"]), "Unknown argument --stacks");
  assert.match(String(parseArguments(["tests/no_such_test.ts"])), /tests\/no_such_test\.ts is no test file/);
});
