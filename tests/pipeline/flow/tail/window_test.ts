import assert from "node:assert/strict";
import { Window } from "../../../../pipeline/flow/tail/window.ts";

const never = new AbortController().signal;

/** Lets every promise that can settle do so. */
async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}

Deno.test("Window lets a reader take credit up to the limit and makes the next one wait", async () => {
  const window = new Window(100);
  const a = window.reader();
  const b = window.reader();
  await a.take(60, never);
  a.release(60);
  await b.take(40, never);
  b.release(40);
  let taken = false;
  const waiting = a.take(10, never).then(() => taken = true);
  await settle();
  assert.equal(taken, false);
  b.acknowledge(40);
  await waiting;
  assert.equal(window.used, 70);
});

Deno.test("Window lets a reader without unacknowledged groups pass the limit, so that a barrier can be reached", async () => {
  const window = new Window(100);
  const ahead = window.reader();
  const behind = window.reader();
  await ahead.take(100, never);
  ahead.release(100);
  await behind.take(30, never);
  assert.equal(window.used, 130);
});

Deno.test("Window wakes a waiting reader when its own groups are acknowledged, even beyond the limit", async () => {
  const window = new Window(100);
  const full = window.reader();
  const own = window.reader();
  await full.take(200, never);
  full.release(200);
  await own.take(10, never);
  own.release(10);
  let taken = false;
  const waiting = own.take(10, never).then(() => taken = true);
  await settle();
  assert.equal(taken, false);
  own.acknowledge(10);
  await waiting;
  assert.equal(taken, true);
});

Deno.test("Window rejects a waiting take when its signal fires and does not count it", async () => {
  const window = new Window(10);
  const reader = window.reader();
  await reader.take(10, never);
  reader.release(10);
  const stop = new AbortController();
  const waiting = reader.take(5, stop.signal);
  stop.abort(new Error("stopped"));
  await assert.rejects(waiting, /stopped/);
  assert.equal(window.used, 10);
});
