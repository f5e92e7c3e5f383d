/** Imports that are cut off, fail, or cannot be: what is on the target in the end is exact all the same, or the run says why not. */
import assert from "node:assert/strict";
import type { LoadChoice } from "../../../pipeline/flow/mod.ts";
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
  const vault = s3Vault(env);
  await using setup = await TidemarkSetup.make({
    env,
    include: [`default.${NAME}`],
    sinks: { vault: vaultSink(vault) },
  });
  await settled(source, [NAME]);
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

/** Phases at which the next run, told to write rows, takes the import's files away; at the second it has been asked for. */
const SWITCHED = ["import_prepared", "import_started"];

Deno.test("backup restore by import that is killed, switched to rows, failed or not possible ends exact, or says why not", async (t) => {
  await withServers(PREFIX, async (servers) => {
    const { env, source, target } = servers;
    await using vault = await backedUp(servers);
    const storage = targetStorage(env);
    const killed = async (point: string, i: number) => {
      const db = `${PREFIX}kill${i}`;
      await using restore = await restoreSetup(env, vault, db, { restore_by: "import", storage });
      const { stderr } = await restore.start([], { TIDEMARK_CRASH_AT: point }).ends();
      assert.match(stderr, new RegExp(`killed at ${point}`));
      assert.doesNotMatch((await restore.restore()).stderr, /begun anew/, point);
      await assertRestored(source, target, db);
    };
    const switched = async (point: string) => {
      const db = `${PREFIX}${point}`;
      await using restore = await restoreSetup(env, vault, db, { restore_by: "import", storage });
      await restore.start([], { TIDEMARK_CRASH_AT: point }).ends();
      await changeSink(restore, { restore_by: "rows" });
      const { stderr } = await restore.restore();
      // What was only put in place is simply taken away.
      assert.equal(/asks for rows.*begun anew/.test(stderr), point === "import_started", stderr);
      await assertRestored(source, target, db);
    };
    const wrong = async () => {
      // The target looks into its own bucket, where these files are not.
      const db = `${PREFIX}wrong`;
      const elsewhere = { ...storage, bucket: env.SOURCE_BUCKET };
      await using restore = await restoreSetup(env, vault, db, { restore_by: "import", storage: elsewhere });
      const { stderr } = await restore.restore([], 3);
      assert.match(stderr, /The target took 0 rows from .* expected \d+/);
      // Mended, the same command goes on.
      await changeSink(restore, { storage });
      await restore.restore();
      await assertRestored(source, target, db);
    };
    const small = async () => {
      const db = `${PREFIX}auto`;
      await using auto = await restoreSetup(env, vault, db, { restore_by: "auto", storage });
      const [planned] = await auto.planned();
      assert.equal(planned!.by, "rows");
      assert.match(
        planned!.reason,
        /in files, restore_by: auto imports from 256 MiB on for 2 partitions, .* one after the other/,
      );
      assert.doesNotMatch((await auto.restore()).stderr, /the target imports/);
      await assertRestored(source, target, db);
      await using merge = await restoreSetup(env, vault, db, { restore_by: "import", storage, on_existing: "merge" });
      const [{ reason }] = await merge.planned() as [LoadChoice];
      assert.match(reason, /^on_existing: merge/);
      const { stderr } = await merge.restore();
      assert.ok(stderr.includes(`is not imported but written by rows: ${reason}`), stderr);
      await assertRestored(source, target, db);
    };
    const cases: [name: string, work: () => Promise<void>][] = [
      ...POINTS.map((point, i): [string, () => Promise<void>] => [`killed at ${point}`, () => killed(point, i)]),
      ...SWITCHED.map((point): [string, () => Promise<void>] => [`to rows after ${point}`, () => switched(point)]),
      ["the wrong bucket, then the right one", wrong],
      ["small collections, and merge", small],
    ];
    // Most of the time the target lets imports wait.
    const results = await Promise.allSettled(cases.map(([, work]) => work()));
    for (const [i, result] of results.entries()) {
      await t.step(cases[i]![0], () => {
        if (result.status === "rejected") throw result.reason;
      });
    }
    assert.deepEqual(await leftOver(env, target), []);
  });
});

async function changeSink({ config: path }: RestoreSetup, keys: Record<string, unknown>): Promise<void> {
  const config = JSON.parse(await Deno.readTextFile(path));
  Object.assign(config.sinks.replica, keys);
  await Deno.writeTextFile(path, JSON.stringify(config));
}

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
      await using restore = await restoreSetup(env, vault, db, {
        storage: { ...storage, bucket },
        import_from: "32MiB",
      });
      assert.deepEqual((await restore.planned()).map(({ by }) => by), ["import"]);
      assert.match((await restore.restore()).stderr, said);
      await target.call("load_collection", { name: LARGE, db });
      await assertSameRows({ server: source, name: LARGE }, { server: target, db, name: LARGE });
    }
  });
});
