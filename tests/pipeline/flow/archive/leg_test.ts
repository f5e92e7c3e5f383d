/** What an archive says that the catalog was like. */
import assert from "node:assert/strict";
import { hybridFromMs, type HybridTs, type ObjectStore } from "../../../../pipeline/model/mod.ts";
import { catalogAt, openBackupSource, showBackup } from "../../../../sources/backup/mod.ts";
import {
  createMemoryStore,
  dropFolder,
  listLogChannels,
  listLogFiles,
  readDrops,
  readLogFile,
} from "../../../../stores/mod.ts";
import { eventually } from "../../../stack/eventually.ts";
import { FakePipeline, until } from "../../../fakes/pipeline.ts";
import { restoreFake } from "../../../fakes/restore.ts";
import { FakeSource } from "../../../fakes/source.ts";

/** The clock of the run against the source's, which a test moves on by some milliseconds. */
for (const [clock, ms] of [["ahead of", 100_000n], ["behind", -100_000n]] as const) {
  Deno.test(`run --once gives its end the catalog that it read, with its own clock ${clock} the source's`, async () => {
    const source = new FakeSource();
    const vault = createMemoryStore();
    const pipeline = new FakePipeline(source, { vaults: { vault } });
    pipeline.override = { now: () => Number((source.now >> 18n) + ms) };
    source.create("stays", "p_0");
    source.create("goes", "p_1");
    await pipeline.once();
    source.insert("stays", [1n, 1n]);
    source.insert("goes", [2n, 2n]);
    source.tick();
    source.drop("goes");
    const dropped = source.now;
    source.insert("stays", [3n, 3n]);
    const { upTo } = await pipeline.once();
    assert.ok(upTo > dropped);
    const opened = await openBackupSource(vault, "b");
    assert.equal(opened.history.notes.at(-1)!.ts <= upTo, true, "the note counts at the end of the run");
    assert.deepEqual(catalogAt(opened, upTo).collections.map(({ name }) => name), ["stays"]);
    const { restorable } = await showBackup(vault, "b");
    assert.equal(restorable?.to.ts, upTo, "the channel that does not tick any more holds nothing back");
    assert.deepEqual(await restoreFake(source, vault, upTo), source.rows);
    assert.ok(ms < 0n || hybridFromMs(Number((source.now >> 18n) + ms)) > upTo);
  });
}

const never = new AbortController().signal;

/** A backup whose run has the given clock, with `stays` and `goes` on one channel, and what their rows were. */
async function followed(ms: bigint, vault: ObjectStore = createMemoryStore()) {
  const source = new FakeSource();
  const pipeline = new FakePipeline(source, { vaults: { vault } });
  pipeline.override = { now: () => Number((source.now >> 18n) + ms) };
  source.create("stays", "p_0");
  source.create("goes", "p_0");
  await pipeline.once();
  const past: { ts: HybridTs; rows: FakeSource["rows"] }[] = [];
  let key = 0n;
  const write = () => {
    for (let i = 0; i < 3; i++, key++) {
      for (const name of source.rows.keys()) source.insert(name, [key, key]);
      source.tick();
      past.push({ ts: source.now, rows: structuredClone(source.rows) });
    }
  };
  const archived = async () => {
    const { now } = source;
    await until("the archive has it", () => (pipeline.saved("vault")?.positions.get("p_0")?.tick ?? 0n) > now);
  };
  return { source, vault, pipeline, past, write, archived };
}

/** The clock may jump over the base's moment, or only over what follows. */
for (const ms of [-100_000n, -4n, 100_000n]) {
  Deno.test(`run archives a drop and a collection made again under its name by the source's clock, with its own ${ms} ms off`, async () => {
    const { source, vault, pipeline, past, write, archived } = await followed(ms);
    using ticking = source.ticking();
    const run = pipeline.start();
    write();
    await archived();
    source.drop("goes");
    const dropped = source.now;
    write();
    source.create("goes", "p_0");
    const { id } = source.create("more", "p_0");
    write();
    await until("it is noted", () => pipeline.saved("vault")!.collections.has(id));
    source.drop("more");
    await archived();
    await run.kill();
    ticking[Symbol.dispose]();
    // What it knows of the first drops outlives the run that saw them.
    await pipeline.once();
    for (const { ts, rows } of past) assert.deepEqual(await restoreFake(source, vault, ts), rows, `at ${ts}`);
    const opened = await openBackupSource(vault, "b");
    const drop = dropped - (1n << 18n) + 1n;
    const names = (ts: HybridTs) => catalogAt(opened, ts).collections.map(({ name }) => name).sort();
    assert.deepEqual([names(drop - 1n), names(drop)], [["goes", "stays"], ["stays"]]);
  });
}

for (const ms of [-100_000n, 100_000n]) {
  Deno.test(`run finds the drop that no tick follows while it goes on, with its own clock ${ms} ms off`, async () => {
    const { source, vault, pipeline, past, write, archived } = await followed(ms);
    source.create("alone", "p_1");
    using _ticking = source.ticking();
    const run = pipeline.start();
    write();
    await archived();
    const { id } = source.collections.find(({ name }) => name === "alone")!;
    // No tick says that this is there.
    source.insert("alone", [99n, 99n]);
    past.push({ ts: source.now, rows: structuredClone(source.rows) });
    source.drop("alone");
    const drop = source.now - (1n << 18n) + 1n;
    write();
    await eventually("the drop is noted", async () => (await readDrops(vault, "b")).get(id)?.first === drop, {
      everyMs: 10,
    });
    await archived();
    const opened = await openBackupSource(vault, "b");
    assert.deepEqual(
      [drop - 1n, drop].map((ts) => catalogAt(opened, ts).collections.some((item) => item.id === id)),
      [true, false],
    );
    const { gaps } = opened.restorable!;
    assert.deepEqual(gaps.map(({ to, collections }) => [to.ts, collections]), [[drop - 1n, ["default.alone"]]]);
    let restored = 0;
    for (const { ts, rows } of past) {
      if (gaps.some(({ from, to }) => from.ts <= ts && ts <= to.ts)) continue;
      assert.deepEqual(await restoreFake(source, vault, ts), rows, `at ${ts}`);
      restored++;
    }
    assert.equal(restored, past.length - 1);
    await run.stop();
  });
}

Deno.test("run archives no record of a drop that it could not note", async () => {
  const vault = createMemoryStore();
  let refused = 0;
  const { source, pipeline, past, write } = await followed(-100_000n, {
    ...vault,
    put(key, bytes, options, signal) {
      if (!key.startsWith(dropFolder("b")) || refused > 0) return vault.put(key, bytes, options, signal);
      refused++;
      return Promise.reject(new Error("the disk is full"));
    },
  });
  write();
  await pipeline.once();
  source.drop("goes");
  write();
  await assert.rejects(pipeline.once(), /the disk is full/);
  assert.equal(refused, 1);
  const types: string[] = [];
  for (const pchannel of await listLogChannels(vault, "b")) {
    for (const file of await listLogFiles(vault, "b", pchannel)) {
      for await (const records of readLogFile(vault, file, 0n, never)) types.push(...records.map(({ type }) => type));
    }
  }
  assert.ok(types.includes("insert"), "it has what came before");
  assert.ok(!types.includes("drop_collection"), types.join());
  await pipeline.once();
  for (const { ts, rows } of past) assert.deepEqual(await restoreFake(source, vault, ts), rows, `at ${ts}`);
});
