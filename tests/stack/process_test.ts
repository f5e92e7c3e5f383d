import assert from "node:assert/strict";
import { endProcess, isAlive, launch, ownProcess } from "./process.ts";

const SLEEP = { command: "sleep", args: ["60"], env: {}, cwd: "/", log: "/dev/null" };

Deno.test("endProcess ends a process that ignores SIGTERM", async () => {
  const id = await launch({ ...SLEEP, command: "env", args: ["--ignore-signal=TERM", "sleep", "60"] });
  while (!Deno.readTextFileSync(`/proc/${id.pid}/cmdline`).startsWith("sleep")) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const start = performance.now();
  await endProcess(id, 200);
  assert.ok(performance.now() - start >= 199);
  assert.ok(!isAlive(id));
});

Deno.test("endProcess never signals a process that only has the same pid", async () => {
  const id = await launch(SLEEP);
  await endProcess({ pid: id.pid, ticks: "1" }, 0);
  assert.ok(isAlive(id));
  await endProcess(id, 1000);
  assert.ok(!isAlive(id));
});

Deno.test("isAlive is true for this very process", () => {
  assert.ok(isAlive(ownProcess()));
  assert.ok(!isAlive(undefined));
});
