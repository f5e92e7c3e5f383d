import assert from "node:assert/strict";
import { SourceClock } from "../../../../pipeline/flow/tail/source_clock.ts";
import { hybridFromMs } from "../../../../pipeline/model/mod.ts";

const never = new AbortController().signal;

Deno.test("SourceClock has passed what a tick of any pchannel shows", async () => {
  const clock = new SourceClock({ meta: {}, now: () => 0 });
  assert.equal(await clock.passed(hybridFromMs(1000), never), false);
  clock.saw(hybridFromMs(1000));
  clock.saw(hybridFromMs(500));
  assert.equal(await clock.passed(hybridFromMs(1000), never), true);
  assert.equal(await clock.passed(hybridFromMs(1000) + 1n, never), false);
});

Deno.test("SourceClock has passed what the metadata's clock shows, and asks for it once a second", async () => {
  let asked = 0;
  let ms: number | undefined = 1000;
  let now = 0;
  const clock = new SourceClock({ meta: { clockMs: () => (asked++, Promise.resolve(ms)) }, now: () => now });
  assert.equal(await clock.passed(hybridFromMs(999), never), true);
  assert.equal(await clock.passed(hybridFromMs(1000), never), false);
  ms = 3000;
  assert.equal(await clock.passed(hybridFromMs(1000), never), false);
  assert.equal(asked, 1);
  now = 1000;
  assert.equal(await clock.passed(hybridFromMs(1000), never), true);
  ms = undefined;
  now = 2000;
  assert.equal(await clock.passed(hybridFromMs(1000), never), false);
});

Deno.test("SourceClock believes this machine's clock where the source's does not go on, a minute late", async () => {
  let now = 60_999;
  const clock = new SourceClock({ meta: { clockMs: () => Promise.resolve(500) }, now: () => now });
  assert.equal(await clock.passed(hybridFromMs(1000), never), false);
  now = 61_000;
  assert.equal(await clock.passed(hybridFromMs(1000), never), true);
});
