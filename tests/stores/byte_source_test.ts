import assert from "node:assert/strict";
import fc from "fast-check";
import { blockSource, type ByteSource, bytesSource, createMemoryStore, edgeSource } from "../../stores/mod.ts";

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

Deno.test("blockSource gives the same bytes as its source whatever is read, with reads of a block or more", async () => {
  const ranges = fc.array(fc.tuple(fc.nat(4999), fc.integer({ min: 1, max: 700 })), { minLength: 1, maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(
      ranges,
      fc.integer({ min: 1, max: 900 }),
      fc.integer({ min: 1, max: 3 }),
      async (asked, block, keep) => {
        const bytes = Uint8Array.from({ length: 5000 }, (_, i) => i % 251);
        const inner = bytesSource(bytes);
        const blocks = blockSource(inner, block, keep);
        // Some at the same time, as columns of a group are read.
        for (let i = 0; i < asked.length; i += 3) {
          await Promise.all(
            asked.slice(i, i + 3).map(async ([start, length]) => {
              const end = Math.min(5000, start + length);
              assert.deepEqual(await blocks.read(start, end), bytes.subarray(start, end));
            }),
          );
        }
      },
    ),
    { numRuns: 100 },
  );
});

Deno.test("blockSource makes few requests of many small reads, fetches nothing twice, and asks again after a failure", async () => {
  const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => i % 251);
  const requests: [number, number][] = [];
  let fails = false;
  const inner: ByteSource = {
    size: bytes.length,
    window: 4,
    async read(start, end) {
      requests.push([start, end]);
      if (fails) throw new Error("away");
      return bytes.slice(start, end);
    },
  };
  const blocks = blockSource(inner, 10_000, 2);
  // Four columns in row groups of 3000 bytes, read side by side.
  for (let group = 0; group < 33; group++) {
    for (let column = 0; column < 4; column++) {
      const start = group * 3000 + column * 750;
      assert.deepEqual(await blocks.read(start, start + 750), bytes.slice(start, start + 750));
    }
  }
  assert.ok(requests.length <= 11, `${requests.length} requests`);
  assert.equal(requests.reduce((sum, [start, end]) => sum + end - start, 0), 100_000);
  fails = true;
  await assert.rejects(blocks.read(0, 10), /away/);
  fails = false;
  assert.deepEqual(await blocks.read(0, 10), bytes.slice(0, 10));
});
