import assert from "node:assert/strict";
import { crashPointsFrom } from "../../control/crash_hook.ts";

Deno.test("crashPointsFrom does nothing without a value and refuses what it does not know", () => {
  for (const value of [undefined, ""]) crashPointsFrom(value)("mid_segment");
  for (
    const value of ["nowhere", "mid_segment:0", "mid_segment:1:wait", "mid_segment:1:pause:1", "mid_segment:pause"]
  ) {
    assert.throws(() => crashPointsFrom(value), { code: "usage", message: /^TIDEMARK_CRASH_AT is / });
  }
});

Deno.test("crashPointsFrom stops the process at the n-th time, until SIGCONT, where it is told to pause", async () => {
  const hook = new URL("../../control/crash_hook.ts", import.meta.url);
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      `const { crashPointsFrom } = await import("${hook}");
       const pass = crashPointsFrom("mid_segment:2:pause");
       pass("mid_segment"); pass("after_snapshot"); console.log("once"); pass("mid_segment"); console.log("twice");`,
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const reader = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
  assert.equal((await reader.read()).value, "paused at mid_segment\n");
  // The line is written just before the stop.
  while (!/^\d+ \(.*\) T/.test(await Deno.readTextFile(`/proc/${child.pid}/stat`))) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  Deno.kill(child.pid, "SIGCONT");
  assert.equal(await new Response(child.stdout).text(), "once\ntwice\n");
  assert.equal((await reader.read()).done, true);
  assert.equal((await child.status).code, 0);
});
