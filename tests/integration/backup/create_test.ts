/** Backups of a real Milvus, made as users make them; each is verified, its archive checked and every row restored. */
import assert from "node:assert/strict";
import { parseJson } from "../../../pipeline/json.ts";
import type { PyMilvus } from "../../stack/pymilvus.ts";
import { stackEnv } from "../../stack/env.ts";
import { assertSame } from "../pipeline/comparison.ts";
import { small, withServers } from "../pipeline/servers.ts";
import { TidemarkSetup } from "../pipeline/tidemark_process.ts";
import {
  assertGood,
  assertRestores,
  backupNames,
  copiedFiles,
  folderVault,
  listComplete,
  manifestOf,
  s3Vault,
  sourceBucket,
  type Vault,
  vaultSink,
} from "./backup_pipeline.ts";

const PREFIX = "bkp_create_";

/** Flushed and unflushed rows, deletes and upserts in both, two shards, a second partition. */
async function fill(source: PyMilvus, name: string): Promise<void> {
  await source.call("create_collection", small(name, { shards: 2, partitions: ["p1"] }));
  await source.call("insert_generated", { name, start: 0, count: 1500, seed: 1 });
  await source.call("insert_generated", { name, start: 1500, count: 500, seed: 1, partition: "p1" });
  await source.call("flush", { name });
  await source.call("delete", { name, start: 100, count: 200 });
  await source.call("insert_generated", { name, start: 400, count: 100, seed: 2, upsert: true });
  await source.call("flush", { name });
  await source.call("insert_generated", { name, start: 2000, count: 300, seed: 1 });
  await source.call("delete", { name, start: 600, count: 50 });
}

async function change(source: PyMilvus, name: string): Promise<void> {
  await source.call("insert_generated", { name, start: 3000, count: 200, seed: 3 });
  await source.call("delete", { name, start: 700, count: 100 });
  await source.call("insert_generated", { name, start: 2100, count: 50, seed: 4, upsert: true });
}

for (
  const [place, vaultOf] of [
    ["a folder", () => folderVault()],
    ["the source's own bucket", () => Promise.resolve(s3Vault(stackEnv()))],
  ] as [string, () => Promise<Vault>][]
) {
  Deno.test(`run --once makes a backup in ${place}, consistent to its start, and goes on with its log`, async () => {
    await withServers(PREFIX, async ({ env, source, target }) => {
      const [a, b] = [`${PREFIX}a`, `${PREFIX}b`];
      await fill(source, a);
      await source.call("create_collection", small(b));
      await source.call("insert_generated", { name: b, start: 0, count: 100, seed: 1 });
      await source.call("create_collection", small(`${PREFIX}left_out`));
      await source.call("insert_generated", { name: `${PREFIX}left_out`, start: 0, count: 10, seed: 1 });
      await using vault = await vaultOf();
      await using setup = await TidemarkSetup.make({
        env,
        include: [`default.${a}`, `default.${b}`],
        sinks: { vault: vaultSink(vault) },
      });
      const first = await setup.once();
      assert.ok(copiedFiles(first).copied > 0);
      await assertGood(setup, vault, "b");
      const manifest = await manifestOf(vault, "b");
      assert.deepEqual(manifest.collections.map(({ name }) => name).sort(), [`default.${a}`, `default.${b}`]);
      await assertRestores({ env, vault, backup: "b", source, target, names: [a, b] });

      await change(source, a);
      const second = await setup.once();
      assert.doesNotMatch(second.stderr, /files? copied/, "the base is complete: only the log goes on");
      await assertGood(setup, vault, "b");
      await assertRestores({ env, vault, backup: "b", source, target, names: [a, b] });
    });
  });
}

Deno.test("run --once with a backup beside a Milvus sink: both are exact, each goes on from its own position", async () => {
  await withServers(PREFIX, async ({ env, source, target }) => {
    const name = `${PREFIX}both`;
    await fill(source, name);
    await using vault = await folderVault();
    await using setup = await TidemarkSetup.make({
      env,
      include: [`default.${name}`],
      sinks: { replica: { type: "milvus", address: env.TARGET_URI }, vault: vaultSink(vault) },
    });
    await setup.once();
    await assertSame({ server: source, name }, { server: target, name });
    await assertGood(setup, vault, "b");
    await change(source, name);
    await setup.once();
    await assertSame({ server: source, name }, { server: target, name });
    await assertGood(setup, vault, "b");
    await assertRestores({ env, vault, backup: "b", source, target, names: [name] });
  });
});

Deno.test("run killed in the middle of a base goes on without copying twice, and the archive has no hole", async () => {
  await withServers(PREFIX, async ({ env, source, target }) => {
    const name = `${PREFIX}kill`;
    await source.call("create_collection", small(name, { shards: 2, partitions: ["p1", "p2", "p3"] }));
    for (const [i, partition] of ["p1", "p2", "p3"].entries()) {
      await source.call("insert_generated", { name, start: i * 1000, count: 1000, seed: 1, partition });
    }
    await source.call("flush", { name });
    await using vault = await folderVault();
    await using setup = await TidemarkSetup.make({
      env,
      include: [`default.${name}`],
      sinks: { vault: vaultSink(vault, { parallel: 1 }) },
    });
    const killed = await setup.start(["run", "--once"], { TIDEMARK_CRASH_AT: "between_segments:3" }).ends();
    assert.match(killed.stderr, /killed at between_segments/);
    await source.call("insert_generated", { name, start: 5000, count: 100, seed: 2, partition: "p1" });
    const { copied, present } = copiedFiles(await setup.once());
    assert.ok(present >= 3 * 4, `${present} files were there from before`);
    const manifest = await manifestOf(vault, "b");
    const files = manifest.objects.filter(({ path }) => path.startsWith("binlogs/")).length;
    assert.equal(copied + present, files);
    await assertGood(setup, vault, "b");
    await assertRestores({ env, vault, backup: "b", source, target, names: [name] });
  });
});

Deno.test("run follows with a backup: collections made, renamed and dropped while it runs, new bases in the same run", async () => {
  await withServers(PREFIX, async ({ env, source, target }) => {
    const [a, b, c] = ["fa", "fb", "fc"].map((part) => `${PREFIX}${part}`) as [string, string, string];
    await fill(source, a);
    await source.call("create_collection", small(b));
    await source.call("insert_generated", { name: b, start: 0, count: 60, seed: 1 });
    await using vault = await folderVault();
    await using setup = await TidemarkSetup.make({
      env,
      include: [`default.${PREFIX}*`],
      sinks: { vault: vaultSink(vault, { name: "b_{date}_{time}", rebase_after: { age: "8s" } }) },
    });
    const run = setup.start(["run"]);
    await run.until("the first base is there", async () => (await backupNames(vault)).length > 0);
    await source.call("create_collection", small(c, { shards: 2 }));
    await source.call("insert_generated", { name: c, start: 0, count: 40, seed: 1 });
    await change(source, a);
    await source.call("rename_collection", { name: c, new_name: `${PREFIX}renamed` });
    await source.call("drop_collection", { name: b });
    let rows = 40;
    await run.until("three bases are there", async () => {
      await source.call("insert_generated", { name: `${PREFIX}renamed`, start: rows, count: 5, seed: 1 });
      rows += 5;
      return (await listComplete(vault)).length >= 3;
    });
    const { code, stderr } = await run.stop();
    assert.equal(code, 143, stderr);
    await setup.once();
    const names = await listComplete(vault);
    for (const name of names) await assertGood(setup, vault, name);
    const last = names.at(-1)!;
    const manifest = await manifestOf(vault, last);
    assert.deepEqual(manifest.collections.map(({ name }) => name).sort(), [`default.${a}`, `default.${PREFIX}renamed`]);
    assert.ok(manifest.sharedBytes > 0n, "unchanged files are shared with the base before");
    await assertRestores({ env, vault, backup: last, source, target, names: [a, `${PREFIX}renamed`] });
  });
});

Deno.test("run names a collection that cannot be copied, ends with 3, and the others are in the backup", async () => {
  await withServers(PREFIX, async ({ env, source, target }) => {
    const [good, bad] = [`${PREFIX}good`, `${PREFIX}bad`];
    for (const name of [good, bad]) {
      await source.call("create_collection", small(name));
      await source.call("insert_generated", { name, start: 0, count: 500, seed: 1 });
      await source.call("flush", { name });
    }
    await using vault = await folderVault();
    await using setup = await TidemarkSetup.make({
      env,
      include: [`default.${good}`, `default.${bad}`],
      sinks: { vault: vaultSink(vault) },
    });
    const plan = await setup.command(["plan", "--json", "--config", setup.config]);
    const { collections } = parseJson(plan.stdout) as unknown as { collections: { id: bigint; source: string }[] };
    const { id } = collections.find((item) => item.source === `default.${bad}`)!;
    await using bucket = sourceBucket(env);
    const files = await Array.fromAsync(bucket.store.list(`files/insert_log/${id}/`));
    await bucket.store.delete([files[0]!.key]);
    const { stderr } = await setup.once(3);
    assert.match(stderr, new RegExp(`default.${bad} is blocked`));
    await assertGood(setup, vault, "b");
    const manifest = await manifestOf(vault, "b");
    assert.deepEqual(manifest.failed.map(({ name }) => name), [`default.${bad}`]);
    assert.deepEqual(manifest.collections.map(({ name }) => name), [`default.${good}`]);
    await assertRestores({ env, vault, backup: "b", source, target, names: [good] });
    // It is named again as long as it is missing.
    assert.match((await setup.once(3)).stderr, new RegExp(`default.${bad} is blocked`));
  });
});
