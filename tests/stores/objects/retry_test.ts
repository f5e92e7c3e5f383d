import assert from "node:assert/strict";
import { TidemarkError } from "../../../pipeline/errors.ts";
import type { ObjectStore } from "../../../pipeline/model/mod.ts";
import { collect, createMemoryStore, withRetry } from "../../../stores/mod.ts";
import { objectStoreConformance } from "../../conformance/objects.ts";

objectStoreConformance("memory with retry", async () => ({
  store: withRetry(createMemoryStore()),
  sibling: withRetry(createMemoryStore({ name: "sibling" })),
  async [Symbol.asyncDispose]() {},
}));

const unreachable = () => new TidemarkError("unreachable", "The server is away");
const noSleep = async () => {};

/** `inner` whose methods fail the first `times` times, each for itself. */
function flaky(inner: ObjectStore, times: number): { store: ObjectStore; calls: string[] } {
  const calls: string[] = [];
  const failing = new Map<string, number>();
  const store = new Proxy(inner, {
    get(target, name: keyof ObjectStore) {
      const member = target[name];
      if (typeof member !== "function" || name === "list" || name === "stream") return member;
      return async (...args: unknown[]) => {
        calls.push(name);
        const seen = failing.get(name) ?? 0;
        failing.set(name, seen + 1);
        if (seen < times) throw unreachable();
        return await (member as (...args: unknown[]) => unknown)(...args);
      };
    },
  });
  return { store, calls };
}

Deno.test("withRetry tries again with growing, jittered delays", async () => {
  const { store, calls } = flaky(createMemoryStore(), 3);
  const delays: number[] = [];
  const retrying = withRetry(store, { baseMs: 100, random: () => 0.5, sleep: async (ms) => void delays.push(ms) });
  await retrying.put("a", new Uint8Array([1]));
  assert.deepEqual(delays, [50, 100, 200]);
  assert.equal(calls.length, 4);
});

Deno.test("withRetry gives up after its attempts and never repeats what cannot be mended", async () => {
  const { store, calls } = flaky(createMemoryStore(), 99);
  await assert.rejects(withRetry(store, { attempts: 3, sleep: noSleep }).head("a"), { code: "unreachable" });
  assert.equal(calls.length, 3);
  const missing = withRetry(createMemoryStore(), { sleep: () => assert.fail("slept") });
  await assert.rejects(missing.get("a"), { code: "not_found" });
});

Deno.test("withRetry waits out an outage once the store has answered, and says so once", async () => {
  const memory = createMemoryStore();
  await memory.put("a", new Uint8Array([1]));
  let failures = 0;
  const store: ObjectStore = {
    ...memory,
    head: (key, signal) => failures-- > 0 ? Promise.reject(unreachable()) : memory.head(key, signal),
  };
  const states: (string | undefined)[] = [];
  const retrying = withRetry(store, {
    attempts: 3,
    persistent: true,
    sleep: noSleep,
    onState: (error) => states.push(error?.code),
  });
  failures = 3;
  await assert.rejects(retrying.head("a"), { code: "unreachable" });
  assert.deepEqual(states, ["unreachable", undefined]);
  failures = 0;
  await retrying.head("a");
  failures = 50;
  assert.equal((await retrying.head("a"))?.size, 1n);
  assert.deepEqual(states.slice(2), ["unreachable", undefined]);
  failures = 1;
  await retrying.head("a");
  assert.equal(states.length, 4);
});

Deno.test("withRetry continues a broken stream where it stopped", async () => {
  const memory = createMemoryStore({ chunkBytes: 10 });
  const bytes = crypto.getRandomValues(new Uint8Array(100));
  await memory.put("a", bytes);
  const breaking: ObjectStore = {
    ...memory,
    async *stream(key, signal) {
      let count = 0;
      for await (const chunk of memory.stream(key, signal)) {
        if (count++ === 4) throw unreachable();
        yield chunk;
      }
    },
  };
  assert.deepEqual(await collect(withRetry(breaking, { sleep: noSleep }).stream("a")), bytes);
});

Deno.test("withRetry continues a broken listing behind the last key", async () => {
  const memory = createMemoryStore();
  for (const key of ["a", "b", "c", "d"]) await memory.put(key, new Uint8Array());
  let broken = 0;
  const breaking: ObjectStore = {
    ...memory,
    async *list(prefix, signal) {
      let count = 0;
      for await (const info of memory.list(prefix, signal)) {
        if (count++ === 2 && broken++ === 0) {
          await memory.delete(["b"]);
          throw unreachable();
        }
        yield info;
      }
    },
  };
  const keys = (await Array.fromAsync(withRetry(breaking, { sleep: noSleep }).list(""))).map((info) => info.key);
  assert.deepEqual(keys, ["a", "b", "c", "d"]);
});

Deno.test("withRetry recognises its own conditional write whose answer was lost", async () => {
  const memory = createMemoryStore();
  let lost = false;
  const losing: ObjectStore = {
    ...memory,
    async put(key, body, options, signal) {
      const info = await memory.put(key, body, options, signal);
      if (lost) return info;
      lost = true;
      throw unreachable();
    },
  };
  const store = withRetry(losing, { sleep: noSleep });
  await store.put("a", new Uint8Array([1, 2]), { ifAbsent: true });
  await assert.rejects(store.put("a", new Uint8Array([1, 2]), { ifAbsent: true }), { code: "refused" });
});

Deno.test("withRetry says that a store hangs long before its requests time out, not of one that answers others", async () => {
  const memory = createMemoryStore();
  await memory.put("a", new Uint8Array([1]));
  const hanging = Promise.withResolvers<undefined>();
  const states: (string | undefined)[] = [];
  const retrying = withRetry({
    ...memory,
    head: (key, signal) => key === "hangs" ? hanging.promise : memory.head(key, signal),
  }, { onState: (error) => void states.push(error?.message), slowMs: 2000 });
  const head = retrying.head("hangs");
  // Not as many times as it can: on a busy machine that takes longer than what hangs may.
  for (const end = performance.now() + 500; performance.now() < end;) {
    await retrying.head("a");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.deepEqual(states, []);
  for (let waited = 0; states.length === 0; waited++) {
    assert.ok(waited < 300, "it was never said");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.match(states[0]!, /has not answered for 2 s: look for hangs$/);
  hanging.resolve(undefined);
  await head;
  assert.deepEqual(states.slice(1), [undefined]);
});

Deno.test("withRetry does not begin a listing or a stream again for a reader that has left, though it cannot be ended", async () => {
  const memory = createMemoryStore();
  for (const key of ["a", "b", "c"]) await memory.put(key, new Uint8Array([1]));
  let begun = 0;
  async function* stuck<T>(items: AsyncIterable<T>) {
    begun++;
    try {
      yield* items;
    } finally {
      // deno-lint-ignore no-unsafe-finally
      throw unreachable();
    }
  }
  const options = { sleep: () => assert.fail("tried again") };
  const retrying = withRetry({
    ...memory,
    list: (prefix, signal) => stuck(memory.list(prefix, signal)),
    stream: (key, signal) => stuck(memory.stream(key, signal)),
  }, options);
  for await (const { key } of retrying.list("")) {
    assert.equal(key, "a");
    break;
  }
  for await (const chunk of retrying.stream("a")) {
    assert.deepEqual(chunk, new Uint8Array([1]));
    break;
  }
  assert.equal(begun, 2);
});
