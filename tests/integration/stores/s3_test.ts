import assert from "node:assert/strict";
import { CreateBucketCommand, DeleteBucketCommand, S3Client } from "@aws-sdk/client-s3";
import type { ObjectStore } from "../../../pipeline/model/mod.ts";
import { createMemoryStore, type S3StoreOptions, withRetry } from "../../../stores/mod.ts";
import { createS3Store } from "../../../stores/objects/s3.ts";
import { objectStoreConformance } from "../../conformance/objects.ts";
import { bucketOptions } from "../../stack/bucket.ts";
import { stackEnv } from "../../stack/env.ts";

const env = stackEnv();

function options(bucket: string, prefix = "", changes: Partial<S3StoreOptions> = {}): S3StoreOptions {
  return { ...bucketOptions(env, bucket, prefix), maxConcurrency: 16, ...changes };
}

/** A bucket of its own for the body, emptied and removed afterwards. */
async function withBucket<T>(body: (bucket: string) => Promise<T>): Promise<T> {
  const bucket = `objects-${crypto.randomUUID().slice(0, 8)}`;
  const remove = await createBucket(bucket);
  try {
    return await body(bucket);
  } finally {
    await remove();
  }
}

async function createBucket(bucket: string): Promise<() => Promise<void>> {
  const client = new S3Client({
    endpoint: env.S3_ENDPOINT!,
    region: "us-east-1",
    forcePathStyle: true,
    credentials: { accessKeyId: env.S3_ACCESS_KEY!, secretAccessKey: env.S3_SECRET_KEY! },
  });
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  return async () => {
    const store = createS3Store(options(bucket));
    await store.delete((await Array.fromAsync(store.list(""))).map((info) => info.key));
    await store.close();
    await client.send(new DeleteBucketCommand({ Bucket: bucket }));
    client.destroy();
  };
}

function suite(name: string, prefix: string, wrap: (store: ObjectStore) => ObjectStore): void {
  objectStoreConformance(name, async () => {
    const names = [`objects-${crypto.randomUUID().slice(0, 8)}`, `objects-${crypto.randomUUID().slice(0, 8)}`];
    const removers = await Promise.all(names.map(createBucket));
    const store = wrap(createS3Store(options(names[0]!, prefix)));
    const sibling = wrap(createS3Store(options(names[1]!, prefix)));
    return {
      store,
      sibling,
      async [Symbol.asyncDispose]() {
        await store.close();
        await sibling.close();
        for (const remove of removers) await remove();
      },
    };
  });
}

suite("s3", "", (store) => store);
suite("s3 below a prefix, with retry", "deep/er", (store) => withRetry(store));

Deno.test("createS3Store copies a large object in parts", async () => {
  await withBucket(async (bucket) => {
    const part = 5n * 1024n ** 2n;
    const store = createS3Store(options(bucket, "", { copyObjectMaxBytes: part, copyPartBytes: part }));
    const bytes = crypto.getRandomValues(new Uint8Array(65_536));
    const body = async function* () {
      for (let i = 0; i < 200; i++) yield bytes;
    };
    await store.put("big", body());
    assert(await store.copyFrom(store, "big", "copy"));
    assert.equal((await store.head("copy"))?.size, BigInt(200 * 65_536));
    assert.deepEqual(await store.get("copy", { start: 100 * 65_536, end: 101 * 65_536 }), bytes);
    await store.close();
  });
});

Deno.test("createS3Store cannot copy from another kind of store, and says so", async () => {
  await withBucket(async (bucket) => {
    const memory = createMemoryStore();
    await memory.put("a", new Uint8Array([1]));
    const store = createS3Store(options(bucket));
    assert.equal(await store.copyFrom(memory, "a", "b"), undefined);
    await store.close();
  });
});

Deno.test("createS3Store names the buckets that exist when its own does not", async () => {
  const store = createS3Store(options("no-such-bucket"));
  const expected = { code: "not_found", message: /No bucket no-such-bucket at .*there are: .*a-bucket/ };
  await assert.rejects(Array.fromAsync(store.list("")), expected);
  await assert.rejects(store.head("x"), expected);
  await assert.rejects(store.get("x"), expected);
  await assert.rejects(store.put("x", new Uint8Array([1])), expected);
  await store.close();
});

Deno.test("createS3Store tells wrong keys from an unreachable server, without showing them", async () => {
  const secret = "topsecret-do-not-print";
  for (
    const credentials of [
      { accessKeyId: env.S3_ACCESS_KEY!, secretAccessKey: secret },
      { accessKeyId: "nobody", secretAccessKey: secret },
    ]
  ) {
    const store = createS3Store(options("a-bucket", "", { credentials }));
    const error = await store.get("x").catch((thrown) => thrown);
    assert.equal(error.code, "authentication", String(error));
    assert.ok(!`${error.message}${error.hint}${error.stack}`.includes(secret));
    await assert.rejects(Array.fromAsync(store.list("")), { code: "authentication" });
    await store.close();
  }
  const away = createS3Store(options("a-bucket", "", { endpoint: "http://127.0.0.1:9" }));
  await assert.rejects(away.head("x"), { code: "unreachable", message: /Cannot reach http:\/\/127.0.0.1:9/ });
  await assert.rejects(Array.fromAsync(away.list("")), { code: "unreachable" });
  await assert.rejects(away.put("x", new Uint8Array([1])), { code: "unreachable" });
  await away.close();
});

Deno.test("createS3Store leaves no upload behind when a stream fails", async () => {
  await withBucket(async (bucket) => {
    const store = createS3Store(options(bucket));
    const broken = async function* () {
      for (let i = 0; i < 500; i++) yield new Uint8Array(65_536);
      throw new Error("the source broke");
    };
    await assert.rejects(store.put("half", broken()), /the source broke/);
    // Deleting the bucket, which follows, fails where parts are left.
    assert.equal(await store.head("half"), undefined);
    await store.close();
  });
});
