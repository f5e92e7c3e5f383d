import assert from "node:assert/strict";
import fc from "fast-check";
import { arbitraryOp, MilvusModel, type Op } from "./milvus_model.ts";
import { copy, exactFrom, isBlocked, RIGHT, type Rules, take, truth } from "./model_copy.ts";

interface Trial {
  readonly ops: readonly Op[];
  /** After how many of the operations the snapshot is taken. */
  readonly moment: number;
  /** After how many of these a base before was made. */
  readonly earlier: number;
  readonly sizes: readonly number[];
  readonly parts: number;
}

const trial: fc.Arbitrary<Trial> = fc.record({
  ops: fc.array(arbitraryOp, { minLength: 25, maxLength: 140, size: "max" }),
  moment: fc.nat(140),
  earlier: fc.nat(140),
  sizes: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 }),
  parts: fc.integer({ min: 1, max: 3 }),
});

/** The first difference between the copy and the log's state, over all exact moments; undefined if there is none. */
function firstDifference({ ops, moment, earlier, sizes, parts }: Trial, rules: Rules): string | undefined {
  const model = new MilvusModel([false, true]);
  const at = moment % (ops.length + 1);
  const first = earlier % (at + 1);
  for (const op of ops.slice(0, first)) model.apply(op);
  const before = take(model);
  for (const op of ops.slice(first, at)) model.apply(op);
  const taken = take(model);
  if (isBlocked(taken, rules)) return undefined;
  for (const op of ops.slice(at)) model.apply(op);
  model.tick();
  const exact = exactFrom(taken);
  const live = new Set(
    taken.snapshot.catalog.collections.flatMap((own) => own.partitions.map((partition) => partition.id)),
  );
  const ticks = new Set(
    [...model.logs.values()].flat().filter((entry) => entry.kind === "tick" && entry.ts >= exact).map((entry) =>
      entry.ts
    ),
  );
  const all = [...ticks];
  const moments = new Set([all[0]!, all[moment % all.length]!, all[all.length - 1]!]);
  for (const end of moments) {
    const wanted = truth(model, taken, end);
    let got;
    try {
      got = copy(model, taken, rules, sizes, parts, end, before);
    } catch (error) {
      if (error instanceof Error && /twice/.test(error.message)) return error.message;
      throw error;
    }
    for (const [id, content] of wanted) {
      const there = got.get(id)!;
      for (const name of new Set([...content.keys(), ...there.keys()])) {
        // A partition that was dropped before the snapshot has no base; the log has its rows until its drop.
        const partition = name.split("/")[0]!;
        if (end !== model.now && partition !== "*" && !live.has(BigInt(partition))) continue;
        if (content.get(name) !== there.get(name)) {
          return `${id}: ${name} should be ${content.get(name)} and is ${there.get(name)} at ${end}`;
        }
      }
    }
  }
  return undefined;
}

/** Shrinking a trial of a hundred operations takes minutes; the seed in the message repeats it. */
const FAST = { endOnFailure: true } as const;

function holds(rules: Rules, numRuns: number): void {
  fc.assert(fc.property(trial, (given) => assert.equal(firstDifference(given, rules), undefined)), {
    numRuns,
    ...FAST,
  });
}

Deno.test("makeCuts, liveSegments, deleteHorizon, DeadRows and foldEvents give base + tail = the log, at any moment", () => {
  holds(RIGHT, 1500);
});

Deno.test("DeadRows needs only the log's deletes where the log reaches back to the oldest row", () => {
  holds({ ...RIGHT, deletes: "log" }, 500);
});

Deno.test("DeadRows needs only the delta files, named or not, where the log is shorter", () => {
  // Whether a server writes down the deletes that come while an import is under way is not known, so there is none here.
  const noImports = trial.map((given) => ({ ...given, ops: given.ops.filter((op) => op.kind !== "import") }));
  const rules = { ...RIGHT, deletes: "files" } as const;
  fc.assert(fc.property(noImports, (given) => assert.equal(firstDifference(given, rules), undefined)), {
    numRuns: 500,
  });
});

Deno.test("a base before, all of whose deletes are known, stands for the log up to its cut", () => {
  holds({ ...RIGHT, deletes: "known" }, 1500);
});

Deno.test("a base before in the midst of an import knows nothing of it", () => {
  const where = { collection: 0, partition: 0 };
  const step: Op = { ...where, kind: "import_step" };
  const before: Op[] = [
    { ...where, kind: "insert", keys: [5, 6], late: false },
    { ...where, kind: "import", keys: [1, 2, 3, 4] },
    { ...where, kind: "delete", keys: [1, 2], everywhere: false, late: false },
    { ...where, kind: "tick", lagging: 0 },
    { ...where, kind: "flush", choice: 0 },
    { ...where, kind: "flush", choice: 1 },
    { ...where, kind: "checkpoint", choice: 3 },
  ];
  const ops = [...before, step, step, step];
  const given: Trial = { ops, moment: ops.length, earlier: before.length, sizes: [1], parts: 1 };
  const rules = { ...RIGHT, deletes: "known" } as const;
  assert.equal(firstDifference(given, rules), undefined);
  assert.match(firstDifference(given, { ...rules, knownImports: false }) ?? "", /should be undefined/);
});

Deno.test("the model shows that an unfiltered base is right too, once the tail has brought what is later", () => {
  holds({ ...RIGHT, rowCut: false }, 500);
});

const WRONG: readonly (readonly [string, Partial<Rules>])[] = [
  ["only delta logs that metadata names", { deletes: "named" }],
  ["deletes of the log from the cut on", { deletes: "log", horizon: "cut" }],
  ["of a base before only what metadata named", { deletes: "known", knownDeletes: "named" }],
  ["a delete takes rows of its own ts", { strict: false }],
  ["a delete takes rows of all partitions", { scoped: false }],
  ["deletes later than the cut", { deleteCut: false }],
  ["rows of dropped segments", { deletes: "log", segments: "with_dropped" }],
  ["imports as far as they are visible", { gate: false }],
  ["the log after the position", { inclusive: false }],
  ["the log in the order of its offsets", { order: "offset" }],
  ["inserts before deletes of the same ts", { order: "insert_first" }],
  ["inserts left out that their segment has", { serverDedup: true, rowCut: false }],
];

for (const [name, change] of WRONG) {
  Deno.test(`the model catches a wrong rule: ${name}`, () => {
    // The seed is fixed: that a wrong rule is found must not depend on luck.
    const found = fc.check(
      fc.property(trial, (given) => firstDifference(given, { ...RIGHT, ...change }) === undefined),
      { numRuns: 3000, seed: 20261120, endOnFailure: true },
    );
    assert.ok(found.failed, `no counterexample in ${found.numRuns} trials`);
  });
}
