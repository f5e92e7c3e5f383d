/** Runs over a source whose pchannels say nothing while nothing is written: no tick comes without a message. */
import assert from "node:assert/strict";
import { hybridFromMs, type ResumePoint, type TickGroup } from "../../../../pipeline/model/mod.ts";
import { openBackupSource } from "../../../../sources/backup/mod.ts";
import { createMemoryStore } from "../../../../stores/mod.ts";
import { eventually } from "../../../stack/eventually.ts";
import { FakePipeline, until } from "../../../fakes/pipeline.ts";
import { restoreFake } from "../../../fakes/restore.ts";
import { FakeRowSink } from "../../../fakes/row_sink.ts";
import { FakeSource } from "../../../fakes/source.ts";

function setup() {
  const source = new FakeSource(["p_0", "p_1"], { silent: true });
  const replica = new FakeRowSink("replica");
  const pipeline = new FakePipeline(source, { rows: [replica] });
  source.create("busy", "p_0");
  source.create("quiet", "p_1");
  source.insert("quiet", [1n, 1n]);
  source.tick();
  source.insert("busy", [1n, 1n]);
  source.tick();
  return { source, replica, pipeline };
}

Deno.test("run --once ends where the logs end, and the next one brings what came since", async () => {
  const { source, replica, pipeline } = setup();
  const first = await pipeline.start({ kind: "once" }).result;
  assert.deepEqual(replica.rows, source.rows);
  assert.ok(first.upTo > 0n);
  source.insert("quiet", [2n, 2n]);
  source.tick();
  source.log.read.clear();
  await pipeline.start({ kind: "once" }).result;
  assert.deepEqual(replica.rows, source.rows);
  assert.equal(source.log.read.get("p_0"), undefined, "nothing of the silent pchannel is read again");
});

Deno.test("run --once leaves to the next run what no tick confirms in a log that nobody writes any more, and says so", async () => {
  const { source, replica, pipeline } = setup();
  source.insert("busy", [2n, 2n]);
  const { follow } = source;
  // Time in the log's reader goes a hundred times as fast.
  pipeline.override = {
    follow: async function* (request, signal) {
      for await (const group of follow(request, signal)) {
        yield group.end === undefined ? group : { ...group, end: { ...group.end, sinceMs: group.end.sinceMs * 100 } };
      }
    },
  };
  await pipeline.start({ kind: "once" }).result;
  assert.deepEqual([...replica.rows.get("busy")!], [[1n, 1n]]);
  assert.match(pipeline.warnings.join("\n"), /p_0 ends with records that no time tick confirms/);
  source.tick();
  await pipeline.start({ kind: "once" }).result;
  assert.deepEqual(replica.rows, source.rows);
});

Deno.test("run --until ends on a pchannel that is silent at that moment once the source's clock has passed it", async () => {
  const { source, replica, pipeline } = setup();
  let clockMs = 0;
  const moment = source.now + hybridFromMs(1000);
  pipeline.override = {
    meta: { ...source.meta, clockMs: () => Promise.resolve(clockMs) },
    now: () => performance.now(),
  };
  const run = pipeline.start({ kind: "until", ts: moment });
  let ended = false;
  run.result.then(() => ended = true);
  await until(
    "both pchannels are applied",
    () => replica.rows.get("quiet")?.size === 1 && replica.rows.get("busy")?.size === 1,
  );
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(ended, false, "rows of before the moment may still be written");
  clockMs = Number(moment >> 18n) + 1;
  pipeline.override = {};
  await run.result;
  assert.deepEqual(replica.rows, source.rows);
});

Deno.test("run has no lag while nothing is written, and goes on from the end of a silent log", async () => {
  const { source, replica, pipeline } = setup();
  let now = 1_795_000_000_000;
  pipeline.override = { now: () => now };
  const run = pipeline.start();
  const position = () => pipeline.saved("replica")?.positions.get("p_1");
  const { latest } = await source.log.bounds("p_1", new AbortController().signal);
  const atEnd = (point: ResumePoint | undefined) => point?.offset === latest;
  await until("the position is at the log's end", () => atEnd(position()));
  now += 3_600_000;
  await until("the lag is gone", () => run.status().lagMs === 0);
  await run.stop();
  assert.deepEqual(replica.rows, source.rows);
  // Retention takes what nobody needs.
  source.log.deleteRecords("p_1", latest);
  // What came too late is told by the tick that was passed: nothing says it again behind the position.
  const passed = position()!.tick;
  const told: (bigint | undefined)[] = [];
  pipeline.override = {
    follow: (request, signal) => {
      if (request.pchannel === "p_1") told.push(request.passed);
      return source.follow(request, signal);
    },
  };
  source.insert("quiet", [3n, 3n]);
  source.tick();
  await pipeline.start({ kind: "once" }).result;
  assert.deepEqual(replica.rows, source.rows);
  assert.deepEqual(told, [passed]);
});

Deno.test("run --once of a backup with a log archive ends where the logs end", async () => {
  const source = new FakeSource(["p_0", "p_1"], { silent: true });
  const vault = createMemoryStore();
  const pipeline = new FakePipeline(source, { vaults: { vault } });
  source.create("busy", "p_0");
  source.create("quiet", "p_1");
  source.insert("quiet", [1n, 1n]);
  source.tick();
  source.insert("busy", [1n, 1n]);
  source.tick();
  await pipeline.start({ kind: "once" }).result;
  source.insert("busy", [2n, 2n]);
  source.tick();
  const { upTo } = await pipeline.start({ kind: "once" }).result;
  assert.equal(upTo, source.now);
  // The silent pchannel's last tick is older: that nothing came behind it is noted.
  const backup = await openBackupSource(vault, "b");
  assert.equal(backup.restorable?.to.ts, upTo);
  assert.deepEqual(backup.restorable?.gaps, []);
  assert.deepEqual(await restoreFake(source, vault, upTo), source.rows);
  await assert.rejects(restoreFake(source, vault, upTo + 1n), /ends at .*, before the moment that is asked for/);
});

Deno.test("run notes of a backup that it keeps how long a pchannel has been silent while others go on", async () => {
  const source = new FakeSource(["p_0", "p_1"], { silent: true });
  const vault = createMemoryStore();
  const pipeline = new FakePipeline(source, { vaults: { vault } });
  source.create("busy", "p_0");
  source.create("quiet", "p_1");
  source.insert("quiet", [1n, 1n]);
  source.tick();
  const run = pipeline.start();
  source.insert("busy", [1n, 1n]);
  source.tick();
  const moment = source.now;
  const reached = async () => (await openBackupSource(vault, "b")).restorable!.to.ts;
  await eventually("both pchannels reach the busy one's last tick", async () => await reached() >= moment);
  await run.stop();
  assert.ok(await reached() >= moment);
});

for (
  const [what, told] of [
    ["whose last file was closed", (group: TickGroup) => group],
    // As where the queue tells its ticks beside the records.
    ["of which there is no record to keep", (group: TickGroup) => ({ ...group, records: [] })],
  ] as const
) {
  Deno.test(`run of a backup has no lag on an idle pchannel ${what}`, async () => {
    const source = new FakeSource(["p_0"], { silent: true });
    const vault = createMemoryStore();
    const pipeline = new FakePipeline(source, { vaults: { vault } });
    const { follow } = source;
    let now = Number(source.now >> 18n);
    pipeline.override = {
      now: () => now,
      follow: async function* (request, signal) {
        for await (const group of follow(request, signal)) yield told(group);
      },
    };
    source.create("quiet", "p_0");
    source.insert("quiet", [1n, 1n]);
    source.tick();
    const run = pipeline.start();
    // The backup is begun before the log is read.
    await until("the log is read", () => source.log.read.get("p_0")?.length === 3 && run.status().phase === "tail");
    now += 3_600_000;
    await until("the lag is gone", () => run.status().lagMs === 0);
    now += 60_000;
    await until("and stays so", () => run.status().lagMs === 0);
    await run.stop();
  });
}
