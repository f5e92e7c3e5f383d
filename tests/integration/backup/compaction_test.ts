/**
 * A source that syncs, flushes and compacts all the time, and backups begun while it does, one of them standing still while
 * the files that it is about to copy go. Which keys are alive is known from the writer: the source itself may lose deletes
 * under eager compaction, so it is no judge.
 */
import assert from "node:assert/strict";
import { EAGER_COMPACTION, PyMilvus, startStack } from "../../stack/mod.ts";
import { collectFiles, CompactionWatch, goesOn, paused } from "../pipeline/compactions.ts";
import { EagerSource, keyOf } from "../pipeline/eager_source.ts";
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
  const work = await EagerSource.create(source, 7);
  await using setups = new AsyncDisposableStack();
  const backups: { readonly backup: string; readonly setup: TidemarkSetup }[] = [];
  const running: Promise<unknown>[] = [];
  const begin = async () => {
    const backup = `b${backups.length}`;
    const sinks = { vault: vaultSink(vault, { name: backup }) };
    const setup = await TidemarkSetup.make({ env, include: ["default.eager"], sinks });
    setups.use(setup);
    backups.push({ backup, setup });
    return setup;
  };
  for (let round = 0; round < EVERY * MOMENTS + 4; round++) {
    await work.step();
    if (round % EVERY === EVERY - 1) running.push((await begin()).once());
  }
  // One that stands still between its snapshot and the first file, while segments are replaced and removed.
  const before = await watch.revision();
  const held = (await begin()).start(["run", "--once"], { TIDEMARK_CRASH_AT: "after_snapshot:1:pause" });
  await paused(held);
  await collectFiles(env.SOURCE_FILES!, await work.replaceSegments(watch, before));
  await goesOn(held);
  await Promise.all(running);
  const expected = work.keys();
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
    assert.deepEqual(rows.map(keyOf).sort(), expected, `keys of ${backup}`);
  }));
});
