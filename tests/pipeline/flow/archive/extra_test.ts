import assert from "node:assert/strict";
import { archiveExtra, extraJson, noteTopic } from "../../../../pipeline/flow/archive/extra.ts";

Deno.test("noteTopic keeps up what an archived topic is known by, in the state and for the next word of the sink", () => {
  const extra = archiveExtra(null);
  extra.topics = { p: "old" };
  const kept = extraJson(extra);
  noteTopic(kept, "p", "new");
  noteTopic(kept, "of another sink", "new");
  assert.deepEqual(extra.topics, { p: "new" });
  assert.deepEqual(extraJson(extra), kept);
  noteTopic(null, "p", "new");
});
