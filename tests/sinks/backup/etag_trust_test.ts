/** When the ETag of a copy made by the store itself is taken for its checksum. */
import assert from "node:assert/strict";
import type { ObjectStore } from "../../../pipeline/model/mod.ts";
import { createEtagTrust } from "../../../sinks/backup/copy.ts";
import { checksumOf, createMemoryStore } from "../../../stores/mod.ts";

const BYTES = new Uint8Array(1000).fill(7);
const MD5 = checksumOf(BYTES, "md5").slice(4);
const OTHER = checksumOf(new Uint8Array(3), "md5").slice(4);
const SHA256 = checksumOf(BYTES);

/** A store whose ETags are what `etagOf` makes of the bytes, and a note of what was read of it. */
async function storeWith(etagOf: (bytes: Uint8Array) => string): Promise<{ store: ObjectStore; read: string[] }> {
  const memory = createMemoryStore();
  const read: string[] = [];
  const store: ObjectStore = {
    ...memory,
    async head(key, signal) {
      const info = await memory.head(key, signal);
      return info && { ...info, etag: etagOf(await memory.get(key)) };
    },
    stream(key, signal) {
      read.push(key);
      return memory.stream(key, signal);
    },
  };
  await store.put("copy", BYTES);
  return { store, read };
}

const honest = (bytes: Uint8Array) => checksumOf(bytes, "md5").slice(4);

async function sumOf(etagOf: (bytes: Uint8Array) => string, copyEtag: string, sourceEtag: string) {
  const { store, read } = await storeWith(etagOf);
  const copy = { key: "copy", size: BigInt(BYTES.length), etag: copyEtag };
  const sum = await createEtagTrust("probe").sum(store, copy, { etag: sourceEtag }, new AbortController().signal);
  assert.equal(await store.head("probe"), undefined, "the probe does not stay");
  return { sum, read };
}

Deno.test("createEtagTrust takes the copy's ETag, also where the source was uploaded in parts", async () => {
  assert.deepEqual(await sumOf(honest, MD5, MD5), { sum: `md5:${MD5}`, read: [] });
  assert.deepEqual(await sumOf(honest, MD5, `${OTHER}-4`), { sum: `md5:${MD5}`, read: [] });
});

Deno.test("createEtagTrust reads the copy where its ETag is no MD5, or is not the source's", async () => {
  for (const [copy, source] of [[`${MD5}-4`, MD5], ["", MD5], ["", ""], [MD5, OTHER]] as const) {
    assert.deepEqual(await sumOf(honest, copy, source), { sum: SHA256, read: ["copy"] }, `${copy} of ${source}`);
  }
});

Deno.test("createEtagTrust reads every copy where the store's ETags only look like MD5s", async () => {
  const encrypted = (bytes: Uint8Array) => checksumOf(Uint8Array.from([...bytes, 1]), "md5").slice(4);
  assert.deepEqual(await sumOf(encrypted, MD5, MD5), { sum: SHA256, read: ["copy"] });
});

Deno.test("createEtagTrust says so when a copy is not as long as its source", async () => {
  const { store } = await storeWith(honest);
  const copy = { key: "copy", size: 999n, etag: "" };
  const sum = createEtagTrust("probe").sum(store, copy, { etag: "" }, new AbortController().signal);
  await assert.rejects(sum, { code: "damaged", message: /copy has 1000 bytes, expected 999/ });
});
