import assert from "node:assert/strict";
import { FakePipeline, until } from "../../../fakes/pipeline.ts";
import { FakeRowSink } from "../../../fakes/row_sink.ts";
import { FakeSource } from "../../../fakes/source.ts";

Deno.test("runSteps looks at the source as soon as its catalog changes, long before it would look again", async () => {
  const source = new FakeSource();
  source.create("a", "p_0");
  const replica = new FakeRowSink("replica");
  const pipeline = new FakePipeline(source, { rows: [replica] });
  pipeline.override = { steps: { pollMs: 3_600_000 } };
  const run = pipeline.start();
  await until("the first step is over", () => source.snapshots > 1 && replica.rows.has("a"));
  source.create("b", "p_1");
  await until("what was made is there", () => replica.rows.has("b"));
  source.rename("b", "c");
  source.drop("a");
  await until("what was renamed and dropped is, too", () => replica.rows.has("c") && !replica.rows.has("a"));
  assert.deepEqual([...replica.rows.keys()], ["c"]);
  await run.stop();
});
