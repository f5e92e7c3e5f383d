/** Whole runs over fakes whose target refuses some deletes, or to make a partition: all else goes on. */
import assert from "node:assert/strict";
import { FakePipeline } from "../../../fakes/pipeline.ts";
import { FakeRowSink } from "../../../fakes/row_sink.ts";
import { FakeSource } from "../../../fakes/source.ts";

function setup() {
  const source = new FakeSource(["p_0"]);
  const sink = new FakeRowSink("t");
  const pipeline = new FakePipeline(source, { rows: [sink] });
  return { source, sink, pipeline };
}

const sorted = (rows: ReadonlyMap<bigint, bigint> | undefined) =>
  [...rows ?? []].sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0);

Deno.test("run goes on where the target refuses the delete of a key, holds that delete, and does it once it may", async () => {
  const { source, sink, pipeline } = setup();
  source.create("c", "p_0");
  source.insert("c", [1n, 1n], [2n, 2n], [3n, 3n]);
  await pipeline.once();
  sink.refusesDelete = (key) => key === 2n ? "the key is odd" : undefined;
  source.delete("c", 1n, 2n);
  source.insert("c", [4n, 4n]);
  const { blocked, refusedRows } = await pipeline.once();
  assert.deepEqual(blocked, []);
  assert.deepEqual(refusedRows, [{
    sink: "t",
    collection: "default.c",
    held: 1,
    deadLetters: 0,
    keys: ["2"],
    reason: "its delete: the key is odd",
  }]);
  assert.deepEqual(sorted(sink.rows.get("c")), [[2n, 2n], [3n, 3n], [4n, 4n]]);
  assert.ok(pipeline.warnings.some((line) => /the delete of key 2 \(p_0@\d+\) is held: the key is odd/.test(line)));
  assert.equal((await pipeline.once()).refusedRows[0]?.held, 1, "it is tried again, and refused again");
  sink.refusesDelete = () => undefined;
  assert.deepEqual((await pipeline.once()).refusedRows, []);
  assert.deepEqual(sorted(sink.rows.get("c")), sorted(source.rows.get("c")));
});

Deno.test("run forgets a held delete whose key is written anew", async () => {
  const { source, sink, pipeline } = setup();
  source.create("c", "p_0");
  source.insert("c", [1n, 1n]);
  await pipeline.once();
  sink.refusesDelete = () => "no";
  source.delete("c", 1n);
  assert.equal((await pipeline.once()).refusedRows.length, 1);
  source.insert("c", [1n, 11n]);
  assert.deepEqual((await pipeline.once()).refusedRows, []);
  sink.refusesDelete = () => undefined;
  await pipeline.once();
  assert.deepEqual(sorted(sink.rows.get("c")), [[1n, 11n]]);
});

Deno.test("run goes on where the target refuses to make a partition: its rows are held, and written once it makes it", async () => {
  const { source, sink, pipeline } = setup();
  sink.refusesPartition = (name) => name === "narrow" ? "partition number exceeds 4096" : undefined;
  source.create("narrow", "p_0");
  source.create("wide", "p_0");
  source.insert("narrow", [1n, 1n], [2n, 2n]);
  source.insert("wide", [1n, 1n]);
  const { blocked, refused, refusedRows } = await pipeline.once();
  assert.deepEqual(blocked, []);
  assert.deepEqual(refused.map(({ sentence, detail }) => `${sentence}: ${detail}`), [
    "Create partition _default of narrow: partition number exceeds 4096",
  ]);
  assert.deepEqual(refusedRows.map(({ collection, held, reason }) => [collection, held, reason]), [
    ["default.narrow", 2, "the target refused to make its partition: partition number exceeds 4096"],
  ]);
  assert.deepEqual(sorted(sink.rows.get("wide")), [[1n, 1n]]);
  source.delete("narrow", 2n);
  source.insert("narrow", [3n, 3n]);
  assert.deepEqual((await pipeline.once()).refusedRows.map(({ keys }) => keys), [["1", "3"]]);
  sink.refusesPartition = () => undefined;
  source.insert("narrow", [4n, 4n]);
  const result = await pipeline.once();
  assert.deepEqual([result.refused, result.refusedRows], [[], []]);
  assert.deepEqual(sorted(sink.rows.get("narrow")), sorted(source.rows.get("narrow")));
});
