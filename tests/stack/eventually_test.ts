import assert from "node:assert/strict";
import { eventually } from "./eventually.ts";

Deno.test("eventually returns when the test holds, and takes what it throws for not yet", async () => {
  let calls = 0;
  await eventually("the third call", () => {
    if (++calls < 3) throw new Error("too early");
    return true;
  }, { everyMs: 1 });
  assert.equal(calls, 3);
});

Deno.test("eventually gives up what does not move, with what it waited for, the last progress and the last error", async () => {
  const waiting = eventually("rows arrive", () => Promise.reject(new Error("no such collection")), {
    everyMs: 5,
    hungMs: () => 500,
    progress: () => "base, 3 of 4 segments",
  });
  await assert.rejects(
    waiting,
    /It hangs\. Waited for \d+ s: rows arrive\. .*progress: base, 3 of 4 segments\. .*error: no such collection$/,
  );
});

Deno.test("eventually waits on as long as something moves, and gives up a test that never answers", async () => {
  let steps = 0;
  // Longer than a hang takes.
  await eventually("forty steps", () => steps === 40, {
    everyMs: 60,
    hungMs: () => 1000,
    progress: () => `${++steps}`,
  });
  const waiting = eventually("an answer", () => new Promise(() => {}), { hungMs: () => 500 });
  await assert.rejects(waiting, /It hangs\. Waited for \d+ s: an answer$/);
});
