import assert from "node:assert/strict";
import { z } from "zod";
import { binlogSpec } from "../../../sources/binlog/mod.ts";
import { objectStoreSpec } from "../../../stores/mod.ts";

Deno.test("binlogSpec fills defaults for a bucket and for a folder", () => {
  const s3 = binlogSpec.parse({ type: "s3", endpoint: "http://minio:9000", bucket: "a-bucket" });
  assert.ok(s3.type === "s3");
  assert.equal(s3.root_path, "files");
  assert.equal(s3.path_style, true);
  assert.deepEqual(s3.sse, { mode: "none" });
  assert.deepEqual(s3.tls, { insecure: false });
  const file = binlogSpec.parse({
    type: "file",
    path: "/var/lib/milvus/data",
    gc: { management_address: "http://milvus:9091" },
  });
  assert.equal(file.gc?.pause_secs, 3600);
});

Deno.test("binlogSpec refuses half credentials, double ones, and keys that it does not know", () => {
  const base = { type: "s3", endpoint: "http://minio:9000", bucket: "a-bucket" };
  const bad = [
    { ...base, access_key_id: "x" },
    { ...base, secret_access_key: "x" },
    { ...base, access_key_id: "x", secret_access_key: "y", secret_access_key_file: "/z" },
    { ...base, endpoint: "minio:9000" },
    { ...base, rootpath: "files" },
    { ...base, sse: { mode: "sse-s3", kms_key_id: "k" } },
    { type: "file", path: "/x", root_path: "files" },
    { type: "ftp" },
  ];
  for (const config of bad) assert.equal(binlogSpec.safeParse(config).success, false, JSON.stringify(config));
});

Deno.test("every key of the stores' specs has a description, and secrets are marked", () => {
  for (const spec of [binlogSpec, objectStoreSpec]) {
    const json = JSON.stringify(z.toJSONSchema(spec, { io: "input" }));
    const visit = (node: unknown): void => {
      if (node === null || typeof node !== "object") return;
      const { properties } = node as { properties?: Record<string, { description?: string; secret?: boolean }> };
      for (const [key, value] of Object.entries(properties ?? {})) {
        assert.ok(value.description, `${key} has no description`);
        if (/^(access_key_id|secret_access_key|session_token)$/.test(key)) assert.equal(value.secret, true, key);
      }
      for (const child of Object.values(node)) visit(child);
    };
    visit(JSON.parse(json));
  }
});
