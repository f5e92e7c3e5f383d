import assert from "node:assert/strict";
import type { ObjectStore } from "../../../pipeline/model/mod.ts";
import { checkWritable, type S3StoreOptions, withRetry } from "../../../stores/mod.ts";
import { createS3Store } from "../../../stores/objects/s3.ts";
import { objectStoreConformance } from "../../conformance/objects.ts";
import { startRcloneS3 } from "../../stack/rclone_s3.ts";

const server = await startRcloneS3();
Deno.test.afterAll(async () => await server[Symbol.asyncDispose]());

function options(bucket: string, changes: Partial<S3StoreOptions> = {}): S3StoreOptions {
  return {
    endpoint: server.endpoint,
    bucket,
    prefix: "",
    region: "us-east-1",
    credentials: { accessKeyId: server.accessKey, secretAccessKey: server.secretKey },
    pathStyle: true,
    sse: { mode: "none" },
    tls: { ca: undefined, insecure: false },
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

function suite(name: string, prefix: string, wrap: (store: ObjectStore) => ObjectStore): void {
  objectStoreConformance(name, async () => {
    const store = wrap(createS3Store(options(await newBucket(), { prefix, listPage: 40 })));
    const sibling = wrap(createS3Store(options(await newBucket(), { prefix })));
    return {
      store,
      sibling,
      twoPages: 105,
      // It knows no If-None-Match, and does not say so.
      decidesRaces: false,
      async [Symbol.asyncDispose]() {
        await store.close();
        await sibling.close();
      },
    };
  });
}

suite("s3 of rclone", "", (store) => store);
suite("s3 of rclone below a prefix, with retry", "deep/er", (store) => withRetry(store));

Deno.test("checkWritable says what rclone's server does not know, and what is done instead, and leaves nothing behind", async () => {
  const store = withRetry(createS3Store(options(await newBucket(), { prefix: "below" })));
  const lines = await checkWritable("backup storage", store, "", new AbortController().signal);
  assert.deepEqual(lines.map(({ ok }) => ok), ["ok", "warn", "warn"]);
  assert.equal(
    lines[0]!.detail,
    "can be written, read and deleted from: what exists is not replaced, copies by the server, ListObjectsV2, ranged reads, multipart uploads, deletion in batches, clocks agree",
  );
  assert.match(lines[1]!.detail, /^If-None-Match is ignored: it is looked first/);
  assert.match(lines[2]!.detail, /^checksums .* are not compared: none are sent/);
  assert.deepEqual(await Array.fromAsync(store.list("")), []);
  await store.close();
});
