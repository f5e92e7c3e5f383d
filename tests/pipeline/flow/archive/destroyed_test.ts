/** Backups of a log with what destroys rows: each moment is restored as it was. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { HybridTs } from "../../../../pipeline/model/mod.ts";
import { openBackupSource } from "../../../../sources/backup/mod.ts";
import { createMemoryStore } from "../../../../stores/mod.ts";
import { onceUnlessKilled } from "../../../fakes/mortal_run.ts";
import { FakePipeline } from "../../../fakes/pipeline.ts";
import { restoreFake } from "../../../fakes/restore.ts";
import { FakeSource } from "../../../fakes/source.ts";

const PCHANNELS = ["p_0", "p_1"];

const keys = fc.array(fc.nat(7), { minLength: 1, maxLength: 4 }).map((some) => [...new Set(some)].map(BigInt));
const step: fc.Arbitrary<(source: FakeSource) => void> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.tuple(keys, fc.nat(9)).map(([some, value]) => (source: FakeSource) => {
      source.delete("a", ...some);
      source.insert("a", ...some.map((key) => [key, BigInt(value)] as const));
    }),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.nat(9), fc.nat(1)).map(([value, shard]) => (source: FakeSource) =>
      source.deleteAbove("a", BigInt(value), shard)
    ),
  },
  { weight: 1, arbitrary: fc.constant((source: FakeSource) => source.truncate("a")) },
  { weight: 3, arbitrary: fc.constant((source: FakeSource) => source.tick()) },
);

Deno.test("a restore of any moment has the rows that truncations and deletes by predicate had left by then, wherever the archiving run was killed", async () => {
  const life = fc.record({ steps: fc.array(step, { maxLength: 10 }), dies: fc.nat(25) });
  await fc.assert(
    fc.asyncProperty(fc.array(life, { minLength: 1, maxLength: 3 }), async (lives) => {
      const source = new FakeSource(PCHANNELS, { autoId: true });
      const vault = createMemoryStore();
      const pipeline = new FakePipeline(source, { vaults: { vault } });
      source.create("a", ...PCHANNELS);
      await pipeline.once();
      const past: { readonly ts: HybridTs; readonly rows: Map<string, Map<bigint, bigint>> }[] = [];
      for (const { steps, dies } of lives) {
        for (const take of steps) {
          take(source);
          source.tick();
          past.push({ ts: source.now, rows: structuredClone(source.rows) });
        }
        await onceUnlessKilled(source, pipeline, dies);
      }
      await pipeline.once();
      const { to } = (await openBackupSource(vault, "b")).restorable!;
      for (const { ts, rows } of past) {
        assert.ok(ts <= to.ts);
        assert.deepEqual(await restoreFake(source, vault, ts), rows, `at ${ts}`);
      }
    }),
    { numRuns: 6 },
  );
});
