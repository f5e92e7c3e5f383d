import assert from "node:assert/strict";
import { createMemoryStore, edgeSource } from "../../stores/mod.ts";

const EDGE = 1000;

async function source(size: number) {
  const bytes = Uint8Array.from({ length: size }, (_, i) => i % 251);
  const store = createMemoryStore();
  await store.put("k", bytes);
  const asked: string[] = [];
  const counted: typeof store = {
    ...store,
    get(key, range, signal) {
      asked.push(`${range?.start}-${range?.end}`);
      return store.get(key, range, signal);
    },
  };
  return { bytes, asked, source: await edgeSource(counted, "k", size, EDGE) };
}

Deno.test("edgeSource reads a small object with one request, and both ends of a large one with two", async () => {
  for (const size of [1, 999, 2000]) {
    const { bytes, asked, source: small } = await source(size);
    assert.deepEqual(await small.read(0, size), bytes);
    assert.deepEqual(await small.read(size >> 1, size), bytes.subarray(size >> 1));
    assert.deepEqual(asked, [`0-${size}`]);
  }
  const { bytes, asked, source: large } = await source(5000);
  for (const [start, end] of [[0, 4], [17, 1000], [4000, 5000], [4992, 4996]] as const) {
    assert.deepEqual(await large.read(start, end), bytes.subarray(start, end));
  }
  assert.deepEqual(asked, ["0-1000", "4000-5000"]);
});

Deno.test("edgeSource asks for what lies between the ends, or reaches over one of them", async () => {
  const { bytes, asked, source: large } = await source(5000);
  for (const [start, end] of [[999, 1001], [2000, 3000], [3999, 4001], [0, 5000]] as const) {
    assert.deepEqual(await large.read(start, end), bytes.subarray(start, end));
  }
  assert.deepEqual(asked.slice(2), ["999-1001", "2000-3000", "3999-4001", "0-5000"]);
});

Deno.test("edgeSource throws damaged for an object that is shorter than it should be", async () => {
  const store = createMemoryStore();
  await store.put("k", new Uint8Array(100));
  await assert.rejects(edgeSource(store, "k", 200, EDGE), { code: "damaged" });
  await assert.rejects(edgeSource(store, "k", 5000, EDGE), { code: "damaged" });
});
