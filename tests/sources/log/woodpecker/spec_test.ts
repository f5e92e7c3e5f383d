import assert from "node:assert/strict";
import { woodpeckerLogSpec } from "../../../../sources/log/mod.ts";
import { placeOf } from "../../../../sources/log/woodpecker/open.ts";
import { binlogSpec } from "../../../../sources/binlog/spec.ts";

Deno.test("woodpeckerLogSpec needs nothing but its type", () => {
  const config = woodpeckerLogSpec.parse({ type: "woodpecker" });
  assert.deepEqual(config, { type: "woodpecker", poll_ms: 200, idle_poll_ms: 2000 });
});

Deno.test("woodpeckerLogSpec says what is wrong with prefixes and times", () => {
  const problems = (more: object) =>
    woodpeckerLogSpec.safeParse({ type: "woodpecker", ...more }).error?.issues.map(({ path }) => path.join("."));
  assert.deepEqual(problems({ meta_prefix: "/woodpecker" }), ["meta_prefix"]);
  assert.deepEqual(problems({ root_path: "files/wp/" }), ["root_path"]);
  assert.deepEqual(problems({ poll_ms: "3s" }), ["idle_poll_ms"]);
});

Deno.test("placeOf looks beside the binlogs unless another place is given", () => {
  const config = woodpeckerLogSpec.parse({ type: "woodpecker" });
  const bucket = placeOf(config, binlogSpec.parse({ type: "s3", bucket: "a-bucket", root_path: "mine" }));
  assert.equal(bucket.root, "mine/wp");
  assert.ok(bucket.storage.type === "s3" && bucket.storage.bucket === "a-bucket" && bucket.storage.prefix === "");
  const folder = placeOf(config, binlogSpec.parse({ type: "file", path: "/var/lib/milvus/data" }));
  assert.deepEqual([folder.root, folder.storage.type], ["wp/files/wp", "file"]);
  const own = woodpeckerLogSpec.parse({
    type: "woodpecker",
    storage: { type: "file", path: "/wal" },
    root_path: "files/wp",
  });
  assert.deepEqual(placeOf(own, undefined), {
    storage: { type: "file", path: "/wal", prefix: "" },
    root: "files/wp",
  });
  assert.throws(() => placeOf(config, undefined), /Nothing says where the log of Woodpecker lies/);
});
