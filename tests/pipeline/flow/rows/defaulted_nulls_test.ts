/** Nulls in a field that has a default value: what a target of 2.5 and newer makes of them is said before, counted, and found. */
import assert from "node:assert/strict";
import { ExactRowSink } from "../../../fakes/exact_row_sink.ts";
import { FakePipeline } from "../../../fakes/pipeline.ts";
import { int64Column } from "../../../fakes/int64_column.ts";
import { FakeSource } from "../../../fakes/source.ts";
import { DEFAULT_FILL } from "../../../../pipeline/columns/mod.ts";
import { agreedText } from "../../../../pipeline/model/mod.ts";

const WHY = "Milvus 2.6.19 does not know null values in a field that has a default value";

function setup() {
  const source = new FakeSource();
  const sink = new ExactRowSink("exact", "2.6.19");
  source.create("a", "p_0");
  source.load("a");
  source.addField("a", 7n);
  return { source, sink, pipeline: new FakePipeline(source, { rows: [sink] }) };
}

function lateOf(sink: ExactRowSink): unknown[] {
  const rows = [...sink.rowsOf({ db: "default", name: "a" }).values()].flatMap((own) => [...own]);
  return rows.map(([key, { late }]) => [`${key}`, late]).sort();
}

Deno.test("run says which fields have their default for each null before it copies, counts them, and holds nothing", async () => {
  const { source, sink, pipeline } = setup();
  source.insertNull("a", [1n, 10n], [2n, 20n]);
  source.insert("a", [3n, 30n]);
  const plan = await pipeline.plan();
  assert.deepEqual(plan.problems, []);
  const [planned] = plan.collections[0]!.sinks[0]!.agreed;
  assert.equal(agreedText(planned!), `field late has its default "7" for each null: ${WHY}`);
  assert.deepEqual((await pipeline.once()).blocked, []);
  assert.deepEqual(pipeline.warnings, [`default.a on exact: ${agreedText(planned!)}`]);
  assert.deepEqual(lateOf(sink), [["1", "7"], ["2", "7"], ["3", "30"]]);
  assert.ok(
    sink.schemaOf({ db: "default", name: "a" }).fields.some(({ name, nullable }) => name === "late" && nullable),
  );
  const [own] = pipeline.saved("exact")!.collections.values();
  assert.deepEqual(own!.agreed.map(({ change, values }) => [change, values]), [["defaulted", 2n]]);
});

Deno.test("verify names a null that became a default as its reason, does not mend it, and finds it right where nulls are filled", async () => {
  const { source, sink, pipeline } = setup();
  source.insertNull("a", [1n, 10n]);
  source.insert("a", [2n, 20n], [3n, 30n]);
  await pipeline.once();
  // One row that is wrong for another reason.
  await sink.write({
    collectionId: 1n,
    target: { db: "default", name: "a" },
    partition: "_default",
    mode: "upsert",
    rows: 1,
    fieldsData: [int64Column(100n, "id", [3n]), int64Column(101n, "value", [31n]), int64Column(102n, "late", [30n])],
  }, new AbortController().signal);
  using _ticking = source.ticking();
  const [found] = (await pipeline.verify()).collections;
  assert.deepEqual([found!.verdict, found!.content], ["different", 2]);
  assert.deepEqual(
    found!.examples.map(({ key, log }) => [key, log]).sort(),
    [
      ["1", `its null has become the default of late ("7"): ${WHY}`],
      ["3", "its newest insert says other content"],
    ],
  );
  const [mended] = (await pipeline.verify(10, { repair: true })).collections;
  assert.deepEqual([mended!.repaired!.content, mended!.content], [1, 1]);
  pipeline.override = { unsupported: { policy: "fill", values: DEFAULT_FILL } };
  const [filled] = (await pipeline.verify()).collections;
  assert.deepEqual([filled!.verdict, filled!.agreed.length], ["equal", 1]);
});
