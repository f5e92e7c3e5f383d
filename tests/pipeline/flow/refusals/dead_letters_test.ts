/** Whole runs over fakes that put refused rows aside, and what a replay makes of them. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { createDeadLetters, createMemoryStore } from "../../../../stores/mod.ts";
import { FakePipeline } from "../../../fakes/pipeline.ts";
import { FakeRowSink } from "../../../fakes/row_sink.ts";
import { FakeSource } from "../../../fakes/source.ts";

const BAD = 1000n;
const refuses = (_key: bigint, value: bigint) => value >= BAD ? `field value has ${value}` : undefined;

function setup() {
  const source = new FakeSource(["p_0"]);
  const sink = new FakeRowSink("t");
  sink.refuses = refuses;
  const pipeline = new FakePipeline(source, { rows: [sink] });
  const letters = createDeadLetters({ store: createMemoryStore(), program: "test" });
  pipeline.override = { badRows: { policy: "dead_letter", letters } };
  source.create("c", "p_0");
  return { source, sink, pipeline, letters };
}

const sorted = (rows: ReadonlyMap<bigint, bigint> | undefined) =>
  [...rows ?? []].sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0);

Deno.test("run puts refused rows aside with key, position and reason, goes on, and does not try them again by itself", async () => {
  const { source, sink, pipeline, letters } = setup();
  source.insert("c", [1n, 1n], [2n, 5000n]);
  const first = await pipeline.once();
  assert.deepEqual(first.refusedRows.map(({ held, deadLetters, keys }) => ({ held, deadLetters, keys })), [
    { held: 0, deadLetters: 1, keys: ["2"] },
  ]);
  const [letter] = await letters.read("00001.parquet");
  assert.deepEqual([letter!.key, letter!.reason, letter!.collection], [2n, "field value has 5000", "default.c"]);
  assert.match(letter!.position, /^p_0@\d+$/);
  sink.refuses = () => undefined;
  assert.equal((await pipeline.once()).refusedRows[0]?.deadLetters, 1);
  assert.deepEqual(sorted(sink.rows.get("c")), [[1n, 1n]]);
});

Deno.test("replay writes what the target takes now, and passes over rows whose keys were written or deleted since", async () => {
  const { source, sink, pipeline, letters } = setup();
  source.insert("c", [1n, 5001n], [2n, 5002n], [3n, 5003n], [4n, 5004n]);
  await pipeline.once();
  source.insert("c", [1n, 1n]);
  source.delete("c", 2n);
  await pipeline.once();
  sink.refuses = (key, value) => key === 4n && value >= BAD ? "still too much" : undefined;
  const report = await pipeline.replay(letters, await letters.files());
  assert.deepEqual(report, {
    letters: 4,
    written: 1,
    refused: [{ collection: "default.c", key: 4n, reason: "still too much" }],
    superseded: 2,
  });
  assert.deepEqual(sorted(sink.rows.get("c")), [[1n, 1n], [3n, 5003n]]);
  sink.refuses = () => undefined;
  assert.equal((await pipeline.replay(letters, await letters.files())).written, 1);
  assert.deepEqual((await pipeline.once()).refusedRows, []);
  assert.deepEqual(sorted(sink.rows.get("c")), sorted(source.rows.get("c")));
});

Deno.test("replay after any workload and kill makes the target what the source is, once the target takes every row", async () => {
  const rows = fc.array(fc.tuple(fc.nat(5), fc.oneof(fc.nat(999), fc.integer({ min: 1000, max: 1999 }))), {
    minLength: 1,
    maxLength: 4,
  });
  const step = fc.oneof(
    { weight: 4, arbitrary: rows },
    { weight: 2, arbitrary: fc.nat(5) },
    { weight: 1, arbitrary: fc.constant("kill" as const) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 16 }), async (steps) => {
      const { source, sink, pipeline, letters } = setup();
      {
        using _ticking = source.ticking();
        let run = pipeline.start();
        for (const one of steps) {
          if (one === "kill") {
            await run.kill();
            run = pipeline.start();
          } else if (typeof one === "number") source.delete("c", BigInt(one));
          else source.insert("c", ...new Map(one.map(([k, v]): [bigint, bigint] => [BigInt(k), BigInt(v)])));
        }
        await run.kill();
      }
      await pipeline.once();
      sink.refuses = () => undefined;
      await pipeline.replay(letters, await letters.files());
      assert.deepEqual((await pipeline.once()).refusedRows, []);
      assert.deepEqual(sorted(sink.rows.get("c")), sorted(source.rows.get("c")));
    }),
    { numRuns: 20 },
  );
});
