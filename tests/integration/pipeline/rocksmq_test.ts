/**
 * A real standalone on RocksMQ, whose queue nobody but itself can read: followed by its files, killed and started again, and
 * backed up twice without a log, the second base on the files of the first; and copied once more when it runs no more, from its
 * folder and a copy of its etcd's data directory.
 */
import assert from "node:assert/strict";
import { verifyBackup } from "../../../sources/backup/mod.ts";
import { eventually } from "../../stack/eventually.ts";
import {
  assertRestores,
  copiedFiles,
  folderVault,
  listComplete,
  manifestOf,
  vaultSink,
} from "../backup/backup_pipeline.ts";
import { assertSame } from "./comparison.ts";
import { startOwnSource } from "./own_source.ts";
import { RandomWorkload } from "./random_workload.ts";
import { restoreEtcd } from "./restored_etcd.ts";
import { small } from "./servers.ts";
import { stackSources, TidemarkSetup } from "./tidemark_process.ts";

const PREFIX = "rq_";
const STEPS = 20;

Deno.test("run and backup without a queue copy a standalone on RocksMQ, over a kill, exact once it has flushed", async () => {
  await using own = await startOwnSource(PREFIX, { "mq.type": "rocksmq" });
  const { env, source, target } = own;
  const sources = {
    ...stackSources(env),
    log: { type: "files", poll: "1s", flush: { address: env.SOURCE_URI, every: "10s" } },
  };
  const include = [`default.${PREFIX}*`];
  await using setup = await TidemarkSetup.make({ env, include, extra: { sources } });
  await using vault = await folderVault();
  await using backup = await TidemarkSetup.make({
    env,
    include,
    sinks: { vault: vaultSink(vault, { name: "b_{date}_{time}", log_archive: false, rebase_after: { age: "1s" } }) },
    extra: { sources, pipeline: "vault" },
  });
  const work = new RandomWorkload(source, PREFIX, 3);
  await work.begin(2);
  // The source compacts what is written to; of this one the files stay.
  const still = `${PREFIX}still`;
  await source.call("create_collection", small(still));
  await source.call("insert_generated", { name: still, start: 0, count: 50, seed: 1 });
  const names = () => [...work.names, still];
  let run = setup.start(["run"]);
  /** Every collection is on the target as it is on the source: so the source's checkpoints have passed all of it. */
  const equal = async () => {
    for (const name of names()) await source.call("flush", { name });
    for (const name of names()) {
      await eventually(`${name} is as the source is`, async () => {
        const [a, b] = await Promise.all(
          [source, target].map((server) => server.call("digest", { name }).catch(() => null)),
        );
        return a !== null && JSON.stringify(a) === JSON.stringify(b);
      }, run.waiting).catch(() => {});
      await assertSame({ server: source, name }, { server: target, name });
    }
  };
  for (let i = 0; i < STEPS; i++) {
    await work.step();
    if (i !== STEPS / 2) continue;
    await run.kill();
    run = setup.start(["run"]);
  }
  await equal();
  assert.ok(copiedFiles(await backup.once()).copied > 0);
  for (let i = 0; i < STEPS / 2; i++) await work.step();
  await equal();
  const before = await listComplete(vault);
  await backup.once();
  const backups = await listComplete(vault);
  assert.equal(backups.length, before.length + 1);
  for (const name of backups) {
    const report = await verifyBackup(vault.store, name, { deep: true });
    assert.ok(report.ok, `${name}: ${JSON.stringify(report.findings)}`);
  }
  const { previous, sharedBytes, logArchive } = await manifestOf(vault, backups.at(-1)!);
  assert.deepEqual([previous, logArchive], [before.at(-1), false]);
  assert.ok(sharedBytes > 0n, "nothing of the first base was shared");
  await assertRestores({ env, vault, backup: backups.at(-1)!, source, target, names: names() });
  const { code, stderr } = await run.stop();
  // By SIGTERM.
  assert.equal(code, 143, stderr);

  // All that is left of the source are its folders.
  await own.stack.kill("source");
  await own.stack.kill("etcd");
  await using etcd = await restoreEtcd(`${own.stack.dir}/etcd/data`);
  const offline = (name: string) => name.replace(PREFIX, `${PREFIX}off_`);
  await using copy = await TidemarkSetup.make({
    env,
    include,
    route: names().map((name) => ({ from: `default.${name}`, to: `default.${offline(name)}` })),
    extra: {
      pipeline: "offline",
      sources: {
        meta: { type: "etcd", endpoints: [etcd.endpoint], root_path: env.SOURCE_ROOT },
        log: { type: "files" },
        binlogs: { type: "file", path: env.SOURCE_FILES },
      },
    },
  });
  await copy.once();
  for (const name of names()) {
    await assertSame({ server: target, name }, { server: target, name: offline(name) });
  }
  const verified = await copy.command(["verify"]);
  assert.equal(verified.code, 0, verified.stdout + verified.stderr);
});
