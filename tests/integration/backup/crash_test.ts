/** The process is killed at each named phase of a backup; the next run ends with one that is whole and exact. */
import assert from "node:assert/strict";
import type { PyMilvus } from "../../stack/pymilvus.ts";
import { eventually } from "../pipeline/comparison.ts";
import { small, withServers } from "../pipeline/servers.ts";
import { TidemarkSetup } from "../pipeline/tidemark_process.ts";
import { assertGood, assertRestores, backupNames, folderVault, listComplete, vaultSink } from "./backup_pipeline.ts";

const PREFIX = "bkp_crash_";

async function fill(source: PyMilvus, name: string): Promise<void> {
  await source.call("create_collection", small(name, { shards: 2, partitions: ["p1"] }));
  await source.call("insert_generated", { name, start: 0, count: 600, seed: 1 });
  await source.call("insert_generated", { name, start: 600, count: 300, seed: 1, partition: "p1" });
  await source.call("flush", { name });
  await source.call("delete", { name, start: 50, count: 60 });
  await source.call("insert_generated", { name, start: 200, count: 40, seed: 2, upsert: true });
}

const POINTS = [
  "backup_segment:2",
  "archive_roll:1",
  "archive_rolled:1",
  "archive_roll:3",
  "backup_meta:1",
  "backup_manifest:1",
  "backup_complete:1",
];

for (const point of POINTS) {
  Deno.test(`run --once killed at ${point} and started again ends with a whole backup`, async () => {
    await withServers(PREFIX, async ({ env, source, target }) => {
      const name = `${PREFIX}a`;
      await fill(source, name);
      await using vault = await folderVault();
      await using setup = await TidemarkSetup.make({
        env,
        include: [`default.${name}`],
        sinks: { vault: vaultSink(vault) },
      });
      const { code, stderr } = await setup.start(["run", "--once"], { TIDEMARK_CRASH_AT: point }).exit;
      assert.match(stderr, /killed at/, `it ended with ${code}:\n${stderr}`);
      await source.call("insert_generated", { name, start: 900, count: 50, seed: 3 });
      await source.call("delete", { name, start: 300, count: 30 });
      await setup.once();
      await assertGood(setup, vault, "b");
      await assertRestores({ env, vault, backup: "b", source, target, names: [name] });
    });
  });
}

for (const point of ["rebase_adopted:1", "backup_segment:4", "backup_manifest:2", "backup_complete:2"]) {
  Deno.test(`run killed at ${point} of a new base keeps the old one and finishes the new one`, async () => {
    await withServers(PREFIX, async ({ env, source, target }) => {
      const name = `${PREFIX}a`;
      await fill(source, name);
      await using vault = await folderVault();
      await using setup = await TidemarkSetup.make({
        env,
        include: [`default.${name}`],
        sinks: { vault: vaultSink(vault, { name: "b_{date}_{time}", rebase_after: { age: "5s" } }) },
      });
      const run = setup.start(["run"], { TIDEMARK_CRASH_AT: point });
      await eventually("the first base is there", 60, async () => (await listComplete(vault)).length > 0);
      await source.call("insert_generated", { name, start: 900, count: 50, seed: 3 });
      await source.call("delete", { name, start: 300, count: 30 });
      const timer = setTimeout(() => run.kill(), 60_000);
      const { code, stderr } = await run.exit;
      clearTimeout(timer);
      assert.match(stderr, /killed at/, `it ended with ${code}:\n${stderr}`);
      const begun = await backupNames(vault);
      await source.call("insert_generated", { name, start: 1000, count: 20, seed: 4 });
      await setup.once();
      const names = await listComplete(vault);
      assert.ok(begun.every((item) => names.includes(item)), `${begun} were begun, ${names} are complete`);
      for (const item of names) await assertGood(setup, vault, item);
      await assertRestores({ env, vault, backup: names.at(-1)!, source, target, names: [name] });
    });
  });
}

Deno.test("backup prune killed at prune_begun leaves a half-written backup, which is shown and kept while it is young", async () => {
  await withServers(PREFIX, async ({ env, source }) => {
    const name = `${PREFIX}a`;
    await fill(source, name);
    await using vault = await folderVault();
    for (const backup of ["one", "two"]) {
      await using setup = await TidemarkSetup.make({
        env,
        include: [`default.${name}`],
        sinks: { vault: vaultSink(vault, { name: backup }) },
      });
      await setup.once();
    }
    await using setup = await TidemarkSetup.make({ env, include: ["*.*"], sinks: { vault: vaultSink(vault) } });
    const prune = (crash: string) =>
      setup.start(["backup", "prune", ...vault.place, "--keep-last", "1", "--partial"], { TIDEMARK_CRASH_AT: crash })
        .exit;
    assert.match((await prune("prune_begun")).stderr, /killed at/);
    assert.deepEqual(await listComplete(vault), ["two"]);
    assert.deepEqual(await backupNames(vault), ["one", "two"]);
    // What is left of it is younger than a day: nobody can know that no run is behind it.
    assert.equal((await prune("")).code, 0);
    assert.deepEqual(await backupNames(vault), ["one", "two"]);
    await assertGood(setup, vault, "two");
  });
});
