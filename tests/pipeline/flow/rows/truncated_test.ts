/** Rows that a change has destroyed do not come back, wherever the run is killed. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { onceUnlessKilled } from "../../../fakes/mortal_run.ts";
import { FakePipeline } from "../../../fakes/pipeline.ts";
import { FakeRowSink } from "../../../fakes/row_sink.ts";
import { FakeSource } from "../../../fakes/source.ts";

const PCHANNELS = ["p_0", "p_1"];

const keys = fc.array(fc.nat(7), { minLength: 1, maxLength: 4 }).map((some) => [...new Set(some)].map(BigInt));
const step: fc.Arbitrary<(source: FakeSource) => void> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.tuple(keys, fc.nat(9)).map(([some, value]) => (source: FakeSource) =>
      source.insert("a", ...some.map((key) => [key, BigInt(value)] as const))
    ),
  },
  { weight: 2, arbitrary: keys.map((some) => (source: FakeSource) => source.delete("a", ...some)) },
  { weight: 2, arbitrary: fc.constant((source: FakeSource) => source.truncate("a")) },
  { weight: 3, arbitrary: fc.constant((source: FakeSource) => source.tick()) },
  // Another collection holds the position of its pchannel back.
  { weight: 2, arbitrary: fc.constant((source: FakeSource) => source.insert("b", [1n, 1n])) },
);

Deno.test("run leaves the source's rows on the target after truncations, wherever it is killed", async () => {
  const life = fc.record({ steps: fc.array(step, { maxLength: 12 }), dies: fc.nat(25) });
  await fc.assert(
    fc.asyncProperty(fc.array(life, { minLength: 1, maxLength: 4 }), async (lives) => {
      const source = new FakeSource(PCHANNELS);
      const replica = new FakeRowSink("replica");
      const pipeline = new FakePipeline(source, { rows: [replica] });
      source.create("a", ...PCHANNELS);
      source.create("b", "p_0");
      for (const { steps, dies } of lives) {
        for (const take of steps) take(source);
        await onceUnlessKilled(source, pipeline, dies, replica);
      }
      await pipeline.once();
      for (const name of ["a", "b"]) {
        assert.deepEqual(new Map([...replica.rows.get(name)!].sort()), new Map([...source.rows.get(name)!].sort()));
      }
    }),
    { numRuns: 60 },
  );
});
