/** A store over a bucket of the stack's S3 server. */
import type { ObjectStore } from "../../pipeline/model/mod.ts";
import type { S3StoreOptions } from "../../stores/mod.ts";
import { createS3Store } from "../../stores/objects/s3.ts";

export function bucketOptions(env: Record<string, string>, bucket: string, prefix = ""): S3StoreOptions {
  return {
    endpoint: env.S3_ENDPOINT,
    bucket,
    prefix,
    region: "us-east-1",
    credentials: { accessKeyId: env.S3_ACCESS_KEY!, secretAccessKey: env.S3_SECRET_KEY! },
    pathStyle: true,
    sse: { mode: "none" },
    tls: { ca: undefined, insecure: false },
    maxConcurrency: 32,
  };
}

export function openBucket(env: Record<string, string>, bucket: string, prefix = ""): ObjectStore {
  return createS3Store(bucketOptions(env, bucket, prefix));
}
