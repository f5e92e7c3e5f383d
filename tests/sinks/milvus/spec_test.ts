import assert from "node:assert/strict";
import { channelOptions, readPasswords } from "../../../sinks/milvus/connection.ts";
import { milvusSinkSpec } from "../../../sinks/milvus/mod.ts";

const parse = (more: Record<string, unknown>) =>
  milvusSinkSpec.safeParse({ type: "milvus", address: "dr:19530", ...more });
const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("milvusSinkSpec has a working default for everything but the address", () => {
  const config = milvusSinkSpec.parse({ type: "milvus", address: "dr" });
  assert.deepEqual(
    [config.on_existing, config.auto_id, config.max_batch_bytes, config.parallel_writes, config.timeout],
    ["fail", "preserve", 8 * 2 ** 20, 4, 60_000],
  );
});

Deno.test("milvusSinkSpec names what contradicts itself", () => {
  const messages = (more: Record<string, unknown>) =>
    parse(more).error?.issues.map((one) => one.message).join("; ") ?? "";
  assert.match(messages({ token: "a:b", username: "a", password: "b" }), /excludes/);
  assert.match(messages({ username: "a" }), /needs password/);
  assert.match(messages({ password: "a" }), /needs username/);
  assert.match(messages({ address: "http://dr:1", tls: {} }), /contradict/);
  assert.match(messages({ tls: { cert_file: "x" } }), /needs key_file/);
  assert.match(messages({ rbac_mirror: true }), /no effect/);
  assert.match(messages({ restore_by: "import" }), /needs `storage`/);
  assert.match(messages({ address: "dr:19530/db" }), /host:port/);
  assert.match(messages({ max_batch_bytes: "60MiB", max_message_bytes: "32MiB" }), /below/);
  assert.equal(messages({ restore_by: "import", storage: { type: "file", path: "/var/lib/milvus" } }), "");
  assert.equal(messages({ restore_by: "auto" }), "");
  // As it was called before `load` said what is loaded.
  assert.match(messages({ load: "import" }), /write `restore_by: import`/);
  assert.equal(messages({ load: "best_effort", resource_groups: { a: "b" } }), "");
  assert.equal(messages({ load: "never", resource_groups: "all" }), "");
  assert.notEqual(messages({ resource_groups: 5 }), "");
  assert.equal(messages({}), "");
});

Deno.test("channelOptions understands addresses, logins and certificates", () => {
  const of = (more: Record<string, unknown>, files: Record<string, string> = {}) =>
    channelOptions(milvusSinkSpec.parse({ type: "milvus", address: "dr", ...more }), (path) => {
      if (files[path] === undefined) throw new Error("no such file");
      return bytes(files[path]);
    });
  assert.equal(of({}).address, "dr:19530");
  assert.equal(of({ address: "https://dr:443/" }).address, "dr:443");
  assert.notEqual(of({ address: "https://dr:443" }).tls, undefined);
  assert.equal(of({}).tls, undefined);
  assert.equal(of({ username: "u", password: "p" }).token, "u:p");
  assert.equal(of({ token_file: "t" }, { t: "u:p\n" }).token, "u:p");
  assert.deepEqual(of({ tls: { ca_file: "ca" } }, { ca: "PEM" }).tls?.ca, bytes("PEM"));
  assert.throws(() => of({ tls: { ca_file: "nope" } }), { code: "config", message: /tls.ca_file names nope/ });
});

Deno.test("readPasswords never shows what is in the file", () => {
  const read = (text: string) => () => bytes(text);
  assert.deepEqual([...readPasswords("f", read('{"a":"b"}'))], [["a", "b"]]);
  for (const text of ["hunter2", '{"a": hunter2}', '["hunter2"]', '{"a":{"b":"hunter2"}}', "{}"]) {
    assert.throws(() => readPasswords("f", read(text)), (error: Error) => {
      assert.ok(!`${error.message}${error.cause ?? ""}`.includes("hunter2"));
      return true;
    });
  }
});
