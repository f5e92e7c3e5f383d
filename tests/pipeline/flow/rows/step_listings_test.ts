/** What the steps of a run without a log ask of the store, step by step. */
import assert from "node:assert/strict";
import { ExactRowSink } from "../../../fakes/exact_row_sink.ts";
import { ModelSource } from "../../../fakes/model_source.ts";
import { FakePipeline, until } from "../../../fakes/pipeline.ts";
import { MilvusModel, type Op } from "../../transforms/milvus_model.ts";

const where = { collection: 0, partition: 0 };
const KEYS = [0, 1];
const passed: readonly Op[] = [
  { ...where, kind: "tick", lagging: 0 },
  { ...where, kind: "tick", lagging: 0 },
  { ...where, kind: "checkpoint", choice: 3 },
  { ...where, kind: "checkpoint", choice: 2 },
];
const written: readonly Op[] = [
  { ...where, kind: "insert", keys: KEYS, late: false },
  ...passed,
  { ...where, kind: "flush", choice: 0 },
  { ...where, kind: "checkpoint", choice: 3 },
  { ...where, kind: "checkpoint", choice: 2 },
];
const compacted = KEYS.map((choice): Op => ({
  ...where,
  kind: "compact",
  choice,
  lateDeltas: false,
  forget: false,
  lose: false,
}));

/** What was listed: how many segments' insert files, or all; nothing where there was no listing. */
type Listed = number | "all" | "nothing";

function setUp() {
  const model = new MilvusModel([false]);
  const source = new ModelSource(model);
  const sink = new ExactRowSink("replica");
  const pipeline = new FakePipeline(source, { rows: [sink] });
  /** Of each reading of the metadata. */
  const listed: Listed[][] = [];
  const left: (readonly Op[])[] = [];
  pipeline.override = {
    steps: { pollMs: 1 },
    meta: {
      ...source.meta,
      snapshot: (signal) => {
        for (const op of left.shift() ?? []) model.apply(op);
        listed.push([]);
        return source.meta.snapshot(signal);
      },
    },
    binlogs: {
      ...source.binlogs,
      verify: (id, segments, signal, only) => {
        listed.at(-1)!.push(only === undefined ? "all" : only.size);
        return source.binlogs.verify(id, segments, signal, only);
      },
    },
  };
  /** One run, of which each reading of the metadata has `legs` behind it. */
  const run = async (...legs: (readonly Op[])[]): Promise<Listed[]> => {
    listed.length = 0;
    left.splice(0, Infinity, ...legs);
    const following = pipeline.start();
    await until("the legs are over", () => listed.length > legs.length + 1);
    await following.stop();
    const each = listed.slice(0, legs.length);
    assert.ok(each.every(({ length }) => length <= 1), JSON.stringify(each));
    return each.map(([one = "nothing"]) => one);
  };
  return { run, sink };
}

Deno.test("RowSteps lists a segment's files once, delta files until the cuts have passed a change, and then nothing", async () => {
  const { run } = setUp();
  assert.deepEqual(
    await run(
      written,
      [],
      passed,
      passed,
      [],
      passed,
      written,
      passed,
      passed,
      [],
      [...compacted, ...passed],
      passed,
      passed,
    ),
    [
      ...["all", "nothing", 0, 0, "nothing", "nothing"] as const,
      // A segment on each of two channels.
      ...[2, 0, "nothing", "nothing"] as const,
      ...[2, 0, "nothing"] as const,
    ],
  );
});

Deno.test("RowSteps asks the store for nothing in a new process where nothing has moved, for delta files where it has", async () => {
  const { run } = setUp();
  await run(written, [], passed, passed);
  assert.deepEqual(await run([], [], []), ["nothing", "nothing", "nothing"]);
  assert.deepEqual(await run([], passed, passed, passed), ["nothing", 0, 0, "nothing"]);
});
