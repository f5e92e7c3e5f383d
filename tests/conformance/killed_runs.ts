/** Random work with kills, through a whole run into a target in memory; the queue's own reader reads it. Each queue runs it. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { onceUnlessKilled } from "../fakes/mortal_run.ts";
import { FakePipeline } from "../fakes/pipeline.ts";
import { type FakeQueue, onQueue } from "../fakes/queued_source.ts";
import { FakeRowSink } from "../fakes/row_sink.ts";
import { FakeSource } from "../fakes/source.ts";

/** Of a source's topics, by their place. */
const PCHANNELS = [0, 1];
const NAMES = ["a", "b", "c"];

/** `truncates`: its log has records for truncations. */
type Step = (source: FakeSource, truncates: boolean) => void;

/** Only of a collection that is there. */
function of(name: fc.Arbitrary<string>, take: (source: FakeSource, name: string) => void): fc.Arbitrary<Step> {
  return name.map((name) => (source) => {
    if (source.rows.has(name)) take(source, name);
  });
}

const some = fc.array(fc.nat(7), { minLength: 1, maxLength: 4 }).map((some) => [...new Set(some)].map(BigInt));
const name = fc.constantFrom(...NAMES);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.tuple(some, fc.nat(99)).chain(([keys, value]) =>
      of(name, (source, name) => source.insert(name, ...keys.map((key) => [key, BigInt(value)] as const)))
    ),
  },
  {
    weight: 4,
    arbitrary: some.chain((keys) => of(name, (source, name) => source.delete(name, ...keys))),
  },
  { weight: 4, arbitrary: fc.constant((source: FakeSource) => source.tick()) },
  {
    weight: 1,
    arbitrary: name.map((name) => (source: FakeSource, truncates: boolean) => {
      if (truncates && source.rows.has(name)) source.truncate(name);
    }),
  },
  { weight: 1, arbitrary: of(name, (source, name) => source.drop(name)) },
  {
    weight: 1,
    arbitrary: fc.tuple(name, name).map(([name, to]) => (source: FakeSource) => {
      if (source.rows.has(name) && !source.rows.has(to)) source.rename(name, to);
    }),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(name, fc.subarray(PCHANNELS, { minLength: 1 })).map(
      ([name, pchannels]) => (source: FakeSource) => {
        if (!source.rows.has(name)) source.create(name, ...pchannels.map((i) => source.pchannels[i]!));
      },
    ),
  },
);
const life = fc.record({
  steps: fc.array(step, { minLength: 3, maxLength: 20, size: "max" }),
  dies: fc.nat(25),
  moves: fc.boolean(),
});
const lives = fc.array(life, { minLength: 2, maxLength: 4 });

/** Those that a run from a log passes which has no base to copy. Killed at each in its turn, it goes on from there. */
const POINTS = [
  "before_snapshot",
  "after_snapshot",
  "inside_reconcile",
  "before_first_batch",
  "after_first_batch",
  "between_write_and_ack",
  "between_ack_and_checkpoint",
  "inside_barrier",
  "inside_rename",
  "before_done",
] as const;

/** Of which there is something to do at each point. */
function work(source: FakeSource, round: number, truncates: boolean): void {
  const made = `a${round}`;
  source.create(made, ...source.pchannels);
  for (let i = 0n; i < 6n; i++) source.insert(made, [i, i], [i + 6n, i]);
  source.tick();
  source.delete(made, 1n, 7n);
  source.insert(made, [2n, 20n], [8n, 80n]);
  source.tick();
  if (round > 0) source.rename(`a${round - 1}`, `b${round - 1}`);
  if (round > 1) source.drop(`b${round - 2}`);
  if (truncates && round % 2 === 1) source.truncate(made);
  source.insert(made, [BigInt(round), 1n]);
}

async function setUp(open: () => FakeQueue | Promise<FakeQueue>) {
  const queue = await open();
  // Ticks come by themselves in generation 1 alone.
  const source = new FakeSource(queue.pchannels, { silent: queue.generation !== 1, tickMs: queue.tickMs });
  const replica = new FakeRowSink("replica");
  const pipeline = new FakePipeline(onQueue(source, queue), { rows: [replica] });
  /** As far as one comes with a kill there; `moves`: what it reads from changes hands meanwhile. */
  const dies = async (at: Parameters<typeof onceUnlessKilled>[2], moves: boolean) => {
    await queue.written();
    await queue.reopen();
    const [died] = await Promise.all([onceUnlessKilled(source, pipeline, at, replica), moves && queue.move?.()]);
    return died;
  };
  /** `outage`: its server is killed and started again once it has read something. */
  const ends = async (outage = false) => {
    await queue.written();
    await queue.reopen();
    let restarting: Promise<void> | undefined;
    if (outage) {
      pipeline.override = {
        crash: (point) => void (point === "before_first_batch" && (restarting ??= queue.restart!())),
      };
    }
    const { blocked } = await pipeline.once();
    await restarting;
    pipeline.override = {};
    assert.ok(!outage || restarting !== undefined, "there was nothing to read");
    assert.deepEqual(blocked, []);
    assert.deepEqual(sorted(replica.rows), sorted(source.rows));
  };
  return { source, queue, dies, ends, [Symbol.asyncDispose]: () => queue[Symbol.asyncDispose]() };
}

function sorted(rows: ReadonlyMap<string, ReadonlyMap<bigint, bigint>>) {
  return new Map([...rows].sort().map(([name, own]) => [name, new Map([...own].sort())]));
}

/** `numRuns`: of random work. `open`: an empty queue. */
export function testKilledRuns(name: string, open: () => FakeQueue | Promise<FakeQueue>, numRuns: number): void {
  Deno.test(`run from ${name} that is killed at each phase in turn ends with the source's rows`, async () => {
    await using own = await setUp(open);
    const { source, queue } = own;
    for (const [round, point] of POINTS.entries()) {
      work(source, round, queue.generation !== 1);
      assert.ok(await own.dies(point, round % 2 === 1), `it did not come to ${point}`);
      if (round % 3 === 2) await own.ends();
    }
    // A run that died before it was done may have left nothing to read.
    work(source, POINTS.length, queue.generation !== 1);
    await own.ends(queue.restart !== undefined);
  });

  Deno.test(`run reads ${name} to the source's rows under random work, wherever it is killed`, async () => {
    await fc.assert(
      fc.asyncProperty(lives, async (lives) => {
        await using own = await setUp(open);
        own.source.create("a", ...own.source.pchannels);
        for (const { steps, dies, moves } of lives) {
          for (const take of steps) take(own.source, own.queue.generation !== 1);
          await own.dies(dies, moves);
        }
        await own.ends();
      }),
      { numRuns, endOnFailure: true },
    );
  });
}
