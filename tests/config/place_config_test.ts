import assert from "node:assert/strict";
import { placeConfig } from "../../config/places.ts";

Deno.test("placeConfig reads a folder, and a bucket's URL of each kind of store", () => {
  const part = (storage: string, endpoint?: string) => {
    const { tls: _tls, sse: _sse, ...config } = placeConfig(storage, endpoint) as unknown as Record<string, unknown>;
    return [config.type, config.path ?? config.bucket ?? config.container, config.prefix, config.endpoint];
  };
  assert.deepEqual(part("/backups"), ["file", "/backups", "", undefined]);
  assert.deepEqual(part("file:///backups"), ["file", "/backups", "", undefined]);
  assert.deepEqual(part("s3://b/deep/er/", "minio:9000"), ["s3", "b", "deep/er", "http://minio:9000"]);
  assert.deepEqual(part("azure://c/p"), ["azure", "c", "p", undefined]);
  assert.deepEqual(part("gs://b"), ["gcs", "b", "", undefined]);
  assert.throws(() => part("ftp://host/x"), { code: "usage", message: "--storage ftp://host/x is of no known kind" });
  assert.throws(() => part("constructor://host/x"), { code: "usage" });
  assert.throws(() => part("/backups", "minio:9000"), { code: "usage" });
});
