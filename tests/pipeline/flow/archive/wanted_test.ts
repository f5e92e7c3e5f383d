import assert from "node:assert/strict";
import { createMemoryStore } from "../../../../stores/mod.ts";
import { FakePipeline, until } from "../../../fakes/pipeline.ts";
import { FakeSource } from "../../../fakes/source.ts";

Deno.test("a backup that follows says of a collection that a new name brings into the selection what it lacks of it", async () => {
  const source = new FakeSource();
  const pipeline = new FakePipeline(source, { vaults: { vault: createMemoryStore() }, backup: { name: "b" } });
  pipeline.override = { selects: (_db, name) => name !== "x" };
  source.create("a", "p_0");
  source.create("x", "p_0");
  source.insert("x", [1n, 1n]);
  source.tick();
  const run = pipeline.start();
  using _ticking = source.ticking();
  await until("it follows", () => run.status().phase === "tail");
  assert.deepEqual(pipeline.warnings, []);
  source.rename("x", "b");
  await until("it is told", () => pipeline.warnings.length > 0);
  assert.match(
    pipeline.warnings.join(),
    /^default\.b is selected since it got its name: this backup lacks what it held/,
  );
  await run.stop();
});
