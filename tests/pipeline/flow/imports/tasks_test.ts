import assert from "node:assert/strict";
import { runImports } from "../../../../pipeline/flow/imports/tasks.ts";
import { ImportTrouble } from "../../../../pipeline/flow/imports/trouble.ts";
import type { ImportUnit } from "../../../../pipeline/flow/state/mod.ts";
import type { BulkImport, ImportRequest, ImportState } from "../../../../pipeline/model/mod.ts";

/** A target that works on so many imports at once, each of which takes two looks. */
class Target {
  readonly asked: string[] = [];
  readonly #looks = new Map<bigint, number>();
  underWay = 0;
  most = 0;

  constructor(readonly workers: number, readonly fails?: string) {}

  get bulk(): BulkImport {
    const has = {
      workers: () => Promise.resolve(this.workers),
      start: ({ partition }: ImportRequest) => {
        this.asked.push(partition);
        this.most = Math.max(this.most, ++this.underWay);
        return Promise.resolve(BigInt(this.asked.length));
      },
      find: () => Promise.resolve(undefined),
      state: (task: bigint): Promise<ImportState> => {
        const looks = (this.#looks.get(task) ?? 0) + 1;
        this.#looks.set(task, looks);
        const partition = this.asked[Number(task) - 1]!;
        if (looks < 2) return Promise.resolve({ phase: "running", percent: 50, rows: 0n, reason: "" });
        this.underWay--;
        const phase = partition === this.fails ? "failed" : "completed";
        return Promise.resolve({ phase, percent: 100, rows: BigInt(partition.slice(1)), reason: "no disk" });
      },
    };
    return has as unknown as BulkImport;
  }
}

const units = (count: number): ImportUnit[] =>
  Array.from({ length: count }, (_, i) => ({
    ...{ partition: `p${i}`, segments: [BigInt(i)], inserts: `files/${i}`, deletes: "", endMs: 0n },
    ...{ rows: BigInt(i), bytes: 1n, phase: "planned" as const, task: 0n },
  }));

async function run(target: Target, all: readonly ImportUnit[]): Promise<string[]> {
  const done: string[] = [];
  await runImports(
    {
      bulk: target.bulk,
      target: { db: "default", name: "c" },
      name: "default.c",
      save: () => Promise.resolve(),
      crash: () => {},
      moved: () => {},
      completed: ({ partition }) => void done.push(partition),
    },
    all,
    new AbortController().signal,
  );
  return done;
}

Deno.test("runImports keeps every worker of the target busy, with one import more that waits, each asked for once", async () => {
  for (const [workers, most] of [[1, 2], [4, 5], [20, 9]] as const) {
    const target = new Target(workers);
    const all = units(9);
    assert.deepEqual((await run(target, all)).toSorted(), all.map(({ partition }) => partition));
    assert.equal(target.most, most, `${workers} workers`);
    assert.deepEqual(target.asked.toSorted(), all.map(({ partition }) => partition));
    assert.ok(all.every(({ phase }) => phase === "completed"));
  }
});

Deno.test("runImports begins no other import after one that failed, and says what the target said", async () => {
  const target = new Target(1, "p1");
  await assert.rejects(run(target, units(9)), (thrown: unknown) => {
    assert.ok(thrown instanceof ImportTrouble);
    assert.match(thrown.message, /failed to import default\.c \(import 2\): no disk/);
    return true;
  });
  assert.ok(target.asked.length < 9, String(target.asked));
  assert.equal(target.underWay, 0, "the others were waited for");
});
