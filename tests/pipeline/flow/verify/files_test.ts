import assert from "node:assert/strict";
import fc from "fast-check";
import type { VerifyReport } from "../../../../pipeline/flow/mod.ts";
import { ExactRowSink } from "../../../fakes/exact_row_sink.ts";
import { ModelSource } from "../../../fakes/model_source.ts";
import { FakePipeline } from "../../../fakes/pipeline.ts";
import { int64Column } from "../../../fakes/int64_column.ts";
import { MilvusModel } from "../../transforms/milvus_model.ts";
import { apply, chain, collect, difference, type Leg, letBegin, settle, step } from "../rows/step_chain.ts";

interface Setup {
  readonly model: MilvusModel;
  readonly source: ModelSource;
  readonly sink: ExactRowSink;
  readonly pipeline: FakePipeline;
}

function setUp(): Setup {
  const model = new MilvusModel([false, true]);
  const source = new ModelSource(model);
  const sink = new ExactRowSink("replica");
  const pipeline = new FakePipeline(source, { rows: [sink] });
  pipeline.override = { steps: { pollMs: 1 } };
  return { model, source, sink, pipeline };
}

function verdicts({ collections }: VerifyReport): Record<string, string> {
  return Object.fromEntries(collections.map(({ source, verdict }) => [source, verdict]));
}

/** No right copy is called wrong: at its cuts, behind them, or after a collection that left no trace. */
function assertNotWrong(report: VerifyReport, when: string): void {
  const wrong = report.collections.filter(({ verdict }) => verdict === "different" || verdict === "held");
  assert.deepEqual(wrong, [], when);
}

async function run(legs: readonly Leg[]): Promise<Setup> {
  const setup = setUp();
  const { model, source, sink, pipeline } = setup;
  for (const { ops, collected, killedAfter, meanwhile } of legs) {
    apply(model, ops);
    letBegin(model, pipeline);
    if (pipeline.saved("replica") !== undefined) {
      assertNotWrong(await pipeline.verify(), "before a step");
      assertNotWrong(await pipeline.verify(10, { countsOnly: true }), "before a step, numbers of rows");
    }
    collect(model, collected);
    if (pipeline.saved("replica") !== undefined) assertNotWrong(await pipeline.verify(), "before a step, collected");
    if (killedAfter !== undefined) {
      await step(pipeline, source, sink, killedAfter);
      if (pipeline.saved("replica") !== undefined) assertNotWrong(await pipeline.verify(), "after a kill");
      apply(model, meanwhile);
      letBegin(model, pipeline);
    }
    await step(pipeline, source, sink, undefined);
    assertNotWrong(await pipeline.verify(), "after a step");
  }
  settle(model);
  await step(pipeline, source, sink, undefined);
  assert.equal(difference(model, source, pipeline, sink, true), undefined);
  return setup;
}

const BOOKS = { db: "default", name: "c1" };

function write({ sink }: Setup, partition: string, key: bigint, value: bigint): Promise<void> {
  const fieldsData = [int64Column(100n, "id", [key]), int64Column(101n, "value", [value])];
  const about = { collectionId: 1n, target: BOOKS, partition, mode: "upsert" as const };
  return sink.write({ ...about, rows: 1, fieldsData }, new AbortController().signal);
}

Deno.test("verifyRun without a log calls no right copy wrong along a chain of cuts, and names each key that was tampered with", async () => {
  await fc.assert(
    fc.asyncProperty(chain, fc.nat(), async (legs, choice) => {
      const setup = await run(legs);
      const { model, sink, pipeline } = setup;
      const compared = await pipeline.verify();
      assert.ok(compared.equal, JSON.stringify(verdicts(compared)));
      assert.ok((await pipeline.verify(10, { countsOnly: true })).equal);
      if (!model.collections[0]!.live) return;
      const found = [...sink.rowsOf(BOOKS)].flatMap(([partition, rows]) =>
        [...rows].map(([key, { value }]) => ({ partition, key: BigInt(key), value: BigInt(value as string | bigint) }))
      );
      const [partition] = [...model.collections[0]!.partitions].find(([, { live }]) => live)!;
      await write(setup, `p${partition}`, 99n, 1n);
      const wanted = [{ kind: "extra", key: "99" }];
      if (found.length > 0) {
        const { partition, key, value } = found[choice % found.length]!;
        await write(setup, partition, key, value + 1000n);
        wanted.push({ kind: "content", key: `${key}` });
      }
      if (found.length > 1) {
        const { partition, key } = found[(choice + 1) % found.length]!;
        const keys = { kind: "int64" as const, values: BigInt64Array.of(key) };
        await sink.remove({ collectionId: 1n, target: BOOKS, partition, keys }, new AbortController().signal);
        wanted.push({ kind: "missing", key: `${key}` });
      }
      const report = await pipeline.verify();
      const [books] = report.collections;
      assert.equal(books!.verdict, "different");
      const named = books!.examples.map(({ kind, key }) => ({ kind, key }));
      const inOrder = (list: typeof wanted) => list.map((item) => `${item.kind} ${item.key}`).sort();
      assert.deepEqual(inOrder(named as typeof wanted), inOrder(wanted));
      const { collections: [repaired] } = await pipeline.verify(10, { repair: true });
      // Of a target that is merged into, nobody knows whose the other rows are.
      assert.deepEqual([repaired!.repaired!.left, repaired!.extra, repaired!.content, repaired!.missing], [1, 1, 0, 0]);
    }),
    { numRuns: 25, endOnFailure: true },
  );
});
