import assert from "node:assert/strict";
import { Waits } from "../../pipeline/waits.ts";

Deno.test("Waits keep since when, whatever else is said, and list the oldest first", () => {
  let now = 1000;
  const waits = new Waits(() => now);
  using log = waits.begin({ component: "sources.log" }, "away");
  now = 2000;
  const load = waits.begin({ component: "sinks.r", collection: "default.a" }, "refused", 3000);
  now = 3000;
  log.say("away still");
  load.say("refused again", 5000);
  assert.deepEqual(waits.list(), [
    { component: "sources.log", reason: "away still", sinceMs: 1000, nextMs: undefined },
    { component: "sinks.r", collection: "default.a", reason: "refused again", sinceMs: 2000, nextMs: 5000 },
  ]);
  load[Symbol.dispose]();
  load.say("too late");
  assert.equal(waits.list().length, 1);
});

Deno.test("during shows work that takes long, since its beginning, and only as long as it takes", async () => {
  let now = 1000;
  const waits = new Waits(() => now);
  const slow = Promise.withResolvers<string>();
  const shown = waits.during({ component: "state" }, () => "slow", () => slow.promise, 5);
  now = 9000;
  assert.deepEqual(waits.list(), []);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(waits.list(), [{ component: "state", reason: "slow", sinceMs: 1000, nextMs: undefined }]);
  slow.resolve("done");
  assert.equal(await shown, "done");
  assert.deepEqual(waits.list(), []);
  assert.equal(await waits.during({ component: "state" }, "slow", () => Promise.resolve(1), 5), 1);
});
