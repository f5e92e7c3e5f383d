import assert from "node:assert/strict";
import { checkWritable, type S3StoreOptions, withRetry } from "../../../stores/mod.ts";
import { createS3Store } from "../../../stores/objects/s3.ts";
import { serverConformance } from "../../conformance/objects.ts";
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

serverConformance(
  "s3 of rclone",
  async (prefix) => createS3Store(options(await newBucket(), { prefix, listPage: 40 })),
  // It knows no If-None-Match, and does not say so.
  { decidesRaces: false },
);

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
