import assert from "node:assert/strict";
import { checkCopy, checkReadable, checkWritable, createMemoryStore, withRetry } from "../../../stores/mod.ts";
import type { Manner, Mannered } from "../../../stores/mod.ts";
import type { ObjectStore } from "../../../pipeline/model/mod.ts";
import { createServerClock } from "../../../stores/objects/clock.ts";

const signal = new AbortController().signal;

function mannered(manners: readonly Manner[], ahead?: number): ObjectStore & Mannered {
  return { ...createMemoryStore(), manners: () => Promise.resolve(manners), clockAheadMs: () => ahead };
}

Deno.test("checkWritable says in one line what works and in one each what does not, through decorators", async () => {
  const store = mannered([
    { ok: "ok", text: "ranged reads" },
    { ok: "warn", text: "no batches: one by one" },
    { ok: "fail", text: "no multipart uploads" },
  ], -600_000);
  const lines = await checkWritable("vault", withRetry(store), "a/", signal);
  assert.deepEqual(lines.map(({ ok, code }) => [ok, code]), [
    ["ok", undefined],
    ["warn", undefined],
    ["fail", "unsupported"],
    ["warn", undefined],
  ]);
  assert.match(lines[0]!.detail, /what exists is not replaced, copies by the server, ranged reads$/);
  assert.match(lines[3]!.detail, /clock is 600 s behind/);
  assert.deepEqual(await Array.fromAsync(store.list("")), []);
});

Deno.test("checkWritable fails on a store that replaces what exists, and removes what it wrote where something fails", async () => {
  const memory = createMemoryStore();
  const replacing = { ...memory, put: (key: string, body: Uint8Array) => memory.put(key, body) } as ObjectStore;
  const lines = await checkWritable("vault", replacing, "", signal);
  assert.match(lines.find(({ ok }) => ok === "fail")!.detail, /replaced where that was forbidden/);
  const broken = { ...memory, get: () => Promise.reject(new Error("no reading")) };
  assert.deepEqual((await checkWritable("vault", broken, "", signal)).map(({ ok }) => ok), ["fail"]);
  assert.deepEqual(await Array.fromAsync(memory.list("")), []);
});

Deno.test("checkReadable writes nothing, and is silent on a store that has nothing to say", async () => {
  const refuse = () => assert.fail("It writes");
  const store = { ...mannered([{ ok: "ok", text: "ranged reads" }], 0), put: refuse, delete: refuse, copyFrom: refuse };
  assert.deepEqual(await checkReadable("source", store, "k", signal), [
    { what: "source", ok: "ok", detail: "read only: ranged reads, clocks agree" },
  ]);
  assert.deepEqual(await checkReadable("source", createMemoryStore(), "k", signal), []);
});

Deno.test("checkCopy says whether the servers copy, and removes the copy", async () => {
  const [source, target] = [createMemoryStore(), createMemoryStore()];
  await source.put("k", new Uint8Array([1, 2]));
  assert.match((await checkCopy("copy", source, "k", target, signal)).detail, /^the server itself copies/);
  const apart = { ...target, copyFrom: () => Promise.resolve(undefined) };
  assert.match((await checkCopy("copy", source, "k", apart, signal)).detail, /read and written by this machine/);
  assert.equal((await checkCopy("copy", source, "gone", target, signal)).code, "not_found");
  assert.deepEqual(await Array.fromAsync(target.list("")), []);
});

Deno.test("createServerClock tells how far ahead the last answer was", () => {
  const clock = createServerClock(() => Date.UTC(2026, 0, 1));
  assert.equal(clock.aheadMs(), undefined);
  clock.heard(undefined);
  clock.heard("no date");
  assert.equal(clock.aheadMs(), undefined);
  clock.heard("Thu, 01 Jan 2026 00:10:00 GMT");
  assert.equal(clock.aheadMs(), 600_000);
  clock.heard(new Date(Date.UTC(2025, 11, 31, 23, 59)));
  assert.equal(clock.aheadMs(), -60_000);
});
