import assert from "node:assert/strict";
import fc from "fast-check";
import { createMemoryStore, withRetry } from "../../../stores/mod.ts";
import { newIdentity, recipientOf } from "../../../stores/encryption/age.ts";
import { createSeal, headBytesFor } from "../../../stores/encryption/seal.ts";
import { createSealedStore } from "../../../stores/encryption/sealed_store.ts";
import { objectStoreConformance } from "../../conformance/objects.ts";

const identity = await newIdentity();
const recipients = [await recipientOf(identity), await recipientOf(await newIdentity())];
const headBytes = await headBytesFor(recipients);
const seal = () => createSeal(recipients, [identity], headBytes);

objectStoreConformance("sealed, in memory", async () => ({
  store: createSealedStore(withRetry(createMemoryStore()), seal()),
  sibling: createSealedStore(withRetry(createMemoryStore({ name: "sibling" })), seal()),
  async [Symbol.asyncDispose]() {},
}));

/** The sizes at which chunks begin and end. */
const size = fc.oneof(
  fc.constantFrom(0, 1, 65_535, 65_536, 65_537, 131_071, 131_072, 131_073, 5 * 65_536),
  fc.integer({ min: 0, max: 700_000 }),
);

function bytesOf(length: number): Uint8Array {
  return new Uint8Array(length).map((_, i) => (i * 2_654_435_761) >>> 13);
}

Deno.test("createSealedStore reads any range as the plain bytes have it, by a new reader and by the writer", async () => {
  await fc.assert(
    fc.asyncProperty(size, fc.array(fc.tuple(size, size), { minLength: 1, maxLength: 4 }), async (length, ranges) => {
      const memory = createMemoryStore();
      const bytes = bytesOf(length);
      const writer = createSealedStore(memory, seal());
      const info = await writer.put("k", bytes);
      assert.equal(info.size, BigInt(length));
      assert.equal((await createSealedStore(memory, seal()).head("k"))?.size, BigInt(length));
      for (const [start, end] of ranges) {
        const expected = bytes.subarray(start, Math.max(start, end));
        assert.deepEqual(await createSealedStore(memory, seal()).get("k", { start, end }), expected);
        assert.deepEqual(await writer.get("k", { start, end }), expected);
      }
    }),
    { numRuns: 60 },
  );
});

Deno.test("createSealedStore refuses an object of which any byte was changed, or an end is missing", async () => {
  const memory = createMemoryStore();
  const store = createSealedStore(memory, seal());
  await store.put("k", bytesOf(3 * 65_536));
  const whole = memory.objects.get("k")!.bytes;
  const damaged = { code: "damaged" };
  const reads = async (bytes: Uint8Array) => {
    memory.objects.set("k", { bytes, modifiedMs: 0 });
    const fresh = createSealedStore(memory, seal());
    await assert.rejects(fresh.get("k"), damaged);
    await assert.rejects(Array.fromAsync(fresh.stream("k")), damaged);
  };
  for (const at of [0, 30, headBytes - 17, headBytes - 1, headBytes, headBytes + 65_552, whole.length - 1]) {
    await reads(whole.map((byte, i) => i === at ? byte ^ 1 : byte));
  }
  // Cut between two chunks: every one that is left is whole.
  for (const chunks of [0, 1, 2]) await reads(whole.subarray(0, headBytes + chunks * 65_552));
  memory.objects.set("k", { bytes: whole.subarray(0, headBytes + 2 * 65_552), modifiedMs: 0 });
  await assert.rejects(createSealedStore(memory, seal()).get("k", { start: 65_536, end: 3 * 65_536 }), damaged);
});

Deno.test("createSealedStore reads what another process has written in the place of an object that it knew", async () => {
  const memory = createMemoryStore();
  const reader = createSealedStore(memory, seal());
  await reader.put("k", bytesOf(200_000));
  await reader.get("k", { start: 0, end: 10 });
  const other = bytesOf(150_000).map((byte) => byte ^ 0xff);
  await createSealedStore(memory, seal()).put("k", other);
  assert.deepEqual(await reader.get("k", { start: 100_000, end: 100_100 }), other.subarray(100_000, 100_100));
});

Deno.test("createSealedStore keeps nothing of the contents in clear", async () => {
  const memory = createMemoryStore();
  const text = new TextEncoder().encode("the content of a row ".repeat(5000));
  await createSealedStore(memory, seal()).put("k", text);
  assert.ok(!new TextDecoder("latin1").decode(memory.objects.get("k")!.bytes).includes("content of a row"));
});

Deno.test("createSealedStore says why it could not read a stream, also where the store cannot end it", async () => {
  const memory = createMemoryStore();
  await createSealedStore(memory, seal()).put("k", bytesOf(3 * 65_536));
  const whole = memory.objects.get("k")!.bytes;
  const stuck = (bytes: Uint8Array) => ({
    ...memory,
    async *stream() {
      try {
        for (let at = 0; at < bytes.length; at += 10_000) yield bytes.subarray(at, at + 10_000);
      } finally {
        // deno-lint-ignore no-unsafe-finally
        throw new Error("the connection cannot be closed");
      }
    },
  });
  const changed = whole.map((byte, i) => i === headBytes + 100 ? byte ^ 1 : byte);
  const broken = createSealedStore(stuck(changed), seal());
  await assert.rejects(Array.fromAsync(broken.stream("k")), {
    code: "damaged",
    message: /cannot be decrypted: its chunk 0/,
  });
  const left = [];
  for await (const chunk of createSealedStore(stuck(whole), seal()).stream("k")) {
    left.push(chunk.length);
    break;
  }
  assert.deepEqual(left, [65_536]);
});
