import assert from "node:assert/strict";
import fc from "fast-check";
import { hybridFromMs } from "../../../../pipeline/model/mod.ts";
import { makeCuts } from "../../../../pipeline/transforms/mod.ts";
import { createMemoryStore } from "../../../../stores/mod.ts";
import { ExactRowSink } from "../../../fakes/exact_row_sink.ts";
import { ModelSource } from "../../../fakes/model_source.ts";
import { FakePipeline, until } from "../../../fakes/pipeline.ts";
import { MilvusModel } from "../../transforms/milvus_model.ts";
import { apply, chain, difference, type Leg, letBegin, settle } from "../rows/step_chain.ts";

/** The source goes on by one leg before each reading of its metadata after the first, and at last everything is written. */
function moving(legs: readonly Leg[]) {
  const model = new MilvusModel([false, true]);
  const source = new ModelSource(model);
  const sink = new ExactRowSink("replica");
  const pipeline = new FakePipeline(source, { rows: [sink] });
  const left = [...legs];
  /** The oldest cut of each reading. */
  const cuts: bigint[] = [];
  pipeline.override = {
    steps: { pollMs: 1 },
    meta: {
      ...source.meta,
      snapshot: async (signal) => {
        const leg = left.shift();
        if (leg === undefined) settle(model);
        else apply(model, leg.ops);
        letBegin(model, pipeline);
        const taken = await source.meta.snapshot(signal);
        cuts.push(makeCuts(taken, taken.catalog.collections).reduce((min, { ts }) => ts < min ? ts : min, 1n << 60n));
        return taken;
      },
    },
  };
  return { model, source, sink, pipeline, cuts };
}

Deno.test("run --until without a log ends with the first step whose cuts are all at that moment or later", async () => {
  await fc.assert(
    fc.asyncProperty(chain, fc.nat(120), async (legs, after) => {
      const { model, source, sink, pipeline, cuts } = moving(legs);
      const ts = 100n + BigInt(after);
      const { blocked, upTo } = await pipeline.start({ kind: "until", ts }).result;
      assert.deepEqual(blocked, []);
      assert.ok(upTo >= ts, `${upTo} is before ${ts}`);
      assert.ok(cuts.slice(0, -1).every((cut) => cut < ts), `${cuts} went on behind ${ts}`);
      assert.equal(difference(model, source, pipeline, sink, false), undefined);
      // It is there: nothing is done for it once more.
      const steps = sink.done.length;
      const again = await pipeline.start({ kind: "until", ts: upTo }).result;
      assert.deepEqual([again.upTo >= upTo, sink.done.length], [true, steps]);
    }),
    { numRuns: 30, endOnFailure: true },
  );
});

Deno.test("run --until without a log says which checkpoint it waits for, and stops where it is", async () => {
  const model = new MilvusModel([false]);
  const source = new ModelSource(model);
  const pipeline = new FakePipeline(source, { rows: [new ExactRowSink("replica")] });
  pipeline.override = { steps: { pollMs: 1 } };
  const run = pipeline.start({ kind: "until", ts: hybridFromMs(Date.UTC(2030, 0, 1)) });
  await until(
    "the wait is shown",
    () => pipeline.waits.list().some(({ reason }) => /checkpoint of dml_\d_1v\d.* has come to 2030-01-01/.test(reason)),
  );
  await run.stop();
  assert.deepEqual(pipeline.waits.list(), []);
});

Deno.test("run --until without a log refuses where there are only backups: a base is of now", async () => {
  const source = new ModelSource(new MilvusModel([false]));
  const pipeline = new FakePipeline(source, { vaults: { vault: createMemoryStore() }, backup: { log_archive: false } });
  pipeline.override = { steps: { pollMs: 1 } };
  await assert.rejects(pipeline.start({ kind: "until", ts: 1n }).result, { code: "usage", message: /base is of now/ });
});
