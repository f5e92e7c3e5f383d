/** Whole runs over fakes whose target refuses some rows: what is there in the end, through kills and mends. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { FlowLimits } from "../../../../pipeline/flow/mod.ts";
import { FakePipeline, until } from "../../../fakes/pipeline.ts";
import { FakeRowSink } from "../../../fakes/row_sink.ts";
import { FakeSource } from "../../../fakes/source.ts";

/** Values from here on are too much for the target. */
const BAD = 1000n;
const refuses = (_key: bigint, value: bigint) =>
  value >= BAD ? `field value has ${value}, the limit is ${BAD}` : undefined;

function setup(limits: Partial<FlowLimits> = {}) {
  const source = new FakeSource(["p_0"]);
  const sink = new FakeRowSink("t");
  sink.refuses = refuses;
  const pipeline = new FakePipeline(source, { rows: [sink], limits });
  return { source, sink, pipeline };
}

const sorted = (rows: ReadonlyMap<bigint, bigint> | undefined) =>
  [...rows ?? []].sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0);

Deno.test("run writes every other row where the target refuses one, and names the key and why", async () => {
  const { source, sink, pipeline } = setup();
  source.create("c", "p_0");
  source.insert("c", [1n, 1n], [2n, 5000n], [3n, 3n]);
  const result = await pipeline.once();
  assert.deepEqual(sorted(sink.rows.get("c")), [[1n, 1n], [3n, 3n]]);
  assert.deepEqual(result.blocked, []);
  assert.deepEqual(result.refusedRows, [{
    sink: "t",
    collection: "default.c",
    held: 1,
    deadLetters: 0,
    keys: ["2"],
    reason: "field value has 5000, the limit is 1000",
  }]);
  assert.ok(
    pipeline.warnings.some((line) => /default\.c: the row with key 2 \(p_0@\d+\) is held: field value/.test(line)),
  );
});

Deno.test("run leaves what the target had of a refused key, until the source deletes it or writes what fits", async () => {
  const { source, sink, pipeline } = setup();
  source.create("c", "p_0");
  source.insert("c", [1n, 1n], [2n, 2n], [3n, 3n]);
  await pipeline.once();
  source.insert("c", [1n, 5001n], [2n, 5002n], [3n, 5003n]);
  assert.equal((await pipeline.once()).refusedRows[0]?.held, 3);
  assert.deepEqual(sorted(sink.rows.get("c")), [[1n, 1n], [2n, 2n], [3n, 3n]]);
  source.delete("c", 1n);
  source.insert("c", [2n, 22n]);
  const result = await pipeline.once();
  assert.deepEqual(result.refusedRows.map(({ keys }) => keys), [["3"]]);
  assert.deepEqual(sorted(sink.rows.get("c")), [[2n, 22n], [3n, 3n]]);
});

Deno.test("run writes held rows at the next start once the target takes them, also when it was killed meanwhile", async () => {
  const { source, sink, pipeline } = setup();
  source.create("c", "p_0");
  source.insert("c", [1n, 5001n], [2n, 2n]);
  {
    using _ticking = source.ticking();
    const run = pipeline.start();
    await until(
      "the row is held",
      () => pipeline.saved("t")?.collections.values().next().value?.refusedRows.size === 1,
    );
    await until("it is acknowledged", () => run.status().channels[0]!.tick > 0n);
    await run.kill();
  }
  sink.refuses = () => undefined;
  assert.deepEqual((await pipeline.once()).refusedRows, []);
  assert.deepEqual(sorted(sink.rows.get("c")), sorted(source.rows.get("c")));
});

Deno.test("run holds the collection as a whole where more rows are refused than it can remember, and loses none", async () => {
  const { source, sink, pipeline } = setup({ refusedRows: 20 });
  source.create("c", "p_0");
  const many = Array.from({ length: 21 }, (_, i): [bigint, bigint] => [BigInt(i), BAD]);
  source.insert("c", ...many);
  source.insert("c", [-1n, 1n]);
  const result = await pipeline.once();
  assert.equal(result.blocked.length, 1);
  assert.match(result.blocked[0]!.reason, /refused 21 rows, more than a run remembers/);
  sink.refuses = () => undefined;
  assert.deepEqual((await pipeline.once()).blocked, []);
  assert.deepEqual(sorted(sink.rows.get("c")), sorted(source.rows.get("c")));
});

type Step =
  | { readonly do: "insert"; readonly rows: readonly (readonly [number, number])[] }
  | { readonly do: "delete"; readonly keys: readonly number[] }
  | { readonly do: "kill" | "stop" | "widen" | "narrow" | "wait" };

const key = fc.nat(7);
const steps = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant("insert" as const),
        rows: fc.array(fc.tuple(key, fc.oneof(fc.nat(999), fc.integer({ min: 1000, max: 1999 }))), {
          minLength: 1,
          maxLength: 4,
        }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constant("delete" as const), keys: fc.array(key, { minLength: 1, maxLength: 3 }) }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constantFrom("kill" as const, "stop" as const, "widen" as const, "narrow" as const, "wait" as const),
      }),
    },
  ),
  { minLength: 3, maxLength: 25 },
);

Deno.test("run ends exact for any workload with bad rows, kills and mends: all but the held keys as on the source, those as some time before, and all once the target takes them", async () => {
  await fc.assert(fc.asyncProperty(steps, (list) => exactThrough(list)), { numRuns: 30 });
});

async function exactThrough(list: readonly Step[]): Promise<void> {
  const { source, sink, pipeline } = setup();
  source.create("c", "p_0");
  /** Every state that a key had, as the source's client saw it. */
  const history = new Map<bigint, Set<bigint | undefined>>();
  const note = () => {
    for (let k = 0n; k < 8n; k++) history.set(k, (history.get(k) ?? new Set()).add(source.rows.get("c")!.get(k)));
  };
  note();
  {
    using _ticking = source.ticking();
    let run = pipeline.start();
    for (const step of list) {
      switch (step.do) {
        case "insert":
          source.insert("c", ...new Map(step.rows.map(([k, v]): [bigint, bigint] => [BigInt(k), BigInt(v)])));
          note();
          break;
        case "delete":
          source.delete("c", ...new Set(step.keys.map(BigInt)));
          note();
          break;
        case "kill":
          await run.kill();
          run = pipeline.start();
          break;
        case "stop":
          await run.stop();
          run = pipeline.start();
          break;
        case "widen":
          sink.refuses = () => undefined;
          break;
        case "narrow":
          sink.refuses = refuses;
          break;
        case "wait":
          await new Promise((resolve) => setTimeout(resolve, 8));
      }
    }
    await run.kill();
  }
  sink.refuses = refuses;
  const result = await pipeline.once();
  assert.deepEqual(result.blocked, []);
  const held = new Set(
    [...pipeline.saved("t")!.collections.values()].flatMap(({ refusedRows }) => [...refusedRows].map((row) => row.key)),
  );
  const there = sink.rows.get("c")!;
  for (let k = 0n; k < 8n; k++) {
    const wanted = source.rows.get("c")!.get(k);
    if (!held.has(k)) assert.equal(there.get(k), wanted, `key ${k}`);
    else assert.ok(history.get(k)!.has(there.get(k)), `held key ${k} has ${there.get(k)}, which it never had`);
    if (held.has(k)) assert.ok(wanted! >= BAD, `key ${k} is held with ${wanted}`);
  }
  sink.refuses = () => undefined;
  assert.deepEqual((await pipeline.once()).refusedRows, []);
  assert.deepEqual(sorted(there), sorted(source.rows.get("c")));
}
