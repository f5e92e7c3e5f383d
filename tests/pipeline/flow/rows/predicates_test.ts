import assert from "node:assert/strict";
import fc from "fast-check";
import { shardOf } from "../../../../pipeline/transforms/mod.ts";
import { onceUnlessKilled } from "../../../fakes/mortal_run.ts";
import { FakePipeline } from "../../../fakes/pipeline.ts";
import { FakeRowSink } from "../../../fakes/row_sink.ts";
import { FakeSource } from "../../../fakes/source.ts";

const PCHANNELS = ["p_0", "p_1"];

/** `autoId`: no key comes twice but by a fault. */
function setup({ autoId = true } = {}) {
  const source = new FakeSource(PCHANNELS, { autoId });
  const replica = new FakeRowSink("replica");
  const pipeline = new FakePipeline(source, { rows: [replica] });
  source.create("a", ...PCHANNELS);
  return { source, replica, pipeline };
}

function assertEqual(source: FakeSource, replica: FakeRowSink): void {
  const sorted = (rows: ReadonlyMap<bigint, bigint>) => [...rows].sort(([a], [b]) => a < b ? -1 : 1);
  assert.deepEqual(sorted(replica.rows.get("a")!), sorted(source.rows.get("a")!));
}

/** Keys of one shard, the smallest first. */
function* keysOn(shard: number): Generator<bigint> {
  for (let key = 0n;; key++) if (shardOf(key, PCHANNELS.length) === shard) yield key;
}

Deno.test("PredicateDeletes meets what a vchannel holds before its copy, and no row that came between the copies", async () => {
  const { source, replica, pipeline } = setup();
  const [zero, one] = [[...keysOn(0).take(4)], [...keysOn(1).take(4)]];
  source.insert("a", ...[...zero, ...one].map((key) => [key, 9n] as const));
  source.deleteAbove("a", 5n, 0);
  // Behind the copy of its own channel, before that of the other one.
  source.insert("a", [zero[0]!, 9n], [zero[1]!, 3n]);
  source.deleteAbove("a", 5n, 1);
  source.insert("a", [one[0]!, 8n]);
  await pipeline.once();
  assert.deepEqual([...source.rows.get("a")!.keys()].sort(), [zero[0], zero[1], one[0]].sort());
  assertEqual(source, replica);
});

Deno.test("PredicateDeletes deletes nothing on a channel that has no copy", async () => {
  const { source, replica, pipeline } = setup();
  source.insert("a", ...[...keysOn(0).take(3), ...keysOn(1).take(3)].map((key) => [key, 9n] as const));
  source.deleteAbove("a", 5n, 1);
  await pipeline.once();
  assert.equal(replica.rows.get("a")!.size, 3);
  assertEqual(source, replica);
});

Deno.test("PredicateDeletes holds a collection of which the target refused rows, which may be among those that it meets", async () => {
  const { source, replica, pipeline } = setup();
  replica.refuses = (key) => key === 7n ? "it is too long" : undefined;
  source.insert("a", [6n, 9n], [7n, 9n]);
  for (const shard of [0, 1]) source.deleteAbove("a", 5n, shard);
  await pipeline.once();
  assert.match(
    pipeline.saved("replica")!.collections.get(101n)!.blocked!,
    /: 1 row of default.a that the target refused/,
  );
  assert.deepEqual([...replica.rows.get("a")!], [[6n, 9n]]);
  // Written now, they are met.
  replica.refuses = () => undefined;
  await pipeline.once();
  assertEqual(source, replica);
});

Deno.test("PredicateDeletes holds a collection with a key that was inserted twice: its older row would show again on the source", async () => {
  const { source, replica, pipeline } = setup();
  source.insert("a", [7n, 3n], [7n, 9n]);
  source.deleteAbove("a", 5n, shardOf(7n, 2));
  await pipeline.once();
  assert.match(
    pipeline.saved("replica")!.collections.get(101n)!.blocked!,
    /: 1 key of default.a was inserted while it was/,
  );
  assert.deepEqual([...replica.rows.get("a")!], [[7n, 9n]]);
});

Deno.test("PredicateDeletes holds a collection whose rows came by insert, where it meets any: the source may have older rows of their keys", async () => {
  const { source, replica, pipeline } = setup({ autoId: false });
  const blocked = () => pipeline.saved("replica")!.collections.get(101n)!.blocked;
  source.insert("a", [7n, 3n]);
  await pipeline.once();
  source.insert("a", [7n, 9n], [8n, 1n]);
  for (const shard of [0, 1]) source.deleteAbove("a", 20n, shard);
  await pipeline.once();
  assert.equal(blocked(), undefined);
  for (const shard of [0, 1]) source.deleteAbove("a", 5n, shard);
  await pipeline.once();
  assert.match(blocked()!, /rows of default.a came by insert, not by upsert: where the source had one of the same key/);
  assert.deepEqual([...replica.rows.get("a")!], [[7n, 9n], [8n, 1n]]);
});

Deno.test("PredicateDeletes meets rows of clients' own keys that came by upsert", async () => {
  const { source, replica, pipeline } = setup({ autoId: false });
  await pipeline.once();
  for (const value of [3n, 9n, 1n, 8n]) {
    source.delete("a", 6n, 7n);
    source.insert("a", [6n, value], [7n, 9n - value]);
    source.tick();
  }
  for (const shard of [0, 1]) source.deleteAbove("a", 5n, shard);
  await pipeline.once();
  assert.deepEqual([...source.rows.get("a")!], [[7n, 1n]]);
  assertEqual(source, replica);
});

type Step =
  | { readonly do: "write"; readonly keys: readonly number[]; readonly value: number }
  | { readonly do: "delete"; readonly keys: readonly number[] }
  | { readonly do: "predicate"; readonly above: number; readonly shard: number }
  | { readonly do: "tick" };

const keys = fc.array(fc.nat(7), { minLength: 1, maxLength: 4 }).map((some) => [...new Set(some)]);
const value = fc.nat(9);
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("write" as const), keys, value }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("delete" as const), keys }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("predicate" as const), above: value, shard: fc.nat(1) }) },
  { weight: 2, arbitrary: fc.constant({ do: "tick" as const }) },
);

function take(source: FakeSource, step: Step): void {
  switch (step.do) {
    case "write":
      // As an upsert does: what is there is deleted first.
      source.delete("a", ...step.keys.map(BigInt));
      return source.insert("a", ...step.keys.map((key) => [BigInt(key), BigInt(step.value)] as const));
    case "delete":
      return source.delete("a", ...step.keys.map(BigInt));
    case "predicate":
      return source.deleteAbove("a", BigInt(step.above), step.shard);
    case "tick":
      return source.tick();
  }
}

Deno.test("PredicateDeletes leaves the source's rows on the target wherever the run is killed, also when it comes again over newer rows", async () => {
  const life = fc.record({ steps: fc.array(anyStep, { maxLength: 12 }), dies: fc.nat(25) });
  await fc.assert(
    fc.asyncProperty(fc.array(life, { minLength: 1, maxLength: 4 }), async (lives) => {
      const { source, replica, pipeline } = setup();
      for (const { steps, dies } of lives) {
        for (const step of steps) take(source, step);
        await onceUnlessKilled(source, pipeline, dies, replica);
      }
      await pipeline.once();
      assertEqual(source, replica);
    }),
    { numRuns: 40 },
  );
});

/** Milvus itself, plainly: every row that was inserted stays until something deletes it, and of a key the newest is seen. */
class ManyVersions {
  #rows: (readonly [key: bigint, value: bigint])[] = [];

  insert(...rows: (readonly [bigint, bigint])[]): void {
    this.#rows.push(...rows);
  }

  deleteWhere(meets: (key: bigint, value: bigint) => boolean): void {
    this.#rows = this.#rows.filter(([key, value]) => !meets(key, value));
  }

  get seen(): Map<bigint, bigint> {
    return new Map(this.#rows);
  }
}

type Work = Step | { readonly do: "insert"; readonly keys: readonly number[]; readonly value: number };

const anyWork: fc.Arbitrary<Work> = fc.oneof(
  { weight: 9, arbitrary: anyStep },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("insert" as const), keys, value }) },
);

function work(source: FakeSource, model: ManyVersions, step: Work): void {
  if (step.do === "insert") {
    source.insert("a", ...step.keys.map((key) => [BigInt(key), BigInt(step.value)] as const));
  } else take(source, step);
  if (step.do === "write" || step.do === "delete") model.deleteWhere((key) => step.keys.includes(Number(key)));
  if (step.do === "write" || step.do === "insert") {
    model.insert(...step.keys.map((key) => [BigInt(key), BigInt(step.value)] as const));
  }
  if (step.do === "predicate") {
    const { above, shard } = step;
    model.deleteWhere((key, value) => value > BigInt(above) && shardOf(key, PCHANNELS.length) === shard);
  }
}

Deno.test("PredicateDeletes brings what a Milvus of many versions shows, or holds the collection, whatever keys are inserted twice and wherever the run is killed", async () => {
  const life = fc.record({ steps: fc.array(anyWork, { maxLength: 8 }), dies: fc.nat(25) });
  let [exact, held] = [0, 0];
  await fc.assert(
    fc.asyncProperty(fc.array(life, { minLength: 1, maxLength: 3 }), async (lives) => {
      const { source, replica, pipeline } = setup({ autoId: false });
      const model = new ManyVersions();
      for (const { steps, dies } of lives) {
        for (const step of steps) work(source, model, step);
        await onceUnlessKilled(source, pipeline, dies, replica);
      }
      await pipeline.once();
      if (pipeline.saved("replica")!.collections.get(101n)!.blocked !== undefined) return void held++;
      const sorted = (rows: ReadonlyMap<bigint, bigint>) => [...rows].sort(([a], [b]) => a < b ? -1 : 1);
      assert.deepEqual(sorted(replica.rows.get("a")!), sorted(model.seen));
      if (lives.some(({ steps }) => steps.some((step) => step.do === "predicate"))) exact++;
    }),
    { numRuns: 150 },
  );
  assert.ok(exact > 0 && held > 0, `${exact} exact, ${held} held`);
});
