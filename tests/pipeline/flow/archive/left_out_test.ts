/** A backup of collections of which one cannot begin, in whole runs over fakes. */
import assert from "node:assert/strict";
import type { Snapshot } from "../../../../pipeline/model/mod.ts";
import { listBackups, showBackup } from "../../../../sources/backup/mod.ts";
import { createMemoryStore } from "../../../../stores/mod.ts";
import { FakePipeline, type FakePipelineOptions, until } from "../../../fakes/pipeline.ts";
import { restoreFake } from "../../../fakes/restore.ts";
import { FakeSource } from "../../../fakes/source.ts";

/** `a` on one channel, and `b` on another, of which the log has lost what `b`'s checkpoint names. */
async function setup(names: readonly string[] = ["a"], options: FakePipelineOptions = {}) {
  const source = new FakeSource();
  const vault = createMemoryStore();
  const pipeline = new FakePipeline(source, { vaults: { vault }, backup: { name: "b_{date}_{time}" }, ...options });
  let now = 1_795_000_000_000;
  for (const name of names) source.create(name, "p_0");
  const b = source.create("b", "p_1");
  for (let i = 0; i < 5; i++) source.tick();
  source.log.deleteRecords("p_1", 4n);
  const state = { trouble: {} as Partial<Snapshot> };
  pipeline.override = {
    // Each backup has a name of its own second.
    now: () => now += 10,
    meta: {
      ...source.meta,
      snapshot: async (signal) => ({ ...await source.meta.snapshot(signal), ...state.trouble }),
    },
  };
  /** As a flush on the source does. */
  const mend = async () => {
    const channel = b.vchannels[0]!;
    const { latest } = await source.log.bounds("p_1", new AbortController().signal);
    state.trouble = { checkpoints: new Map([[channel, { channel, offset: latest, ts: source.now }]]) };
    now += 60_000;
  };
  return { source, vault, pipeline, b, state, mend };
}

Deno.test("LeftOut backs up all but the collection whose source checkpoint lies before the log's beginning, and takes it once it can", async () => {
  const { source, vault, pipeline, mend } = await setup();
  source.insert("a", [1n, 1n]);
  const { blocked } = await pipeline.once();
  assert.deepEqual(blocked.map(({ collection }) => collection), ["default.b"]);
  assert.match(blocked[0]!.reason, /checkpoint on p_1 is .*Flush default\.b on the source/);
  const [first] = await listBackups(vault);
  const shown = await showBackup(vault, first!.name);
  assert.deepEqual(shown.failed.map(({ name }) => name), ["default.b"]);

  // It stays out, and is named, as long as nothing helps.
  source.insert("a", [2n, 2n]);
  assert.deepEqual((await pipeline.once()).blocked.map(({ collection }) => collection), ["default.b"]);
  assert.equal((await listBackups(vault)).length, 1);

  await mend();
  source.insert("b", [10n, 10n]);
  source.insert("a", [3n, 3n]);
  const { blocked: none, upTo } = await pipeline.once();
  assert.deepEqual(none, []);
  const backups = await listBackups(vault);
  assert.equal(backups.length, 2, "a new base has it");
  const newest = backups.map(({ name }) => name).sort().at(-1)!;
  assert.deepEqual((await showBackup(vault, newest)).failed, []);
  assert.deepEqual(await restoreFake(source, vault, upTo, newest), source.rows);
});

Deno.test("LeftOut lets a backup that follows go on, with the reason in its status, and it joins by a new base", async () => {
  const { source, vault, pipeline, b, mend } = await setup();
  const run = pipeline.start();
  using _ticking = source.ticking();
  source.insert("a", [1n, 1n]);
  const { now } = source;
  await until("the other is archived", () => (pipeline.saved("vault")?.positions.get("p_0")?.tick ?? 0n) > now);
  const [wait, ...more] = run.status().waits;
  assert.deepEqual([wait?.component, wait?.collection, more], ["sources.log", "default.b", []]);
  assert.equal(run.status().phase, "tail");
  await mend();
  source.insert("b", [10n, 10n]);
  await until("it has joined", () => pipeline.saved("vault")?.collections.get(b.id)?.phase === "tail");
  source.insert("b", [11n, 11n]);
  const written = source.now;
  await until(
    "it is followed",
    () => [...pipeline.saved("vault")!.positions].every(([, { tick }]) => tick > written),
  );
  assert.deepEqual(run.status().waits, []);
  await run.stop();
  const newest = (await listBackups(vault)).map(({ name }) => name).sort().at(-1)!;
  const restored = await restoreFake(source, vault, written, newest);
  assert.deepEqual(restored, source.rows);
});

Deno.test("LeftOut ends a run that could back up nothing with the status of what was wrong, whatever on_position_lost says", async () => {
  for (const onPositionLost of ["fail", "resnapshot"] as const) {
    const { pipeline, vault } = await setup([], { onPositionLost });
    await assert.rejects(pipeline.once(), {
      code: "position_lost",
      exitCode: 14,
      message: /Nothing could be backed up; default\.b/,
    });
    assert.equal((await listBackups(vault)).some(({ state }) => state === "complete"), false);
  }
});

Deno.test("LeftOut leaves out what the metadata says nothing usable of", async () => {
  const { pipeline, state, b, source } = await setup();
  state.trouble = { unusable: new Map([[b.id, "Segment 5 of default.b has no binlog key"]]) };
  const { blocked } = await pipeline.once();
  assert.match(blocked[0]!.reason, /Segment 5 of default\.b has no binlog key/);
  assert.ok(source.rows.has("a"));
});
