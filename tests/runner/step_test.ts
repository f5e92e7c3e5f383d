import assert from "node:assert/strict";
import { readFailures } from "./failures.ts";
import { runStep } from "./step.ts";

const sleeps = (ms: number) => ["deno", "eval", `console.log("begun"); setTimeout(() => {}, ${ms})`];

Deno.test("a step that ends in its time is ok, with what it printed", async () => {
  const { ok, output, reason } = await runStep({ name: "quick", command: sleeps(0), limitSecs: 60 });
  assert.deepEqual({ ok, output, reason }, { ok: true, output: "begun\n", reason: undefined });
});

Deno.test("a step that hangs is stopped, and says how long it had", async () => {
  const { ok, reason } = await runStep({ name: "hangs", command: sleeps(3_600_000), limitSecs: 1 });
  assert.equal(ok, false);
  assert.match(reason ?? "", /^took longer than 1 s of a quiet machine, \d+ s here, and was stopped$/);
});

Deno.test("a step that is stopped from outside says so", async () => {
  const stop = new AbortController();
  const step = runStep({ name: "stopped", command: sleeps(3_600_000), limitSecs: 3600 }, stop.signal);
  stop.abort();
  const { ok, reason } = await step;
  assert.deepEqual({ ok, reason }, { ok: false, reason: "was stopped" });
});

Deno.test("a run of tests that hangs and is stopped says which tests were pending", async () => {
  const file = await Deno.makeTempFile({ suffix: "_test.ts" });
  try {
    await Deno.writeTextFile(
      file,
      'Deno.test("it hangs", async () => { setInterval(() => {}, 1000); await new Promise(() => {}); });\n',
    );
    const command = ["deno", "test", "--no-config", "--no-check", "--reporter=dot", file];
    const { ok, output } = await runStep({ name: "hangs", command, limitSecs: 3 });
    assert.equal(ok, false);
    assert.match(readFailures(output).join("\n"), /tests were pending:\n +it hangs => \S+:1:6$/);
  } finally {
    await Deno.remove(file);
  }
});
