/** A restore is killed at its phases, or its storage goes away: the same command again, or the same process, ends exact. */
import assert from "node:assert/strict";
import { stackEnv } from "../../stack/env.ts";
import type { PyMilvus } from "../../stack/pymilvus.ts";
import { BreakingProxy } from "../../stack/breaking_proxy.ts";
import { assertSame } from "../pipeline/comparison.ts";
import { type Servers, small, withServers } from "../pipeline/servers.ts";
import { TidemarkSetup } from "../pipeline/tidemark_process.ts";
import { folderVault, s3Vault, type Vault, vaultSink } from "./backup_pipeline.ts";
import { RestoreSetup } from "./restore_setup.ts";

const PREFIX = "rstc_";
const [A, B, LATE] = [`${PREFIX}a`, `${PREFIX}b`, `${PREFIX}late`];

/** Phases in the order of a restore: making the collections, the files, the archive's records, its drops, the end. */
const POINTS = [
  "inside_reconcile:1",
  "mid_segment:1",
  "mid_segment:3",
  "between_segments:2",
  "before_first_batch:1",
  "after_first_batch:1",
  "between_write_and_ack:3",
  "between_ack_and_checkpoint:2",
  "inside_barrier:1",
  "before_done:1",
];

/** Files of two collections and several partitions, then a log that upserts, deletes, drops and creates. */
async function fill(source: PyMilvus, backUp: () => Promise<unknown>): Promise<void> {
  await Promise.all([
    source.call("create_collection", small(A, { shards: 2, partitions: ["p1", "p2"] })),
    source.call("create_collection", small(B)),
  ]);
  await source.call("insert_generated", { name: A, start: 0, count: 1500, seed: 1 });
  await source.call("insert_generated", { name: A, start: 1500, count: 500, seed: 1, partition: "p1" });
  await source.call("insert_generated", { name: A, start: 5000, count: 100, seed: 1, partition: "p2" });
  await source.call("insert_generated", { name: B, start: 0, count: 300, seed: 1 });
  await source.call("flush", { name: A });
  await source.call("delete", { name: A, start: 100, count: 200 });
  await source.call("insert_generated", { name: A, start: 400, count: 100, seed: 2, upsert: true });
  await backUp();
  await source.call("insert_generated", { name: A, start: 2000, count: 300, seed: 3 });
  await source.call("delete", { name: A, start: 700, count: 100 });
  await source.call("drop_partition", { name: A, partition: "p2" });
  await source.call("create_collection", small(LATE));
  await source.call("insert_generated", { name: LATE, start: 0, count: 40, seed: 4 });
  await source.call("drop_collection", { name: B });
  await source.call("insert_generated", { name: A, start: 2100, count: 80, seed: 5, upsert: true });
  await backUp();
}

/** A backup in `vault` of everything that {@link fill} did. */
async function withBackup(vault: Vault, work: (servers: Servers) => Promise<void>): Promise<void> {
  await withServers(PREFIX, async (servers) => {
    const { env, source } = servers;
    await using setup = await TidemarkSetup.make({
      env,
      include: [`default.${PREFIX}*`],
      sinks: { vault: vaultSink(vault) },
    });
    await fill(source, () => setup.once());
    await work(servers);
  });
}

async function assertRestored({ source, target }: Servers, db: string): Promise<void> {
  assert.deepEqual(await target.call("list_collections", { db }), [A, LATE]);
  for (const name of [A, LATE]) await assertSame({ server: source, name }, { server: target, db, name });
}

Deno.test("backup restore killed at a phase and begun again by the same command ends exact", async (t) => {
  await using vault = await folderVault();
  await withBackup(vault, async (servers) => {
    const { env } = servers;
    const results = POINTS.map(async (point) => {
      const db = `${PREFIX}${point.replace(":", "_")}`;
      const backup = { name: "b", storage: vault.storage };
      const transforms = { route: [{ from: "default.*", to: `${db}.*` }] };
      await using restore = await RestoreSetup.make({ env, backup, transforms });
      const killed = await restore.start([], { TIDEMARK_CRASH_AT: point }).ends();
      assert.match(killed.stderr, /killed at/, `it ended with ${killed.code}, not at ${point}:\n${killed.stderr}`);
      const { stderr } = await restore.restore();
      assert.match(
        stderr,
        point.startsWith("inside_reconcile") ? /Restores b|Goes on/ : /Goes on with the restore of b/,
      );
      await assertRestored(servers, db);
    }).map((result) => result.then(() => undefined, (error: unknown) => ({ error })));
    for (const [i, point] of POINTS.entries()) {
      await t.step(point, async () => {
        const failed = await results[i];
        if (failed !== undefined) throw failed.error;
      });
    }
  });
});

Deno.test("backup restore waits for an S3 server that goes away in the middle, and ends exact", async () => {
  await using vault = s3Vault(stackEnv());
  await withBackup(vault, async (servers) => {
    const { env } = servers;
    // Away while the files are read, and while the archive is.
    await Promise.all([30_000, 90_000].map(async (afterBytes) => {
      await using proxy = BreakingProxy.start({ to: new URL(env.S3_ENDPOINT!).host, afterBytes, awayMs: 4000 });
      const db = `${PREFIX}away_${afterBytes}`;
      const storage = { ...vault.storage, endpoint: `http://${proxy.address}` };
      const transforms = { route: [{ from: "default.*", to: `${db}.*` }] };
      await using restore = await RestoreSetup.make({ env, backup: { name: "b", storage }, transforms });
      const { stderr } = await restore.restore();
      assert.ok(
        (proxy.connectionsSinceReturn ?? 0) > 0,
        `it was not away while ${afterBytes} bytes were read: ${stderr}`,
      );
      await assertRestored(servers, db);
    }));
  });
});
