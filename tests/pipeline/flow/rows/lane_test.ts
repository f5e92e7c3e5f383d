import assert from "node:assert/strict";
import { lastValueFrom, Subject, toArray } from "rxjs";
import { lane, type LaneOptions } from "../../../../pipeline/flow/rows/lane.ts";

interface Batch {
  readonly items: readonly string[];
  readonly done: PromiseWithResolvers<string>;
}

function harness(options: Partial<LaneOptions<string, Batch, string>> = {}) {
  const started: Batch[] = [];
  const source = new Subject<string>();
  const out = lastValueFrom(
    source.pipe(
      lane<string, Batch, string>({
        depth: 2,
        ready: Promise.resolve(),
        prepare: (queue) => {
          const items = queue.slice(0, 3);
          return { work: { items, done: Promise.withResolvers<string>() }, used: items.length };
        },
        conflicts: (a, b) => a.items.some((item) => b.items.includes(item)),
        run: (work) => {
          started.push(work);
          return work.done.promise;
        },
        ...options,
      }),
      toArray(),
    ),
  );
  return { source, started, out };
}

async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}

Deno.test("lane collects into one batch what arrives in one turn", async () => {
  const { source, started, out } = harness();
  await settle();
  source.next("a");
  source.next("b");
  source.complete();
  await settle();
  assert.deepEqual(started.map((batch) => batch.items), [["a", "b"]]);
  started[0]!.done.resolve("1");
  assert.deepEqual(await out, ["1"]);
});

Deno.test("lane overlaps batches with disjoint keys and holds back one in conflict, and all behind it", async () => {
  const { source, started, out } = harness();
  await settle();
  for (const item of ["a", "b", "c", "a", "x", "y", "z"]) source.next(item);
  await settle();
  assert.deepEqual(started.map((batch) => batch.items), [["a", "b", "c"]]);
  started[0]!.done.resolve("1");
  await settle();
  assert.deepEqual(started.map((batch) => batch.items), [["a", "b", "c"], ["a", "x", "y"], ["z"]]);
  source.complete();
  started[1]!.done.resolve("2");
  started[2]!.done.resolve("3");
  assert.deepEqual(await out, ["1", "2", "3"]);
});

Deno.test("lane prepares nothing before it is ready", async () => {
  const ready = Promise.withResolvers<void>();
  const { source, started, out } = harness({ ready: ready.promise });
  source.next("a");
  await settle();
  assert.equal(started.length, 0);
  ready.resolve();
  await settle();
  assert.equal(started.length, 1);
  started[0]!.done.resolve("1");
  source.complete();
  assert.deepEqual(await out, ["1"]);
});

Deno.test("lane passes an error of its work on", async () => {
  const { source, started, out } = harness();
  await settle();
  source.next("a");
  await settle();
  started[0]!.done.reject(new Error("no"));
  await assert.rejects(out, /no/);
});
