import assert from "node:assert/strict";
import fc from "fast-check";
import { duration, formatDuration, parseDuration } from "../../../pipeline/units/mod.ts";

Deno.test("parseDuration reads each unit and combinations", () => {
  assert.equal(parseDuration("500ms"), 500);
  assert.equal(parseDuration("10s"), 10_000);
  assert.equal(parseDuration("1.5s"), 1500);
  assert.equal(parseDuration("1h30m"), 5_400_000);
  assert.equal(parseDuration("2h 5m 1s"), 7_501_000);
  assert.equal(parseDuration("7d"), 604_800_000);
  assert.equal(parseDuration("0"), 0);
});

Deno.test("parseDuration refuses a number without a unit and nonsense", () => {
  for (const text of ["", "10", "s", "-5s", "5 minutes", "1h30", "10 s x"]) {
    assert.equal(parseDuration(text), undefined, text);
  }
});

Deno.test("formatDuration shows the two largest units", () => {
  assert.equal(formatDuration(0), "0ms");
  assert.equal(formatDuration(2500), "2.5s");
  assert.equal(formatDuration(65_000), "1m5s");
  assert.equal(formatDuration(5_400_000), "1h30m");
  assert.equal(formatDuration(90_061_000), "1d1h");
  assert.equal(formatDuration(Infinity), "unknown");
});

Deno.test("formatDuration writes what parseDuration reads", () => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 1e11 }), (ms) => {
    const again = parseDuration(formatDuration(ms));
    assert.ok(again !== undefined && Math.abs(again - ms) <= Math.max(ms * 0.05, 1000));
  }));
});

Deno.test("duration checks its limits with a sentence", () => {
  assert.equal(duration().parse("2s"), 2000);
  assert.match(duration({ minMs: 1000 }).safeParse("1ms").error!.issues[0]!.message, /at least 1s/);
  assert.match(duration().safeParse("10").error!.issues[0]!.message, /10s/);
});
