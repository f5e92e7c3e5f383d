import assert from "node:assert/strict";
import { TaskBook, type TaskRecord } from "../../../control/server/book.ts";
import { keepSecrets, maskProblems } from "../../../control/server/masks.ts";
import { sealWith } from "../../../control/server/seal.ts";
import { createMemoryStateStore, createStateMemory } from "../../../stores/mod.ts";

const never = new AbortController().signal;
const task = (name: string): TaskRecord => ({
  name,
  version: 1,
  wanted: "running",
  config: `{"pipeline":"${name}","token":"a-secret"}`,
  createdAt: "2026-11-21T12:00:00.000Z",
  updatedAt: "2026-11-21T12:00:00.000Z",
});

Deno.test("TaskBook has after another start what it said was stored", async () => {
  const memory = createStateMemory();
  const store = createMemoryStateStore(memory);
  await store.lock(never);
  const book = await TaskBook.open(store, undefined);
  await Promise.all(["a", "b", "c", "d"].map((name) => book.put(task(name))));
  await book.remove("b");
  await book.putToken({ name: "t", role: "read", sha256: "00", createdAt: "" });
  const again = await TaskBook.open(store, undefined);
  assert.deepEqual([...again.tasks.values()], ["a", "c", "d"].map(task));
  assert.deepEqual([...again.tokens.keys()], ["t"]);
});

Deno.test("TaskBook writes changes that come together once", async () => {
  let writes = 0;
  const store = { location: "", read: () => Promise.resolve(undefined), write: () => Promise.resolve(void writes++) };
  const book = await TaskBook.open(store as never, undefined);
  await Promise.all(Array.from({ length: 200 }, (_, at) => book.put(task(`t${at}`))));
  assert.equal(writes, 2);
});

Deno.test("TaskBook takes a change back that could not be stored", async () => {
  let broken = false;
  const write = () => broken ? Promise.reject(new Error("the disk is full")) : Promise.resolve();
  const book = await TaskBook.open({ location: "", read: () => Promise.resolve(undefined), write } as never, undefined);
  await book.put(task("a"));
  broken = true;
  await assert.rejects(book.put({ ...task("a"), version: 2 }));
  await assert.rejects(book.put(task("b")));
  await assert.rejects(book.remove("a"));
  assert.deepEqual([...book.tasks.values()], [task("a")]);
});

Deno.test("TaskBook keeps no configuration in clear where a key is given, and opens it with that key only", async () => {
  const memory = createStateMemory();
  const store = createMemoryStateStore(memory);
  await store.lock(never);
  const seal = sealWith(new Uint8Array(32).fill(1));
  await (await TaskBook.open(store, seal)).put(task("a"));
  assert.ok(!memory.text!.includes("a-secret"));
  assert.deepEqual([...(await TaskBook.open(store, seal)).tasks.values()], [task("a")]);
  await assert.rejects(TaskBook.open(store, sealWith(new Uint8Array(32).fill(2))), /cannot be opened/);
  await assert.rejects(TaskBook.open(store, undefined), /is encrypted/);
  assert.throws(() => sealWith(new Uint8Array(31)), /31 bytes/);
});

Deno.test("TaskBook refuses a document that it does not know", async () => {
  for (const text of ["{", '{"format":2}', "[]"]) {
    await assert.rejects(TaskBook.open(createMemoryStateStore(createStateMemory(text)), undefined), {
      code: "damaged",
    });
  }
});

Deno.test("keepSecrets puts the former secret in the place of its mask, and maskProblems finds one that has none", () => {
  const former = { sinks: { a: { token: "one" } }, list: [{ token: "two" }] };
  const text = JSON.stringify({ sinks: { a: { token: "***" } }, list: [{ token: "***" }, { token: "***" }] });
  const kept = JSON.parse(keepSecrets(text, former));
  assert.deepEqual(kept, { sinks: { a: { token: "one" } }, list: [{ token: "two" }, { token: "***" }] });
  assert.deepEqual(maskProblems(kept).map(({ pointer }) => pointer), ["/list/1/token"]);
  assert.equal(keepSecrets("*** no json", former), "*** no json");
});
