/** Imports that are cut off, fail, or cannot be: what is on the target in the end is exact all the same, or the run says why not. */
import assert from "node:assert/strict";
import type { PyMilvus } from "../../stack/pymilvus.ts";
import { assertSameRows } from "../pipeline/comparison.ts";
import { type Servers, small, withServers } from "../pipeline/servers.ts";
import { TidemarkSetup } from "../pipeline/tidemark_process.ts";
import { s3Vault, type Vault, vaultSink } from "./backup_pipeline.ts";
import { leftOver, targetStorage } from "./import_setup.ts";
import { RestoreSetup, settled } from "./restore_setup.ts";

const PREFIX = "imt_";
const NAME = `${PREFIX}a`;

/** A backup in the source's bucket, so that an import needs copies; and rows that come after its base. */
async function backedUp({ env, source }: Servers): Promise<Vault> {
  await source.call("create_collection", small(NAME, { shards: 2, partitions: ["p1"] }));
  await source.call("insert_generated", { name: NAME, start: 0, count: 1500, seed: 1 });
  await source.call("insert_generated", { name: NAME, start: 1500, count: 500, seed: 1, partition: "p1" });
  await source.call("insert_generated", { name: NAME, start: 200, count: 100, seed: 2, upsert: true });
  // The same row twice in one request: an import cannot tell them apart, so it is written by rows afterwards.
  const rows = [7001, 7001].map((id) => ({ id, vec: [1, id, 0, 1] }));
  await source.call("insert", { name: NAME, rows });
  await source.call("flush", { name: NAME });
  await source.call("delete", { name: NAME, start: 50, count: 60 });
  await source.call("flush", { name: NAME });
  const vault = s3Vault(env);
  await using setup = await TidemarkSetup.make({
    env,
    include: [`default.${NAME}`],
    sinks: { vault: vaultSink(vault) },
  });
  await settled(source, setup);
  await source.call("insert_generated", { name: NAME, start: 2000, count: 100, seed: 3 });
  await source.call("delete", { name: NAME, start: 300, count: 50 });
  await setup.once();
  return vault;
}

function restoreSetup(env: Record<string, string>, vault: Vault, db: string, sink: Record<string, unknown>) {
  return RestoreSetup.make({
    env,
    backup: { name: "b", storage: vault.storage },
    transforms: { route: [{ from: "default.*", to: `${db}.*` }] },
    sink,
  });
}

async function assertRestored(source: PyMilvus, target: PyMilvus, db: string): Promise<void> {
  await target.call("load_collection", { name: NAME, db });
  await assertSameRows({ server: source, name: NAME }, { server: target, db, name: NAME });
}

const POINTS = [
  "import_prepared",
  "import_asked",
  "import_started",
  "import_completed",
  "imports_completed",
  "mid_segment",
  "after_first_batch",
];

Deno.test("backup restore killed at every phase of an import goes on with it and ends exact", async () => {
  await withServers(PREFIX, async (servers) => {
    const { env, source, target } = servers;
    await using vault = await backedUp(servers);
    for (const [i, point] of POINTS.entries()) {
      const db = `${PREFIX}kill${i}`;
      await using restore = await restoreSetup(env, vault, db, { load: "import", storage: targetStorage(env) });
      const killed = await restore.start([], { TIDEMARK_CRASH_AT: point }).exit;
      assert.match(killed.stderr, new RegExp(`killed at ${point}`));
      const { stderr } = await restore.restore();
      assert.doesNotMatch(stderr, /begun anew/, point);
      await assertRestored(source, target, db);
      assert.deepEqual(await leftOver(env, target), [], point);
    }
  });
});

Deno.test("backup restore killed by SIGKILL while the target imports ends exact, also where the configuration asks for rows then", async () => {
  await withServers(PREFIX, async (servers) => {
    const { env, source, target } = servers;
    await using vault = await backedUp(servers);
    for (const point of ["import_prepared", "import_started"]) {
      const db = `${PREFIX}${point}`;
      await using restore = await restoreSetup(env, vault, db, { load: "import", storage: targetStorage(env) });
      await restore.start([], { TIDEMARK_CRASH_AT: point }).exit;
      assert.notDeepEqual(await leftOver(env, target), []);
      const config = JSON.parse(await Deno.readTextFile(restore.config));
      config.sinks.replica.load = "rows";
      await Deno.writeTextFile(restore.config, JSON.stringify(config));
      const { stderr } = await restore.restore();
      // What was only put in place is simply taken away.
      assert.equal(/asks for rows.*begun anew/.test(stderr), point === "import_started", stderr);
      await assertRestored(source, target, db);
      assert.deepEqual(await leftOver(env, target), []);
    }
  });
});

Deno.test("backup restore by import holds a collection that the target fails to import, and imports it when the cause is mended", async () => {
  await withServers(PREFIX, async (servers) => {
    const { env, source, target } = servers;
    await using vault = await backedUp(servers);
    // The target looks into its own bucket, where these files are not.
    const wrong = { ...targetStorage(env), bucket: env.SOURCE_BUCKET };
    const db = `${PREFIX}wrong`;
    await using restore = await restoreSetup(env, vault, db, { load: "import", storage: wrong });
    const { stderr } = await restore.restore([], 3);
    assert.match(stderr, /The target took 0 rows from .* expected \d+/);
    // Mended, the same command goes on.
    const config = JSON.parse(await Deno.readTextFile(restore.config));
    config.sinks.replica.storage = targetStorage(env);
    await Deno.writeTextFile(restore.config, JSON.stringify(config));
    await restore.restore();
    await assertRestored(source, target, db);
    assert.deepEqual(await leftOver(env, target), []);
  });
});

Deno.test("backup restore by auto writes small collections by rows, and says why what it was told to import is not imported", async () => {
  await withServers(PREFIX, async (servers) => {
    const { env, source, target } = servers;
    await using vault = await backedUp(servers);
    const db = `${PREFIX}auto`;
    await using small = await restoreSetup(env, vault, db, { load: "auto", storage: targetStorage(env) });
    assert.doesNotMatch((await small.restore()).stderr, /the target imports/);
    await assertRestored(source, target, db);
    const merged = `${PREFIX}auto`;
    await using merge = await restoreSetup(env, vault, merged, {
      load: "import",
      storage: targetStorage(env),
      on_existing: "merge",
    });
    assert.match((await merge.restore()).stderr, /is not imported but written by rows: on_existing: merge/);
    await assertRestored(source, target, merged);
  });
});

const LARGE = `${PREFIX}large`;

Deno.test("backup restore by auto imports what is large, and begins anew by rows where the target fails to", async () => {
  await withServers(PREFIX, async ({ env, source, target }) => {
    const fields = [{ name: "id", type: "Int64", primary: true }, { name: "vec", type: "FloatVector", dim: 1024 }];
    await source.call("create_collection", small(LARGE, { fields }));
    await source.call("insert_generated", { name: LARGE, start: 0, count: 10_000, seed: 1 });
    await source.call("flush", { name: LARGE });
    await source.call("delete", { name: LARGE, start: 100, count: 200 });
    await source.call("flush", { name: LARGE });
    await using vault = s3Vault(env, env.TARGET_BUCKET!);
    await using setup = await TidemarkSetup.make({
      env,
      include: [`default.${LARGE}`],
      sinks: { vault: vaultSink(vault) },
    });
    await setup.once();
    const storage = targetStorage(env);
    for (
      const [db, bucket, said] of [
        [`${PREFIX}right`, env.TARGET_BUCKET, /9800 rows imported in/],
        [`${PREFIX}fallback`, env.SOURCE_BUCKET, /took 0 rows from .*is begun anew, by rows/],
      ] as const
    ) {
      await using restore = await restoreSetup(env, vault, db, { storage: { ...storage, bucket } });
      assert.match((await restore.restore()).stderr, said);
      await target.call("load_collection", { name: LARGE, db });
      await assertSameRows({ server: source, name: LARGE }, { server: target, db, name: LARGE });
    }
  });
});
