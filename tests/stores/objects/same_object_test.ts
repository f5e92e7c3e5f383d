import { strictEqual } from "node:assert/strict";
import { createFileStore, createMemoryStore, keyWithin, withRetry } from "../../../stores/mod.ts";
import { createS3Store } from "../../../stores/objects/s3.ts";

function bucket(name: string, prefix: string, endpoint = "http://s3:9000", accessKeyId = "a") {
  return createS3Store({
    endpoint,
    bucket: name,
    prefix,
    region: "us-east-1",
    credentials: { accessKeyId, secretAccessKey: "s" },
    pathStyle: true,
    sse: { mode: "none" },
    tls: { ca: undefined, insecure: false },
    maxConcurrency: 1,
  });
}

Deno.test("keyWithin finds the object of one bucket in another view of it, whatever prefix and credentials", () => {
  strictEqual(keyWithin(bucket("b", "backups/x"), "b/1", bucket("b", "")), "backups/x/b/1");
  strictEqual(
    keyWithin(withRetry(bucket("b", "backups")), "b/1", withRetry(bucket("b", "", "http://s3:9000/", "z"))),
    "backups/b/1",
  );
  strictEqual(keyWithin(bucket("b", "files/backups"), "1", bucket("b", "files")), "backups/1");
});

Deno.test("keyWithin knows where an object is out of reach", () => {
  strictEqual(keyWithin(bucket("b", "backups"), "1", bucket("c", "")), undefined);
  strictEqual(keyWithin(bucket("b", "backups"), "1", bucket("b", "", "http://other:9000")), undefined);
  strictEqual(keyWithin(bucket("b", "filesystem"), "1", bucket("b", "files")), undefined);
  strictEqual(keyWithin(createMemoryStore(), "1", bucket("b", "")), undefined);
  strictEqual(keyWithin(createFileStore("/data/backups"), "1", bucket("b", "")), undefined);
});

Deno.test("keyWithin finds the file of one folder in a folder around it", () => {
  strictEqual(keyWithin(createFileStore("/data/backups"), "b/1", createFileStore("/data/")), "backups/b/1");
  strictEqual(keyWithin(createFileStore("/data/backups"), "b/1", createFileStore("/data/backups")), "b/1");
  strictEqual(keyWithin(createFileStore("/data"), "b/1", createFileStore("/data/backups")), undefined);
  strictEqual(keyWithin(createFileStore("/data/backups2"), "b/1", createFileStore("/data/backups")), undefined);
});
