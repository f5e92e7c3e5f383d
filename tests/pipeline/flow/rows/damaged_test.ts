/** A collection whose metadata becomes unreadable while it is followed, in whole runs over fakes. */
import assert from "node:assert/strict";
import type { Catalog } from "../../../../pipeline/model/mod.ts";
import { createMemoryStore, readCatalogJournal } from "../../../../stores/mod.ts";
import { FakePipeline, type FakePipelineOptions, until } from "../../../fakes/pipeline.ts";
import { restoreFake } from "../../../fakes/restore.ts";
import { FakeRowSink } from "../../../fakes/row_sink.ts";
import { FakeSource } from "../../../fakes/source.ts";

/** `a` on one channel, and `b` on another; both have a row. */
function setup(options: FakePipelineOptions) {
  const source = new FakeSource();
  const pipeline = new FakePipeline(source, options);
  source.create("a", "p_0");
  const b = source.create("b", "p_1");
  source.insert("a", [1n, 1n]);
  source.insert("b", [9n, 9n]);
  const state = { damaged: undefined as string | undefined };
  const seen = (catalog: Catalog): Catalog => ({
    ...catalog,
    collections: catalog.collections.map((one) =>
      one.id !== b.id || state.damaged === undefined
        ? one
        : { ...one, schema: { ...one.schema, fields: [] }, partitions: [], damaged: state.damaged }
    ),
  });
  const { meta } = source;
  pipeline.override = {
    meta: {
      ...meta,
      snapshot: async (signal) => {
        const { catalog, ...rest } = await meta.snapshot(signal);
        const unusable = new Map(state.damaged === undefined ? [] : [[b.id, state.damaged]]);
        return { ...rest, catalog: seen(catalog), unusable };
      },
      async *watch(revision, signal) {
        for await (const change of meta.watch(revision, signal)) yield { ...change, catalog: seen(change.catalog) };
      },
    },
  };
  /** Its keys are written anew, and hold nothing that can be read. */
  const damage = () => {
    state.damaged = "The etcd key root-coord/fields/101/100 does not hold what Milvus keeps there";
    source.load("b");
  };
  return { source, pipeline, b, state, damage };
}

Deno.test("RowCatalog holds a followed collection whose metadata can no longer be read, and the others go on", async () => {
  const replica = new FakeRowSink("replica");
  const { source, pipeline, state, damage } = setup({ rows: [replica] });
  const run = pipeline.start();
  using _ticking = source.ticking();
  await until(
    "both are followed",
    () => replica.rows.get("a")?.has(1n) === true && replica.rows.get("b")?.has(9n) === true,
  );
  damage();
  const reasonOf = () => run.status().collections.find(({ name }) => name === "b")?.blockedReason;
  await until("it is held", () => reasonOf() !== undefined);
  assert.match(reasonOf()!, /root-coord\/fields\/101\/100 does not hold/);
  source.insert("b", [10n, 10n]);
  source.insert("a", [2n, 2n]);
  await until("the others are followed", () => replica.rows.get("a")?.has(2n) === true);
  assert.deepEqual([...replica.rows.get("b")!.keys()], [9n]);
  await run.stop();

  state.damaged = undefined;
  assert.deepEqual((await pipeline.once()).blocked, []);
  assert.deepEqual(replica.rows, source.rows);
});

Deno.test("ArchiveNotes notes a collection whose metadata can no longer be read as it was before, and its records go on", async () => {
  const vault = createMemoryStore();
  const { source, pipeline, damage } = setup({ vaults: { vault }, backup: { name: "b" } });
  const run = pipeline.start();
  using _ticking = source.ticking();
  const archived = async () => {
    const { now } = source;
    await until(
      "all is archived",
      () => ["p_0", "p_1"].every((name) => (pipeline.saved("vault")?.positions.get(name)?.tick ?? 0n) > now),
    );
    return now;
  };
  await archived();
  damage();
  source.insert("b", [10n, 10n]);
  source.insert("a", [2n, 2n]);
  await archived();
  await run.stop();
  // Another run has seen nothing else of it, and goes on as well.
  const again = pipeline.start();
  source.insert("b", [11n, 11n]);
  source.create("c", "p_0");
  source.insert("c", [3n, 3n]);
  const ts = await archived();
  await again.stop();
  assert.match(pipeline.warnings.join(), /log of default\.b, whose definition is noted as it was before: The etcd key/);
  const notes = (await readCatalogJournal(vault, "b")).flatMap(({ catalog }) => catalog.collections);
  assert.deepEqual([...new Set(notes.map(({ name, schema }) => `${name} ${schema.fields.length}`))].sort(), [
    "a 2",
    "b 2",
    "c 2",
  ]);
  assert.deepEqual(await restoreFake(source, vault, ts), source.rows);
});
