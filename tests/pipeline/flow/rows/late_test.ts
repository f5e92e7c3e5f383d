/** Collections that cannot begin with the others, in whole runs over fakes. */
import assert from "node:assert/strict";
import type { Snapshot } from "../../../../pipeline/model/mod.ts";
import { FakePipeline, until } from "../../../fakes/pipeline.ts";
import { FakeRowSink } from "../../../fakes/row_sink.ts";
import { FakeSource } from "../../../fakes/source.ts";

/** `a` on one channel, `b` on another; `trouble` is what the metadata says besides. */
function setup() {
  const source = new FakeSource();
  const replica = new FakeRowSink("replica");
  const pipeline = new FakePipeline(source, { rows: [replica] });
  const a = source.create("a", "p_0");
  const b = source.create("b", "p_1");
  source.insert("a", [1n, 1n]);
  const state = { trouble: {} as Partial<Snapshot> };
  pipeline.override = {
    meta: {
      ...source.meta,
      snapshot: async (signal) => ({ ...await source.meta.snapshot(signal), ...state.trouble }),
    },
  };
  return { source, replica, pipeline, a, b, state };
}

/** `a` is copied and followed while `b` waits for `component`; when nothing keeps `b` any more, it is there as well. */
async function onlyOneWaits(
  { source, replica, pipeline, state }: ReturnType<typeof setup>,
  component: string,
  reason: RegExp,
  mend: () => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  const run = pipeline.start();
  using _ticking = source.ticking();
  await until("the others are copied", () => replica.rows.get("a")?.has(1n) === true);
  source.insert("a", [2n, 2n]);
  await until("the others are followed", () => replica.rows.get("a")?.has(2n) === true);
  assert.equal(replica.rows.has("b"), false, "nothing is made of what cannot begin");
  const [wait, ...more] = run.status().waits;
  assert.deepEqual([wait?.component, wait?.collection, more], [component, "default.b", []]);
  assert.match(wait!.reason, reason);
  await mend();
  state.trouble = { ...state.trouble, imports: [], unusable: new Map() };
  source.insert("b", [10n, 10n]);
  await until("it has joined", () => replica.rows.get("b")?.has(10n) === true);
  source.insert("a", [3n, 3n]);
  source.delete("a", 1n);
  source.insert("b", [11n, 11n]);
  await until(
    "both are followed",
    () => replica.rows.get("b")?.has(11n) === true && replica.rows.get("a")?.has(1n) === false,
  );
  assert.deepEqual(replica.rows, source.rows);
  assert.deepEqual(run.status().waits, []);
  await run.stop();
}

Deno.test("LateCollections lets only the collection wait into which an import is under way", async () => {
  const all = setup();
  const { source, b, state } = all;
  source.insert("b", [9n, 9n]);
  state.trouble = { imports: [{ id: 7n, collectionId: b.id, state: "pending", segmentIds: [], rows: 0n }] };
  await onlyOneWaits(all, "sources.meta", /Import 7 into default\.b is not completed/);
});

Deno.test("LateCollections lets only the collections wait whose source checkpoint lies before the log's beginning", async () => {
  const all = setup();
  const { source, b, state } = all;
  const vchannel = b.vchannels[0]!;
  for (let i = 0; i < 5; i++) source.tick();
  source.log.deleteRecords("p_1", 4n);
  await onlyOneWaits(all, "sources.log", /checkpoint on p_1 is .*Flush default\.b on the source/, async () => {
    // As a flush does.
    const { latest } = await source.log.bounds("p_1", new AbortController().signal);
    state.trouble = { checkpoints: new Map([[vchannel, { channel: vchannel, offset: latest, ts: source.now }]]) };
  });
});

Deno.test("LateCollections lets only the collection wait whose metadata is torn or damaged", async () => {
  const all = setup();
  const { b, state, source } = all;
  source.insert("b", [9n, 9n]);
  state.trouble = { unusable: new Map([[b.id, "Segment 5 of default.b has no binlog key"]]) };
  await onlyOneWaits(all, "sources.meta", /Segment 5 of default\.b has no binlog key/);
});

Deno.test("LateCollections leaves to the next run what cannot begin in a run that ends, and names it", async () => {
  const { source, replica, pipeline, b, state } = setup();
  state.trouble = { unusable: new Map([[b.id, "Segment 5 of default.b has no binlog key"]]) };
  const { blocked } = await pipeline.once();
  assert.deepEqual(blocked, [{ collection: "default.b", reason: "Segment 5 of default.b has no binlog key" }]);
  assert.deepEqual([...replica.rows.keys()], ["a"]);
  state.trouble = {};
  assert.deepEqual((await pipeline.once()).blocked, []);
  assert.deepEqual(replica.rows, source.rows);
});

Deno.test("LateCollections waits in a run that ends for an import, which passes by itself", async () => {
  const { source, replica, pipeline, b, state } = setup();
  source.insert("b", [9n, 9n]);
  state.trouble = { imports: [{ id: 7n, collectionId: b.id, state: "persisted", segmentIds: [], rows: 0n }] };
  setTimeout(() => state.trouble = {}, 1500);
  assert.deepEqual((await pipeline.once()).blocked, []);
  assert.deepEqual(replica.rows, source.rows);
});

Deno.test("LateCollections waits in a run that ends for a truncation that is under way when the import is done", async () => {
  const { source, replica, pipeline, b, state } = setup();
  source.insert("b", [9n, 9n]);
  state.trouble = { imports: [{ id: 7n, collectionId: b.id, state: "persisted", segmentIds: [], rows: 0n }] };
  using _ticking = source.ticking();
  const run = pipeline.start({ kind: "once" });
  let isOver = false;
  run.result.finally(() => isOver = true);
  const waitsFor = (reason: RegExp) =>
    until(`${reason}`, () => isOver || run.status().waits.some((one) => reason.test(one.reason)));
  await waitsFor(/Import 7 into default\.b/);
  state.trouble = { unsettled: [{ broadcastId: 8n, collectionId: b.id, typeName: "TruncateCollection" }] };
  await waitsFor(/TruncateCollection has reached every channel/);
  state.trouble = {};
  assert.deepEqual((await run.result).blocked, []);
  assert.deepEqual(replica.rows, source.rows);
});

Deno.test("plan names the collections that would wait because the log lost what their checkpoints name", async () => {
  const { source, pipeline } = setup();
  for (let i = 0; i < 5; i++) source.tick();
  source.log.deleteRecords("p_1", 4n);
  assert.deepEqual((await pipeline.plan()).problems, [], "of a restore: its log is what it is");
  pipeline.override = { ...pipeline.override, baseDeletes: "log_and_files" };
  const { problems } = await pipeline.plan();
  assert.equal(problems.length, 1);
  assert.match(problems[0]!, /^default\.b: The source's own checkpoint on p_1 is .*Flush default\.b on the source/);
});
