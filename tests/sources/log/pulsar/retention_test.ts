import assert from "node:assert/strict";
import { keptFor } from "../../../../sources/log/pulsar/retention.ts";

const kept = (retentionTimeInMinutes: number, retentionSizeInMB: number) =>
  keptFor({ retentionTimeInMinutes, retentionSizeInMB }, "public/default");

Deno.test("keptFor says how long a namespace keeps what was read, and what else removes it", () => {
  assert.deepEqual(kept(10_080, -1), { ms: 604_800_000, why: "" });
  assert.deepEqual(kept(60, 100), {
    ms: 3_600_000,
    why: "public/default keeps 100 MB of each topic: what is older than that goes earlier",
  });
  assert.deepEqual(kept(0, 0), { ms: 0, why: "public/default keeps nothing that Milvus has read" });
  assert.deepEqual(kept(-1, -1), { ms: undefined, why: "Kept for ever by the retention of public/default" });
  assert.match(kept(-1, 100).why, /100 MB/);
  assert.match(keptFor(undefined, "public/default").why, /^Not known: public\/default has no retention of its own/);
});
