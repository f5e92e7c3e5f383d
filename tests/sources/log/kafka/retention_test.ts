import assert from "node:assert/strict";
import { retentionOf } from "../../../../sources/log/kafka/retention.ts";

const of = (settings: Readonly<Record<string, string>>) =>
  retentionOf(Object.entries(settings).map(([name, value]) => ({ name, value })));

Deno.test("retentionOf says how long a topic keeps its records, and what else takes them", () => {
  assert.deepEqual(of({ "retention.ms": "604800000", "retention.bytes": "-1", "cleanup.policy": "delete" }), {
    ms: 604_800_000,
    why: "",
  });
  assert.deepEqual(of({ "retention.ms": "1000", "retention.bytes": "5000" }), {
    ms: 1000,
    why: "retention.bytes is 5000: what is older than that goes earlier",
  });
  assert.deepEqual(of({ "retention.ms": "-1" }), { ms: undefined, why: "Kept for ever: retention.ms is -1" });
  assert.match(of({ "retention.ms": "-1", "retention.bytes": "5000" }).why, /^retention\.bytes is 5000/);
  assert.match(of({ "retention.ms": "1000", "cleanup.policy": "compact" }).why, /^cleanup\.policy is compact/);
  assert.deepEqual(of({}), { ms: undefined, why: "Not known: the broker does not say retention.ms" });
});
