/** Backups that a run wrote, restored under another name: to their end, their base alone, without a log. */
import assert from "node:assert/strict";
import { stackEnv } from "../../stack/env.ts";
import type { PyMilvus } from "../../stack/pymilvus.ts";
import { assertSame } from "../pipeline/comparison.ts";
import { small, withServers } from "../pipeline/servers.ts";
import { TidemarkSetup } from "../pipeline/tidemark_process.ts";
import { folderVault, s3Vault, untilBased, untilRestorable, type Vault, vaultSink } from "./backup_pipeline.ts";
import { RestoreSetup, settled } from "./restore_setup.ts";
import { untilNoted } from "./until_noted.ts";

const PREFIX = "rst_";

/** Rows in files and in the log, deletes and upserts in both, partitions, an alias, properties, two databases. */
async function fill(source: PyMilvus): Promise<void> {
  const name = `${PREFIX}a`;
  const properties = { "collection.ttl.seconds": "86400" };
  await source.call("create_collection", small(name, { shards: 2, partitions: ["p1"], properties }));
  await source.call("create_alias", { name, alias: `${PREFIX}alias` });
  await source.call("insert_generated", { name, start: 0, count: 1500, seed: 1 });
  await source.call("insert_generated", { name, start: 1500, count: 500, seed: 1, partition: "p1" });
  await source.call("flush", { name });
  await source.call("delete", { name, start: 100, count: 200 });
  await source.call("insert_generated", { name, start: 400, count: 100, seed: 2, upsert: true });
}

async function more(source: PyMilvus): Promise<void> {
  const name = `${PREFIX}a`;
  await source.call("insert_generated", { name, start: 2000, count: 300, seed: 1 });
  await source.call("delete", { name, start: 600, count: 50 });
  await source.call("drop_alias", { alias: `${PREFIX}alias` });
  await source.call("create_alias", { name, alias: `${PREFIX}new_alias` });
}

for (
  const [place, vaultOf] of [
    ["a folder", () => folderVault()],
    ["S3", () => Promise.resolve(s3Vault(stackEnv()))],
  ] as [string, () => Promise<Vault>][]
) {
  Deno.test(`backup restore brings a run's backup in ${place} back: its base, its end, and a moment between`, async () => {
    await withServers(PREFIX, async ({ env, source, target }) => {
      const name = `${PREFIX}a`;
      await fill(source);
      await using vault = await vaultOf();
      await using setup = await TidemarkSetup.make({
        env,
        include: [`default.${PREFIX}*`],
        sinks: { vault: vaultSink(vault) },
      });
      await settled(source, [name]);
      const running = setup.start(["run"]);
      await untilBased(running, [vault], "b");
      const backup = { name: "b", storage: vault.storage };
      const to = async (db: string, args: readonly string[]) => {
        await using restore = await RestoreSetup.make({
          env,
          backup,
          transforms: { route: [{ from: "default.*", to: `${db}.*` }] },
        });
        await restore.restore(args);
        await assertSame({ server: source, name }, { server: target, db, name });
      };
      await to(`${PREFIX}base`, ["--base-only"]);
      const before = BigInt(await source.call("alloc_timestamp") as bigint);
      const then = await source.call("digest", { name });
      await more(source);
      await untilNoted(running, vault, source, [name]);
      await untilRestorable(running, vault, "b", BigInt(await source.call("alloc_timestamp") as bigint));
      await running.stop();
      await to(`${PREFIX}end`, []);
      await using moment = await RestoreSetup.make({
        env,
        backup,
        transforms: { route: [{ from: `default.${name}`, to: `${PREFIX}then.renamed` }] },
      });
      await moment.restore(["--until", String(before)]);
      const at = { name: "renamed", db: `${PREFIX}then` };
      await target.call("load_collection", at);
      assert.deepEqual(await target.call("digest", at), then);
      const { aliases } = await target.call("describe_collection", at) as { aliases: string[] };
      assert.deepEqual(aliases, [`${PREFIX}alias`]);
    });
  });
}

Deno.test("backup restore of a backup without a log brings its base, and says so where a moment is asked for", async () => {
  await withServers(PREFIX, async ({ env, source, target }) => {
    const name = `${PREFIX}a`;
    await fill(source);
    await using vault = await folderVault();
    await using setup = await TidemarkSetup.make({
      env,
      include: [`default.${PREFIX}*`],
      sinks: { vault: vaultSink(vault, { log_archive: false }) },
    });
    await settled(source, [name]);
    await setup.once();
    await using restore = await RestoreSetup.make({
      env,
      backup: { name: "b", storage: vault.storage },
      transforms: { route: [{ from: "default.*", to: `${PREFIX}nolog.*` }] },
    });
    const { stderr } = await restore.restore(["--until", "1m ago"], 2);
    assert.match(stderr, /no usable log archive/);
    await restore.restore();
    await assertSame({ server: source, name }, { server: target, db: `${PREFIX}nolog`, name });
  });
});
