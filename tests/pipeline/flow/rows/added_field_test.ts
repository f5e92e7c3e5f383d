/** A field that the source adds while its collection is followed, and what was agreed for targets that do not take it. */
import assert from "node:assert/strict";
import { ExactRowSink } from "../../../fakes/exact_row_sink.ts";
import { FakePipeline, until } from "../../../fakes/pipeline.ts";
import { FakeSource } from "../../../fakes/source.ts";
import { DEFAULT_FILL } from "../../../../pipeline/columns/mod.ts";
import type { UnsupportedPolicy } from "../../../../pipeline/transforms/mod.ts";

const A = { db: "default", name: "a" };
const POLICIES: readonly UnsupportedPolicy[] = [
  { policy: "drop_column" },
  { policy: "fill", values: DEFAULT_FILL },
];

function setup(release: string) {
  const source = new FakeSource();
  const sink = new ExactRowSink("exact", release);
  const pipeline = new FakePipeline(source, { rows: [sink] });
  source.create("a", "p_0");
  source.insert("a", [1n, 10n]);
  return { source, sink, pipeline };
}

/** Key -> the row, its columns by name. */
function rowsOf(sink: ExactRowSink): Record<string, unknown> {
  return Object.fromEntries(
    [...sink.rowsOf(A).values()].flatMap((rows) => [...rows].map(([key, row]) => [`${key}`, row])),
  );
}

for (const unsupported of POLICIES) {
  Deno.test(`run leaves a field out that is added while it follows, where the target cannot add it: ${unsupported.policy}`, async () => {
    const { source, sink, pipeline } = setup("2.5.27");
    pipeline.override = { unsupported };
    const run = pipeline.start();
    {
      using _ticking = source.ticking();
      await until("the first row is there", () => sink.collections.has("default/a") && "1" in rowsOf(sink));
      source.addField("a");
      source.insert("a", [2n, 20n]);
      await until("the second row is there", () => "2" in rowsOf(sink));
      source.insert("a", [3n, 30n]);
      source.delete("a", 1n);
      await until("the delete is there", () => "3" in rowsOf(sink) && !("1" in rowsOf(sink)));
    }
    await run.stop();
    assert.deepEqual((await run.result).blocked, []);
    assert.deepEqual(rowsOf(sink), { 2: { id: "2", value: "20" }, 3: { id: "3", value: "30" } });
    const [own] = pipeline.saved("exact")!.collections.values();
    assert.deepEqual(own!.agreed.map(({ field, change, values }) => [field, change, values]), [[
      "late",
      "left_out",
      2n,
    ]]);
    assert.deepEqual(pipeline.warnings, [
      "default.a on exact: field late is left out: Milvus 2.5.27 does not know how to add field late to a collection",
    ]);
  });
}

Deno.test("run holds a collection whose new field its target cannot add, says what goes on without, and then loses nothing", async () => {
  const { source, sink, pipeline } = setup("2.5.27");
  source.create("b", "p_1");
  await pipeline.once();
  source.addField("a");
  source.insert("a", [2n, 20n]);
  source.insert("b", [5n, 50n]);
  const [blocked, ...others] = (await pipeline.once()).blocked;
  assert.deepEqual([blocked?.collection, others], ["default.a", []]);
  assert.match(
    blocked!.reason,
    /how to add field late to a collection: held\. transforms\.unsupported: drop_column/,
  );
  assert.deepEqual(Object.keys(rowsOf(sink)), ["1"]);
  pipeline.override = { unsupported: { policy: "drop_column" } };
  assert.deepEqual((await pipeline.once()).blocked, []);
  assert.deepEqual(rowsOf(sink), { 1: { id: "1", value: "10" }, 2: { id: "2", value: "20" } });
});

Deno.test("run adds a field to a target that can, whatever is agreed for others", async () => {
  const { source, sink, pipeline } = setup("3.0.0");
  pipeline.override = { unsupported: { policy: "drop_column" } };
  await pipeline.once();
  source.addField("a");
  source.insert("a", [2n, 20n]);
  assert.deepEqual((await pipeline.once()).blocked, []);
  assert.deepEqual(rowsOf(sink)["2"], { id: "2", value: "20", late: "20" });
  assert.deepEqual(pipeline.warnings, []);
});
