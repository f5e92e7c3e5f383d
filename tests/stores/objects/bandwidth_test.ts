import assert from "node:assert/strict";
import { collect, createMemoryStore, createTokenBucket, withBandwidth } from "../../../stores/mod.ts";
import { objectStoreConformance } from "../../conformance/objects.ts";

objectStoreConformance("memory with bandwidth", async () => {
  const bucket = createTokenBucket(1e12);
  return {
    store: withBandwidth(createMemoryStore(), bucket),
    sibling: withBandwidth(createMemoryStore({ name: "sibling" }), bucket),
    async [Symbol.asyncDispose]() {},
  };
});

Deno.test("createTokenBucket lets a second's worth through at once and then keeps the rate", async () => {
  let time = 0;
  const bucket = createTokenBucket(1000, {
    now: () => time,
    sleep: async (ms) => void (time += ms),
  });
  await bucket.take(1000);
  assert.equal(time, 0);
  await bucket.take(500);
  assert.equal(time, 500);
  await Promise.all([bucket.take(2000), bucket.take(1000)]);
  assert.equal(time, 3500);
});

Deno.test("withBandwidth counts reads and writes of one bucket together", async () => {
  let time = 0;
  const bucket = createTokenBucket(100, { now: () => time, sleep: async (ms) => void (time += ms) });
  const store = withBandwidth(createMemoryStore({ chunkBytes: 50 }), bucket);
  await store.put("a", new Uint8Array(200));
  await store.get("a");
  await collect(store.stream("a"));
  assert.equal(time, 5000);
});
