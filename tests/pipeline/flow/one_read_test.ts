/** Rows and archives in one run: what each of them gets, and how often the log is read for it. */
import assert from "node:assert/strict";
import { TidemarkError } from "../../../pipeline/errors.ts";
import type { ObjectStore } from "../../../pipeline/model/mod.ts";
import { checkArchive, createArchiveLog, listBackups } from "../../../sources/backup/mod.ts";
import { createMemoryStore, decodeManifest, manifestKey } from "../../../stores/mod.ts";
import { FakePipeline, type FakePipelineOptions, until } from "../../fakes/pipeline.ts";
import { FakeRowSink } from "../../fakes/row_sink.ts";
import { FakeSource } from "../../fakes/source.ts";
import { seeded } from "../../integration/pipeline/random_workload.ts";

const never = new AbortController().signal;
const SEEDS = (Deno.env.get("TIDEMARK_ORACLE_SEEDS") ?? "1,2,3,4").split(",").map(Number);

function setup(options: Omit<FakePipelineOptions, "rows" | "vaults"> = {}) {
  const source = new FakeSource();
  const replica = new FakeRowSink("replica");
  const vault = createMemoryStore();
  const pipeline = new FakePipeline(source, { rows: [replica], vaults: { vault }, ...options });
  return { source, replica, vault, pipeline };
}

/** Offsets that a backup's archive holds of a pchannel. */
async function archived(store: ObjectStore, pchannel: string, name = "b"): Promise<bigint[]> {
  const log = createArchiveLog({ store, name, queue: "kafka" });
  const offsets: bigint[] = [];
  const { earliest } = await log.bounds(pchannel, never);
  for await (const { records } of log.tail(pchannel, earliest, undefined, never)) {
    offsets.push(...records.map(({ offset }) => offset));
  }
  return offsets;
}

/** The archive is one chain from the cuts on, and nothing of the source's log is missing up to where it ends. */
async function assertArchive(source: FakeSource, store: ObjectStore, sink = "b"): Promise<void> {
  const key = manifestKey(sink);
  const { cuts } = decodeManifest(new TextDecoder().decode(await store.get(key)), key);
  assert.deepEqual((await checkArchive(store, sink, { cuts })).findings, []);
  for (const pchannel of source.pchannels) {
    const cut = cuts.filter((item) => item.pchannel === pchannel).map(({ offset }) => offset)[0];
    if (cut === undefined) continue;
    const offsets = await archived(store, pchannel, sink);
    const last = offsets.at(-1)!;
    assert.deepEqual(
      offsets,
      Array.from({ length: Number(last - offsets[0]!) + 1 }, (_, i) => offsets[0]! + BigInt(i)),
    );
    assert.ok(offsets[0]! <= cut, `${pchannel} is archived from ${offsets[0]} on, its cut is ${cut}`);
  }
}

function assertRows(source: FakeSource, ...sinks: readonly FakeRowSink[]): void {
  for (const { name, rows } of sinks) assert.deepEqual(rows, source.rows, `rows of ${name}`);
}

/** Each offset was handed out at most once since the reads were forgotten. */
function assertReadOnce(source: FakeSource): void {
  for (const [topic, offsets] of source.log.read) {
    assert.deepEqual(offsets, [...new Set(offsets)], `${topic} was read more than once`);
  }
}

Deno.test("run with two targets and two backups reads every record once, and each has all of it", async () => {
  const source = new FakeSource();
  const targets = [new FakeRowSink("one"), new FakeRowSink("two")];
  const stores = [createMemoryStore(), createMemoryStore()];
  const pipeline = new FakePipeline(source, { rows: targets, vaults: { first: stores[0]!, second: stores[1]! } });
  source.create("a", "p_0");
  source.create("b", "p_1");
  await pipeline.once();
  source.log.read.clear();
  for (let i = 0n; i < 200n; i++) {
    source.insert(i % 2n === 0n ? "a" : "b", [i, i * 10n]);
    if (i % 20n === 19n) source.delete("a", i - 7n, i - 9n);
    if (i % 5n === 0n) source.tick();
  }
  await pipeline.once();
  assertRows(source, ...targets);
  for (const store of stores) await assertArchive(source, store);
  assert.ok(source.log.read.get("p_0")!.length > 100);
  assertReadOnce(source);
});

Deno.test("run archives while a long base goes on; then the target gets what the archive has read already", async () => {
  const { source, replica, vault, pipeline } = setup();
  source.create("a", "p_0");
  const base = Promise.withResolvers<void>();
  replica.beforeBase = base.promise;
  using _ticking = source.ticking();
  const run = pipeline.start();
  for (let i = 0n; i < 50n; i++) source.insert("a", [i, i]);
  await until("the backup reads", () => source.log.read.has("p_0"));
  // On a pchannel that the base knows nothing of.
  source.create("new", "p_1");
  for (let i = 0n; i < 50n; i++) source.insert("new", [i, i]);
  const durable = () => pipeline.saved("vault")?.positions;
  await until("the archive is past the rows", () => (durable()?.get("p_1")?.offset ?? 0n) > 100n);
  assert.equal(replica.writes, 0);
  assert.equal(pipeline.saved("replica")!.positions.size, 0);
  base.resolve();
  await until("the target has them", () => replica.rows.get("new")?.size === 50 && replica.rows.get("a")?.size === 50);
  assert.equal(source.watches, 1, "one watch of the metadata serves both");
  // From now on there is one reading.
  source.log.read.clear();
  for (let i = 50n; i < 150n; i++) source.insert("a", [i, i]);
  await until("the target has those, too", () => replica.rows.get("a")?.size === 150);
  assertReadOnce(source);
  await run.stop();
  assertRows(source, replica);
  await assertArchive(source, vault);
  assert.ok((await archived(vault, "p_1")).length >= 51);
});

for (const how of ["follow", "once"] as const) {
  Deno.test(`run (${how}) archives the rest of a channel whose last collection was dropped while no run was there`, async () => {
    const { source, vault, pipeline } = setup();
    source.create("stays", "p_0");
    source.create("goes", "p_1");
    await pipeline.once();
    for (let i = 0n; i < 30n; i++) {
      source.insert("goes", [i, i]);
      source.tick();
    }
    const { latest } = await source.log.bounds("p_1", never);
    source.drop("goes");
    source.log.read.clear();
    if (how === "once") await pipeline.once();
    else {
      const run = pipeline.start();
      using _ticking = source.ticking();
      await until("it is read", () => source.log.read.get("p_1")?.includes(latest) === true);
      await run.stop();
    }
    assert.equal((await archived(vault, "p_1")).at(-1), latest - 1n, "the last tick is the last that is kept");
    await assertArchive(source, vault);
    source.log.read.clear();
    await pipeline.once();
    assert.ok((source.log.read.get("p_1")?.length ?? 0) < 5, "it is not read again");
  });
}

Deno.test("run archives a collection that was made and dropped between two kills", async () => {
  const { source, replica, vault, pipeline } = setup();
  source.create("stays", "p_0");
  await pipeline.once();
  const stall = Promise.withResolvers<void>();
  replica.beforeWrite = stall.promise;
  const killed = pipeline.start();
  await until("it follows", () => killed.status().phase === "tail");
  const offset = source.create("short", "p_1").startOffsets.get("p_1")!;
  await until("it is known", () => pipeline.saved("vault")?.collections.size === 2);
  await killed.kill();
  stall.resolve();
  source.insert("short", [1n, 1n]);
  source.tick();
  source.drop("short");
  const run = pipeline.start();
  using _ticking = source.ticking();
  await until("it is read", () => source.log.read.get("p_1")?.includes(offset + 3n) === true);
  await run.stop();
  assert.deepEqual(await archived(vault, "p_1"), [offset, offset + 1n, offset + 2n]);
  await assertArchive(source, vault);
});

Deno.test("run with a target that stands still stops reading for the backup as well, within the window", async () => {
  const { source, replica, vault, pipeline } = setup({ limits: { inFlightBytes: 2000 } });
  source.create("a", "p_0");
  await pipeline.once();
  const stall = Promise.withResolvers<void>();
  replica.beforeWrite = stall.promise;
  for (let i = 0n; i < 200n; i++) {
    source.insert("a", [i, i]);
    source.tick();
  }
  const run = pipeline.start();
  await until("the window is full", () => run.status().inFlightBytes > 1000);
  let before = -1;
  await until("the reading stands still", () => {
    const now = source.log.read.get("p_0")!.length;
    const still = now === before;
    before = now;
    return still;
  });
  assert.ok(source.log.read.get("p_0")!.length < 300, "it has read on");
  // One fetch of the only reader may be beyond the limit.
  assert.ok(run.status().inFlightBytes <= 3000, `${run.status().inFlightBytes} bytes`);
  stall.resolve();
  await until("it goes on", () => replica.rows.get("a")!.size === 200);
  await run.stop();
  assert.equal(run.status().inFlightBytes, 0, "every byte of credit is given back");
  await assertArchive(source, vault);
});

Deno.test("run started again with the backup behind gives the target nothing twice and takes no position back", async () => {
  const { source, replica, vault, pipeline } = setup({ backup: { roll: { age: "1h" } } });
  source.create("a", "p_0");
  await pipeline.once();
  const run = pipeline.start();
  for (let i = 0n; i < 100n; i++) source.insert("a", [i, i]);
  source.tick();
  await until("the target has the rows", () => replica.rows.get("a")!.size === 100);
  const reached = () => pipeline.saved("replica")!.positions.get("p_0")!;
  const behind = () => pipeline.saved("vault")!.positions.get("p_0")!;
  await until("that is saved", () => reached().offset > 100n);
  await run.kill();
  assert.ok(behind().offset < reached().offset, "the backup is behind");
  const { writes } = replica;
  const before = reached();
  const again = pipeline.start();
  await until("the log is read", () => (source.log.read.get("p_0")?.length ?? 0) > 100);
  assert.equal(reached().tick >= before.tick && reached().offset >= before.offset, true);
  source.insert("a", [1000n, 1n]);
  source.tick();
  await until("what is new comes", () => replica.rows.get("a")!.has(1000n));
  assert.equal(replica.writes, writes + 1);
  await again.stop();
  assert.ok(reached().tick > before.tick);
  assertRows(source, replica);
  await assertArchive(source, vault);
});

Deno.test("run started again with the target behind keeps the backup's durable position and archives nothing twice", async () => {
  const { source, replica, vault, pipeline } = setup();
  source.create("a", "p_0");
  await pipeline.once();
  replica.beforeWrite = new Promise(() => {});
  const ticking = source.ticking();
  const run = pipeline.start();
  for (let i = 0n; i < 100n; i++) source.insert("a", [i, i]);
  const durable = () => pipeline.saved("vault")!.positions.get("p_0")!;
  await until("the backup has them", () => durable().offset > 200n);
  await run.kill();
  ticking[Symbol.dispose]();
  const before = durable();
  assert.ok(pipeline.saved("replica")!.positions.get("p_0")!.offset < before.offset, "the target is behind");
  replica.beforeWrite = Promise.resolve();
  const seen: bigint[] = [];
  pipeline.override = { crash: () => void seen.push(durable().offset) };
  await pipeline.once();
  assert.ok(seen.length > 0 && seen.every((offset) => offset >= before.offset), "it went back");
  assertRows(source, replica);
  await assertArchive(source, vault);
});

Deno.test("run --once ends all sinks at one moment, also where the backup came to its end before the base was done", async () => {
  const { source, replica, vault, pipeline } = setup();
  source.create("a", "p_0");
  source.create("b", "p_1");
  for (let i = 0n; i < 30n; i++) source.insert(i % 2n === 0n ? "a" : "b", [i, i]);
  const base = Promise.withResolvers<void>();
  replica.beforeBase = base.promise;
  using _ticking = source.ticking();
  const run = pipeline.start({ kind: "once" });
  await until("the backup has it all", () => (pipeline.saved("vault")?.positions.get("p_1")?.offset ?? 0n) > 15n);
  source.insert("a", [99n, 99n]);
  base.resolve();
  const { upTo } = await run.result;
  for (const sink of ["replica", "vault"]) {
    const ticks = [...pipeline.saved(sink)!.positions.values()].map(({ tick }) => tick);
    assert.deepEqual(ticks, [upTo, upTo], sink);
  }
  assert.equal(replica.rows.get("b")!.size, 15);
  await assertArchive(source, vault);
  await pipeline.once();
  assertRows(source, replica);
  await assertArchive(source, vault);
});

Deno.test("run ends with the error of either side, and does not wait for the other one", async () => {
  for (const side of ["target", "vault"] as const) {
    const { source, replica, vault, pipeline } = setup();
    source.create("a", "p_0");
    await pipeline.once();
    const stall = new Promise<void>(() => {});
    const put = vault.put;
    if (side === "target") {
      replica.fault = new TidemarkError("unexpected", "The target broke");
      vault.put = () => stall as Promise<never>;
    } else {
      replica.beforeWrite = stall;
      vault.put = () => Promise.reject(new TidemarkError("unexpected", "The vault broke"));
    }
    for (let i = 0n; i < 20n; i++) source.insert("a", [i, i]);
    using _ticking = source.ticking();
    if (side === "target") vault.put = put;
    await assert.rejects(pipeline.start().result, new RegExp(`The ${side} broke`));
    replica.fault = undefined;
    replica.beforeWrite = Promise.resolve();
    vault.put = put;
    await pipeline.once();
    assertRows(source, replica);
    await assertArchive(source, vault);
  }
});

Deno.test("run whose backup cannot copy its base ends, and has kept the log that it took over", async () => {
  const { source, replica, vault, pipeline } = setup();
  source.create("a", "p_0");
  const fault = Promise.withResolvers<never>();
  fault.promise.catch(() => {});
  pipeline.override = { binlogs: { ...source.binlogs, pauseGc: () => fault.promise } };
  using _ticking = source.ticking();
  const run = pipeline.start();
  for (let i = 0n; i < 20n; i++) source.insert("a", [i, i]);
  await until("the log is read", () => (source.log.read.get("p_0")?.length ?? 0) > 30);
  fault.reject(new TidemarkError("damaged", "No base today"));
  await assert.rejects(run.result, /No base today/);
  pipeline.override = {};
  await pipeline.once();
  assertRows(source, replica);
  await assertArchive(source, vault);
});

Deno.test("run that is stopped in the base of its target has flushed what it archived meanwhile", async () => {
  const { source, replica, vault, pipeline } = setup({ backup: { roll: { age: "1h" } } });
  source.create("a", "p_0");
  replica.beforeBase = new Promise(() => {});
  using _ticking = source.ticking();
  const run = pipeline.start();
  source.insert("a", [1n, 1n]);
  await until("the log is read", () => (source.log.read.get("p_0")?.length ?? 0) > 30);
  await run.stop();
  assert.ok(pipeline.saved("vault")!.positions.get("p_0")!.offset > 10n);
  replica.beforeBase = Promise.resolve();
  await pipeline.once();
  assertRows(source, replica);
  await assertArchive(source, vault);
});

Deno.test("run whose log lost only what the backup needs leaves the target as it is and gives the backup a new base", async () => {
  const { source, replica, vault, pipeline } = setup({
    backup: { roll: { age: "1h" }, name: "b_{date}_{time}", rebase_after: { age: "1h" } },
    onPositionLost: "resnapshot",
  });
  source.create("a", "p_0");
  await pipeline.once();
  const run = pipeline.start();
  for (let i = 0n; i < 50n; i++) source.insert("a", [i, i]);
  source.tick();
  await until("the target has the rows", () => replica.rows.get("a")!.size === 50);
  await until("that is saved", () => pipeline.saved("replica")!.positions.get("p_0")!.offset > 50n);
  await run.kill();
  const kept = pipeline.saved("replica")!.positions.get("p_0")!;
  source.log.deleteRecords("p_0", kept.offset);
  const made = replica.rows.get("a");
  // Names of backups have seconds.
  await new Promise((resolve) => setTimeout(resolve, 1000));
  // As on a real source, its checkpoint has moved meanwhile.
  const channel = source.collections[0]!.vchannels[0]!;
  const checkpoints = new Map([[channel, { channel, offset: kept.offset, ts: kept.tick }]]);
  const snapshot = async (signal: AbortSignal) => ({ ...await source.meta.snapshot(signal), checkpoints });
  pipeline.override = { ...pipeline.override, meta: { ...source.meta, snapshot } };
  source.insert("a", [500n, 500n]);
  await pipeline.once();
  assert.equal(replica.rows.get("a"), made, "the target's collection is still the same");
  assertRows(source, replica);
  const names = (await listBackups(vault)).map(({ name }) => name);
  assert.equal(names.length, 2, `${pipeline.warnings}`);
});

Deno.test("run makes a new base of its backup while the target follows; both go on with the one reading", async () => {
  const { source, replica, vault, pipeline } = setup({
    backup: { name: "b_{date}_{time}", rebase_after: { age: "1s" } },
  });
  source.create("a", "p_0");
  await pipeline.once();
  source.log.read.clear();
  using _ticking = source.ticking();
  const run = pipeline.start();
  let rebased = false;
  for (let i = 0n; !rebased; i++) {
    source.insert("a", [i % 100n, i]);
    if (i % 7n === 0n) source.delete("a", (i + 50n) % 100n);
    await new Promise((resolve) => setTimeout(resolve, 5));
    rebased = (await listBackups(vault)).filter(({ state }) => state === "complete").length === 2;
    assert.ok(i < 2000n, "no new base was made");
  }
  for (let i = 0n; i < 50n; i++) source.insert("a", [1000n + i, i]);
  await until("the target has what came after it", () => replica.rows.get("a")!.size >= 50);
  await run.stop();
  await pipeline.once();
  assertRows(source, replica);
  const names = (await listBackups(vault)).map(({ name }) => name).sort();
  for (const name of names) await assertArchive(source, vault, name);
  const last = (await archived(vault, "p_0", names[1])).at(-1)!;
  assert.ok(last > (await archived(vault, "p_0", names[0])).at(-1)!, "the log went on in the new one");
});

Deno.test("run whose topic was made anew copies afresh and begins another backup: the old archive cannot go on", async () => {
  const { source, replica, vault, pipeline } = setup({
    backup: { name: "b_{date}_{time}", rebase_after: { age: "1h" } },
    onPositionLost: "resnapshot",
  });
  source.create("a", "p_0");
  await pipeline.once();
  source.log.deleteTopic("p_0");
  source.log.createTopic("p_0");
  for (let i = 0n; i < 20n; i++) source.insert("a", [i, i]);
  // Names of backups have seconds.
  await new Promise((resolve) => setTimeout(resolve, 1000));
  await pipeline.once();
  assertRows(source, replica);
  const names = (await listBackups(vault)).map(({ name }) => name).sort();
  assert.equal(names.length, 2);
  await assertArchive(source, vault, names[1]);
  assert.equal((await archived(vault, "p_0", names[1]))[0], 0n);
});

for (const seed of SEEDS) {
  Deno.test(`run with targets and backups ends equal after random work and kills (seed ${seed})`, async () => {
    const random = seeded(seed);
    const source = new FakeSource(["p_0", "p_1", "p_2"]);
    const targets = [new FakeRowSink("one"), new FakeRowSink("two")];
    const stores = [createMemoryStore(), createMemoryStore()];
    const pipeline = new FakePipeline(source, {
      rows: targets,
      vaults: { first: stores[0]!, second: stores[1]! },
      limits: { inFlightBytes: 4000 },
    });
    const pick = <T>(items: readonly T[]) => items[Math.floor(random() * items.length)]!;
    let made = 0;
    const make = () => source.create(`c${made++}`, pick(source.pchannels));
    // The others are without a collection from time to time, and without ticks then.
    source.create("stays", "p_0");
    for (const pchannel of source.pchannels) source.create(`first_${pchannel}`, pchannel);
    const droppable = () => source.collections.filter(({ name }) => !name.startsWith("stays"));
    using _ticking = source.ticking();
    let run = pipeline.start();
    for (let i = 0n; i < 300n; i++) {
      const { name } = pick(source.collections);
      const roll = random();
      if (roll < 0.6) source.insert(name, [BigInt(Math.floor(random() * 60)), i]);
      else if (roll < 0.85) source.delete(name, BigInt(Math.floor(random() * 60)));
      else if (roll < 0.9) make();
      else if (roll < 0.93 && droppable().length > 0) source.drop(pick(droppable()).name);
      else if (roll < 0.96) {
        await run.kill();
        for (const target of targets) target.beforeWrite = Promise.resolve();
        run = pipeline.start();
      } else {
        // One of them stands still for a while.
        const stall = Promise.withResolvers<void>();
        pick(targets).beforeWrite = stall.promise;
        setTimeout(stall.resolve, 20);
      }
      if (roll > 0.5) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await run.kill();
    await pipeline.once();
    assertRows(source, ...targets);
    for (const store of stores) await assertArchive(source, store);
  });
}

Deno.test("run once ends although a pchannel loses its last collection, and with it its ticks, while it reads", async () => {
  const { source, replica, vault, pipeline } = setup();
  source.create("a", "p_0");
  source.create("b", "p_1");
  for (let i = 0n; i < 20n; i++) source.insert(i % 2n === 0n ? "a" : "b", [i, i]);
  source.tick();
  const run = pipeline.start({ kind: "once" });
  await until("p_1 is read", () => (source.log.read.get("p_1")?.length ?? 0) > 5);
  source.insert("b", [100n, 1n]);
  source.drop("b");
  {
    using _ticking = source.ticking();
    await run.result;
  }
  assertRows(source, replica);
  await assertArchive(source, vault);
  // The next run needs nothing of it either.
  source.insert("a", [200n, 2n]);
  await pipeline.once();
  assertRows(source, replica);
  await assertArchive(source, vault);
});
