import type { ObjectStore } from "../../../pipeline/model/mod.ts";
import { type S3StoreOptions, withRetry } from "../../../stores/mod.ts";
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
