import assert from "node:assert/strict";
import { replicateTopic } from "../../../sources/log/flushes.ts";

Deno.test("replicateTopic finds the topic of the pchannel's own cluster", () => {
  const topics = ["by-dev-replicate-msg", "by-dev-src-replicate-msg", "by-dev-src-rootcoord-dml_0"];
  assert.equal(replicateTopic(topics, "by-dev-src-rootcoord-dml_0"), "by-dev-src-replicate-msg");
  assert.equal(replicateTopic(topics, "by-dev-rootcoord-dml_3"), "by-dev-replicate-msg");
  assert.equal(replicateTopic(["by-dev-rootcoord-dml_3"], "by-dev-rootcoord-dml_3"), undefined);
});
