import assert from "node:assert/strict";
import fc from "fast-check";
import { ExactRowSink } from "../../../fakes/exact_row_sink.ts";
import { ModelSource } from "../../../fakes/model_source.ts";
import { FakePipeline } from "../../../fakes/pipeline.ts";
import { MilvusModel, type Op } from "../../transforms/milvus_model.ts";
import { apply, chain, collect, difference, type Leg, letBegin, settle, step } from "./step_chain.ts";

async function follow(legs: readonly Leg[]): Promise<string | undefined> {
  const model = new MilvusModel([false, true]);
  const source = new ModelSource(model);
  const sink = new ExactRowSink("replica");
  const pipeline = new FakePipeline(source, { rows: [sink] });
  pipeline.override = { steps: { pollMs: 1000 } };
  for (const { ops, collected, killedAfter, meanwhile } of legs) {
    apply(model, ops);
    letBegin(model, pipeline);
    collect(model, collected);
    if (killedAfter !== undefined) {
      await step(pipeline, source, sink, killedAfter);
      apply(model, meanwhile);
      letBegin(model, pipeline);
      collect(model, collected >> 1);
    }
    await step(pipeline, source, sink, undefined);
    const found = difference(model, source, pipeline, sink, false);
    if (found !== undefined) return found;
  }
  settle(model);
  await step(pipeline, source, sink, undefined);
  return difference(model, source, pipeline, sink, true);
}

Deno.test("RowSteps: after each step of a chain the target is the log's state at the cuts, whatever was compacted, forgotten, collected or killed", async () => {
  await fc.assert(
    fc.asyncProperty(chain, async (legs) => assert.equal(await follow(legs), undefined)),
    { numRuns: 40, endOnFailure: true },
  );
});

Deno.test("RowSteps removes rows whose deletes were compacted away and collected before a step saw them", async () => {
  const where = { collection: 0, partition: 0 };
  const written: Op[] = [
    { ...where, kind: "tick", lagging: 0 },
    { ...where, kind: "tick", lagging: 0 },
    { ...where, kind: "sync", choice: 0 },
    { ...where, kind: "flush", choice: 0 },
    { ...where, kind: "checkpoint", choice: 3 },
    { ...where, kind: "checkpoint", choice: 2 },
  ];
  const compact = (choice: number): Op => ({
    ...where,
    kind: "compact",
    choice,
    lateDeltas: false,
    forget: false,
    lose: false,
  });
  const leg = (ops: readonly Op[], collected: number): Leg => ({
    ops,
    collected,
    killedAfter: undefined,
    meanwhile: [],
  });
  const keys = [0, 1, 2, 3, 4, 5];
  assert.equal(
    await follow([
      leg([{ ...where, kind: "insert", keys, late: false }, ...written], 0),
      leg([
        { ...where, kind: "delete", keys: [1, 2, 4], everywhere: false, late: false },
        ...written,
        compact(0),
        compact(1),
        ...written,
      ], 0xffff),
    ]),
    undefined,
  );
});

Deno.test("RowSteps drops a partition that the source dropped after a killed base had begun to copy it", async () => {
  const where = { collection: 0, partition: 0 };
  assert.equal(
    await follow([
      {
        ops: [
          { ...where, partition: 1, kind: "insert", keys: [0], late: false },
          { ...where, kind: "insert", keys: [0], late: false },
          { ...where, kind: "tick", lagging: 0 },
          { ...where, kind: "tick", lagging: 0 },
          { ...where, kind: "flush", choice: 0 },
          { ...where, kind: "flush", choice: 1 },
          { ...where, kind: "checkpoint", choice: 3 },
        ],
        collected: 0,
        killedAfter: 1,
        meanwhile: [{ ...where, partition: 1, kind: "drop_partition" }],
      },
    ]),
    undefined,
  );
});
