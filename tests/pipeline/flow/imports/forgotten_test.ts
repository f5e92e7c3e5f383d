/** Imports that the source has forgotten, in whole runs over fakes: a run, work on the source while none is there, another run. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { ImportingSource } from "../../../fakes/importing_source.ts";

/** Its first rows are on the target, and no run is there. */
async function begun(): Promise<ImportingSource> {
  const all = new ImportingSource();
  all.source.insert("a", [1n, 1n], [2n, 2n], [3n, 3n]);
  await all.copied();
  return all;
}

Deno.test("a run brings an import that came and went unseen, whose job is forgotten and whose segment is there", async () => {
  const all = await begun();
  all.source.insert("a", [4n, 4n]);
  all.import([2n, 20n], [7n, 70n], [8n, 80n]);
  all.source.delete("a", 8n);
  await all.copied();
  assert.deepEqual(all.replica.rows.get("a")!.get(7n), 70n);
});

for (const forgotten of [false, true]) {
  const job = forgotten ? "whose job is forgotten" : "whose job is known";
  Deno.test(`a run does not let what the log did before an import touch its rows, ${job}`, async () => {
    const all = await begun();
    all.source.insert("a", [9n, 1n]);
    all.source.delete("a", 2n, 7n);
    const segment = all.import([2n, 20n], [7n, 70n], [9n, 90n]);
    if (!forgotten) all.remember(segment);
    await all.copied();
    assert.deepEqual(all.replica.rows.get("a"), new Map([[1n, 1n], [3n, 3n], [2n, 20n], [7n, 70n], [9n, 90n]]));
  });
}

Deno.test("a run does not undo what the log did to an import's rows before the run that brings them", async () => {
  const all = await begun();
  const segment = all.import([7n, 70n], [8n, 80n]);
  all.source.delete("a", 7n);
  all.source.insert("a", [8n, 81n]);
  // A run that does not see it: it is still under way.
  all.tasks = [{ id: 9n, collectionId: all.collection.id, state: "persisted", segmentIds: [segment], rows: 2n }];
  await all.pipeline.once();
  assert.deepEqual(all.replica.rows.get("a")!.has(7n), false);
  all.tasks = [];
  await all.copied();
  assert.deepEqual([7n, 8n].map((key) => all.replica.rows.get("a")!.get(key)), [undefined, 81n]);
});

Deno.test("a run finds an import by its rows where its segments were compacted with others and collected", async () => {
  const all = await begun();
  all.source.insert("a", [4n, 4n]);
  const own = all.flushed([all.last, 4n, 4n]);
  const imported = all.import([5n, 50n], [6n, 60n]);
  all.source.delete("a", 6n);
  const merged = all.compact(own, imported);
  const sorted = all.compact(merged);
  all.collect(own, imported, merged);
  await all.copied();
  assert.equal(all.replica.rows.get("a")!.get(5n), 50n);
  const { importsFound, importsDone } = all.pipeline.saved("replica")!.collections.get(all.collection.id)!;
  assert.deepEqual([importsFound, importsDone.length, sorted > 0n], [[], 1, true]);
});

for (const collected of [false, true]) {
  const left = collected ? "rows" : "segment";
  Deno.test(`a run finds by its ${left} a forgotten import into a collection that was made while no run was there`, async () => {
    const all = new ImportingSource({ make: false });
    all.source.create("other", "p_0");
    all.source.insert("other", [1n, 1n]);
    await all.copied();
    const imported = all.import([5n, 50n]);
    all.source.insert("a", [6n, 60n]);
    const own = all.flushed([all.last, 6n, 60n]);
    if (collected) {
      all.compact(imported, own);
      all.collect(imported, own);
    }
    await all.copied();
    assert.deepEqual(all.replica.rows.get("a"), new Map([[6n, 60n], [5n, 50n]]));
  });
}

Deno.test("a run takes a compacted segment whose rows are all in the log for what it is", async () => {
  const all = await begun();
  all.source.insert("a", [4n, 4n]);
  const first = all.flushed([all.last, 4n, 4n]);
  all.compact(first);
  all.collect(first);
  await all.copied();
  assert.deepEqual(all.pipeline.saved("replica")!.collections.get(all.collection.id)!.importsDone, []);
});

Deno.test("a run holds a collection whose import was under way when it was last seen and of which nothing is left", async () => {
  const all = await begun();
  all.tasks = [{ id: 77n, collectionId: all.collection.id, state: "pending", segmentIds: [], rows: 0n }];
  await all.pipeline.once();
  all.tasks = [];
  const { blocked } = await all.pipeline.once();
  assert.match(blocked[0]!.reason, /Import 77 into default\.a was under way .* forgotten it since/);
  assert.equal(blocked.length, 1);
});

Deno.test("a run holds a collection whose segments cannot be read when it begins, and brings its imports once they can", async () => {
  const all = await begun();
  all.import([7n, 70n]);
  const { meta } = all.pipeline.override;
  const unusable = new Map([[all.collection.id, "Segment 5 of default.a has no binlog key"]]);
  all.pipeline.override = {
    ...all.pipeline.override,
    meta: { ...meta!, snapshot: async (signal) => ({ ...await meta!.snapshot(signal), unusable }) },
  };
  const { blocked } = await all.pipeline.once();
  assert.match(
    blocked[0]!.reason,
    /Whether imports brought rows into default\.a .* Segment 5 of default\.a has no binlog key/,
  );
  all.pipeline.override = { ...all.pipeline.override, meta: meta! };
  await all.copied();
});

Deno.test("a copy is equal to its source whatever was imported, written, compacted and forgotten between its runs", async () => {
  const key = fc.bigInt(1n, 6n);
  const row = fc.tuple(key, fc.bigInt(0n, 1_000_000n));
  const rows = fc.uniqueArray(row, { minLength: 1, maxLength: 3, selector: ([k]) => k });
  const step = fc.oneof(
    fc.record({ kind: fc.constant("insert" as const), rows }),
    fc.record({ kind: fc.constant("delete" as const), rows }),
    fc.record({ kind: fc.constant("import" as const), rows, job: fc.boolean() }),
    fc.record({ kind: fc.constant("compact" as const), collect: fc.boolean() }),
    fc.record({ kind: fc.constant("run" as const) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
      const all = new ImportingSource();
      all.source.insert("a", [1n, 1n]);
      await all.copied();
      let live: bigint[] = [];
      for (const step of steps) {
        switch (step.kind) {
          case "insert":
            // As an upsert: the same key twice has no meaning in a source.
            all.source.delete("a", ...step.rows.map(([k]) => k));
            all.source.insert("a", ...step.rows);
            live.push(all.flushed(...step.rows.map(([k, v]) => [all.last, k, v] as const)));
            break;
          case "delete":
            all.source.delete("a", ...step.rows.map(([k]) => k));
            break;
          case "import": {
            all.source.delete("a", ...step.rows.map(([k]) => k));
            const id = all.import(...step.rows);
            if (step.job) all.remember(id);
            live.push(id);
            break;
          }
          case "compact": {
            if (live.length === 0) break;
            const named = new Set(all.tasks.flatMap(({ segmentIds }) => segmentIds));
            const from = live;
            live = [all.compact(...from)];
            if (step.collect) all.collect(...from.filter((id) => !named.has(id)));
            break;
          }
          case "run":
            await all.copied();
        }
      }
      await all.copied();
      await all.copied();
    }),
    { numRuns: 30 },
  );
});
