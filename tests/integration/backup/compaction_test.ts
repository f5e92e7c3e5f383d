/**
 * A source that syncs, flushes and compacts all the time, and backups begun while it does, one of them standing still while
 * the files that it is about to copy go. Which keys are alive is known from the writer: the source itself may lose deletes
 * under eager compaction, so it is no judge.
 */
import assert from "node:assert/strict";
import { EAGER_COMPACTION, PyMilvus, startStack } from "../../stack/mod.ts";
import { collectFiles, CompactionWatch, goesOn, paused, replaceSegments } from "../pipeline/compactions.ts";
import { seeded } from "../pipeline/random_workload.ts";
import { TidemarkSetup } from "../pipeline/tidemark_process.ts";
import { assertGood, folderVault, vaultSink } from "./backup_pipeline.ts";
import { setting } from "../long.ts";

const MOMENTS = Number(setting("TIDEMARK_MOMENTS", "3", "8"));
const EVERY = 10;

Deno.test(`run makes ${MOMENTS} backups of an eagerly compacting source that all restore to what was written`, async () => {
  await using stack = await startStack("demo", { name: `backup-eager-${Deno.pid}`, source: EAGER_COMPACTION });
  const { env } = stack;
  await using watch = await CompactionWatch.start(env);
  await using source = await PyMilvus.start(env.SOURCE_URI!, { python: env.PYTHON! });
  await using target = await PyMilvus.start(env.TARGET_URI!, { python: env.PYTHON! });
  await using vault = await folderVault();
  const name = "eager";
  await source.call("create_collection", {
    name,
    shards: 2,
    partitions: ["p1"],
    fields: [
      { name: "id", type: "Int64", primary: true },
      { name: "vec", type: "FloatVector", dim: 16 },
    ],
    indexes: [{ field: "vec", params: { index_type: "FLAT", metric_type: "L2" } }],
    load: true,
  });
  const sources = {
    meta: { type: "etcd", endpoints: [env.ETCD_ENDPOINT], root_path: env.SOURCE_ROOT },
    log: { type: "kafka", brokers: [env.KAFKA_BROKERS] },
    binlogs: { type: "file", path: env.SOURCE_FILES },
  };
  await using setups = new AsyncDisposableStack();
  const backups: { readonly backup: string; readonly setup: TidemarkSetup }[] = [];
  const alive = new Map<string, Set<number>>([["_default", new Set()], ["p1", new Set()]]);
  const random = seeded(7);
  const running: Promise<unknown>[] = [];
  let next = 0;
  const write = async (round: number) => {
    const partition = random() < 0.5 ? "_default" : "p1";
    const keys = alive.get(partition)!;
    const start = random() < 0.6 ? (next += 300) - 300 : Math.floor(random() * next);
    const count = 50 + Math.floor(random() * 200);
    await source.call("insert_generated", { name, start, count, seed: round + 1, partition, upsert: true });
    for (let key = start; key < start + count; key++) keys.add(key);
    const from = Math.floor(random() * next);
    const everywhere = random() < 0.3;
    await source.call("delete", { name, start: from, count: 80, partition: everywhere ? "" : partition });
    for (const [other, set] of alive) {
      if (everywhere || other === partition) { for (let key = from; key < from + 80; key++) set.delete(key); }
    }
  };
  const begin = async () => {
    const backup = `b${backups.length}`;
    const sinks = { vault: vaultSink(vault, { name: backup }) };
    const setup = await TidemarkSetup.make({ env, include: ["default.eager"], sinks, extra: { sources } });
    setups.use(setup);
    backups.push({ backup, setup });
    return setup;
  };
  let round = 0;
  for (; round < EVERY * MOMENTS + 4; round++) {
    await write(round);
    if (random() < 0.3) await source.call("flush", { name });
    if (random() < 0.15) await source.call("compact", { name, wait: false });
    if (round % EVERY === EVERY - 1) running.push((await begin()).once());
  }
  // One that stands still between its snapshot and the first file, while segments are replaced and removed.
  const held = (await begin()).start(["run", "--once"], { TIDEMARK_CRASH_AT: "after_snapshot:1:pause" });
  await paused(held);
  const gone = await replaceSegments(watch, await watch.revision(), async () => {
    await write(round++);
    await source.call("flush", { name });
    await source.call("compact", { name });
  });
  await collectFiles(env.SOURCE_FILES!, gone);
  await goesOn(held);
  await Promise.all(running);
  const expected = [...alive].flatMap(([partition, keys]) => [...keys].map((key) => `${partition}/${key}`)).sort();
  await Promise.all(backups.map(async ({ backup, setup }) => {
    await setup.once();
    await assertGood(setup, vault, backup);
    await using restore = await TidemarkSetup.make({
      env,
      include: ["default.eager"],
      route: [{ from: "default.eager", to: `default.${backup}` }],
      extra: { pipeline: "restore", sources: { backup: { name: backup, storage: vault.storage } } },
    });
    const { code, stderr } = await restore.command(["backup", "restore", "--config", restore.config]);
    assert.equal(code, 0, stderr);
    await target.call("wait_queryable", { name: backup });
    const rows = await target.call("query_all", { name: backup }) as Record<string, unknown>[];
    assert.deepEqual(rows.map((row) => `${row["$partition"]}/${row.id}`).sort(), expected, `keys of ${backup}`);
  }));
});
