/** A selection that takes nothing, and names that clash, are said before anything is made. */
import assert from "node:assert/strict";
import { TidemarkError } from "../../../pipeline/errors.ts";
import type { FlowDependencies } from "../../../pipeline/flow/mod.ts";
import { makeRouter, makeSelector } from "../../../pipeline/transforms/mod.ts";
import { FakePipeline } from "../../fakes/pipeline.ts";
import { FakeRowSink } from "../../fakes/row_sink.ts";
import { FakeSource } from "../../fakes/source.ts";

interface Setup {
  readonly names: readonly string[];
  readonly include?: readonly string[];
  readonly allowEmpty?: boolean;
  readonly route?: readonly { readonly from: string; readonly to: string }[];
}

function setup({ names, include = ["*.*"], allowEmpty = false, route = [] }: Setup) {
  const source = new FakeSource();
  for (const name of names) source.create(name, "p_0");
  const replica = new FakeRowSink("replica");
  const pipeline = new FakePipeline(source, { rows: [replica] });
  const selector = makeSelector({ include, exclude: [] });
  const override: Partial<FlowDependencies> = {
    ...selector,
    selection: { include, exclude: [], allowEmpty, source: "the source" },
    route: makeRouter(route).route,
  };
  pipeline.override = override;
  return { source, replica, pipeline };
}

async function refused(work: Promise<unknown>): Promise<TidemarkError> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof TidemarkError, `${error}`);
    assert.equal(error.code, "config");
    assert.equal(error.exitCode, 10);
    return error;
  }
  throw new Error("It was not refused");
}

Deno.test("run and plan of a selection that takes nothing say what there is, and leave no state", async () => {
  const { pipeline, replica } = setup({ names: ["orders", "items"], include: ["nosuch.*", "default.order"] });
  for (const work of [pipeline.once(), pipeline.plan()]) {
    const { message, hint } = await refused(work);
    assert.equal(
      message,
      "Nothing is selected: transforms.select (nosuch.*, default.order) takes none of what the source has: default.items, default.orders",
    );
    assert.match(hint!, /transforms\.select\.allow_empty: true/);
  }
  assert.equal(pipeline.saved("replica"), undefined);
  assert.equal(replica.rows.size, 0);
});

Deno.test("run of a selection that takes nothing of much shortens the list, and counts the rest", async () => {
  const names = Array.from({ length: 40 }, (_, i) => `c${String(i).padStart(2, "0")}`);
  const { message } = await refused(setup({ names, include: ["nosuch.*"] }).pipeline.once());
  assert.match(message, /: default\.c00, .*default\.c11 and 28 more \(40 in default\)$/);
});

Deno.test("run of an empty source says that it is the source that is empty", async () => {
  const { message } = await refused(setup({ names: [], include: ["sales.*"] }).pipeline.once());
  assert.equal(message, "Nothing to copy: the source is empty, it has no collection");
});

Deno.test("run begins with nothing where allow_empty is set, and takes what comes", async () => {
  const { pipeline, source, replica } = setup({ names: [], allowEmpty: true });
  await pipeline.once();
  source.create("a", "p_0");
  source.insert("a", [1n, 10n]);
  await pipeline.once();
  assert.deepEqual(replica.rows, source.rows);
});

Deno.test("run goes on where the source has dropped all that was selected", async () => {
  const { pipeline, source, replica } = setup({ names: ["a", "b"], include: ["default.a"] });
  await pipeline.once();
  assert.deepEqual([...replica.rows.keys()], ["a"]);
  source.drop("a");
  await pipeline.once();
  await pipeline.once();
});

Deno.test("run and plan name both collections that a route makes one, before anything is made", async () => {
  const { pipeline, replica } = setup({ names: ["a", "b", "c"], route: [{ from: "default.a", to: "default.b" }] });
  const { message } = await refused(pipeline.once());
  assert.match(message, /default\.a and default\.b both go to default\.b/);
  assert.equal(replica.rows.size, 0);
  assert.equal(pipeline.saved("replica"), undefined);
  assert.deepEqual((await pipeline.plan()).problems, ["default.a and default.b both go to default.b"]);
});

Deno.test("run takes names that differ in case alone for two, as Milvus does", async () => {
  const { pipeline, replica, source } = setup({ names: ["Orders", "orders"] });
  await pipeline.once();
  assert.deepEqual([...replica.rows.keys()].sort(), ["Orders", "orders"]);
  assert.deepEqual(replica.rows, source.rows);
});
