import assert from "node:assert/strict";
import { watchRetention } from "../../../../pipeline/flow/tail/mod.ts";
import type { LogRetention } from "../../../../pipeline/model/mod.ts";
import { eventually } from "../../../stack/eventually.ts";

Deno.test("watchRetention asks of channels as they come, again later, and says why where nobody answers", async () => {
  const stop = new AbortController();
  const channels = ["a"];
  const heard = new Map<string, LogRetention[]>();
  const log = {
    retention: (topic: string) =>
      topic === "a" ? Promise.resolve({ ms: 1000, why: "" }) : Promise.reject(new Error("You may not ask")),
  };
  const watching = watchRetention({
    log,
    channels: () => channels,
    heard: (channel, retention) => heard.set(channel, [...heard.get(channel) ?? [], retention]),
    everyMs: 1,
  }, stop.signal);
  await eventually("the first is known, again and again", () => (heard.get("a")?.length ?? 0) > 2, { everyMs: 1 });
  channels.push("b");
  await eventually("of the second it is known why not", () => heard.has("b"), { everyMs: 1 });
  assert.deepEqual(heard.get("a")![0], { ms: 1000, why: "" });
  assert.deepEqual(heard.get("b")![0], { ms: undefined, why: "Not known: You may not ask" });
  stop.abort();
  await watching;
});

Deno.test("watchRetention ends with the run, also while the queue does not answer, and at once where nobody can be asked", async () => {
  const stop = new AbortController();
  const asked = Promise.withResolvers<void>();
  const watching = watchRetention({
    log: {
      retention: (_topic, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason));
          asked.resolve();
        }),
    },
    channels: () => ["a"],
    heard: () => assert.fail("nothing was answered"),
  }, stop.signal);
  await asked.promise;
  stop.abort();
  await watching;
  await watchRetention({ log: {}, channels: () => ["a"], heard: () => {} }, new AbortController().signal);
});
