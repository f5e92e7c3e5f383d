import assert from "node:assert/strict";
import { etcdMetaSpec } from "../../../sources/meta/spec.ts";

const base = { type: "etcd", endpoints: ["etcd:2379"] };
const problems = (config: object): string[] =>
  etcdMetaSpec.safeParse({ ...base, ...config }).error?.issues.map((issue) =>
    `${issue.path.join(".")}: ${issue.message}`
  ) ?? [];

Deno.test("etcdMetaSpec needs only endpoints and knows Milvus' defaults", () => {
  const { root_path, meta_sub_path, kv_sub_path, tls } = etcdMetaSpec.parse(base);
  assert.deepEqual([root_path, meta_sub_path, kv_sub_path, tls], ["by-dev", "meta", "kv", undefined]);
});

Deno.test("etcdMetaSpec tells what does not go together", () => {
  assert.deepEqual(problems({ endpoints: ["etcd"] }), ["endpoints.0: expected host:port, for example etcd:2379"]);
  assert.deepEqual(problems({ endpoints: ["https://etcd:2379", "[::1]:2379", "10.0.0.1:2379"] }), []);
  assert.deepEqual(problems({ username: "u" }), ["username: username needs password or password_file"]);
  assert.deepEqual(problems({ password: "p" }), ["password: a password needs username"]);
  assert.deepEqual(problems({ username: "u", password: "p", password_file: "f" }), [
    "password_file: password and password_file exclude each other",
  ]);
  assert.deepEqual(problems({ tls: { cert_file: "c" } }), ["tls.cert_file: cert_file needs key_file"]);
  assert.deepEqual(problems({ root_path: "/by-dev" }), ["root_path: expected no slash at the beginning or end"]);
});
