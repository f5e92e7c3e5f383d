import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createMemoryStore, objectStoreSpec, openObjectStore } from "../../../stores/mod.ts";
import { createGcsStore, type GcsStoreOptions } from "../../../stores/objects/gcs.ts";
import { assertChecksWell, serverConformance } from "../../conformance/objects.ts";
import { startFakeGcs } from "../../stack/fake_gcs.ts";
import { freePort } from "../../stack/free_port.ts";

const server = await startFakeGcs();
Deno.test.afterAll(async () => await server[Symbol.asyncDispose]());

function options(bucket: string, changes: Partial<GcsStoreOptions> = {}): GcsStoreOptions {
  return {
    endpoint: server.endpoint,
    bucket,
    prefix: "",
    login: "anonymous",
    tls: { ca: undefined },
    maxConcurrency: 16,
    ...changes,
  };
}

/** A bucket of its own; all data go with the server. */
async function newBucket(): Promise<string> {
  const name = `objects-${crypto.randomUUID().slice(0, 8)}`;
  await server.createBucket(name);
  return name;
}

serverConformance(
  "gcs",
  async (prefix) => createGcsStore(options(await newBucket(), { prefix, listPage: 40 })),
);

Deno.test("createGcsStore gives the service's MD5 as ETag, of what was written and of what it copied itself", async () => {
  const store = createGcsStore(options(await newBucket()));
  const bytes = new TextEncoder().encode("tidemark");
  const put = await store.put("a", bytes);
  assert.equal(put.etag, createHash("md5").update(bytes).digest("hex"));
  const copied = await store.copyFrom(store, "a", "b");
  assert.equal(copied?.etag, put.etag);
  assert.equal((await store.head("b"))?.etag, put.etag);
  assert.equal((await Array.fromAsync(store.list("b")))[0]?.etag, put.etag);
  await store.close();
});

Deno.test("createGcsStore cannot copy from another kind of store, and says so", async () => {
  const memory = createMemoryStore();
  await memory.put("a", new Uint8Array([1]));
  const store = createGcsStore(options(await newBucket()));
  assert.equal(await store.copyFrom(memory, "a", "b"), undefined);
  await store.close();
});

Deno.test("createGcsStore says that its bucket does not exist", async () => {
  const store = createGcsStore(options("no-such-bucket"));
  const expected = { code: "not_found", message: `No bucket no-such-bucket at ${server.endpoint}` };
  await assert.rejects(Array.fromAsync(store.list("")), expected);
  await assert.rejects(store.head("x"), expected);
  await assert.rejects(store.get("x"), expected);
  await assert.rejects(store.put("x", new Uint8Array([1])), { code: "not_found" });
  await store.close();
  const away = createGcsStore(options("b", { endpoint: `http://127.0.0.1:${freePort()}` }));
  await assert.rejects(away.head("x"), { code: "unreachable", message: /Cannot reach http:\/\/127.0.0.1:/ });
  await assert.rejects(Array.fromAsync(away.list("")), { code: "unreachable" });
  await assert.rejects(away.put("x", new Uint8Array([1])), { code: "unreachable" });
  await away.close();
});

Deno.test("openObjectStore opens a bucket of an emulator", async () => {
  const bucket = await newBucket();
  const config = { type: "gcs", bucket, endpoint: `${server.endpoint}/`, anonymous: true, prefix: "p" };
  const store = await openObjectStore(objectStoreSpec.parse(config));
  await store.put("k", new Uint8Array([1]));
  assert.equal(store.location, `gs://${bucket}/p@${server.endpoint}`);
  assert.deepEqual((await Array.fromAsync(store.list(""))).map(({ key }) => key), ["k"]);
  await store.close();
});

Deno.test("checkWritable says what the service does by itself, and leaves nothing behind", async () => {
  await assertChecksWell(createGcsStore(options(await newBucket(), { prefix: "p" })));
});
