/** Restores by the bulk import of targets whose own storage is no S3: a folder, Azure, Google. */
import assert from "node:assert/strict";
import { PyMilvus, startStack } from "../../stack/mod.ts";
import { assertSame } from "../pipeline/comparison.ts";
import { withServers } from "../pipeline/servers.ts";
import { TidemarkSetup } from "../pipeline/tidemark_process.ts";
import { folderVault, s3Vault, untilBased, untilRestorable, type Vault, vaultSink } from "./backup_pipeline.ts";
import { CLOUD_FILES, cloudTarget } from "./cloud_target.ts";
import { fill, more, moveCuts } from "./import_content.ts";
import { assertImported, assertSameBothWays, importedRows, leftOver, restoreByImport } from "./import_setup.ts";
import { RestoreSetup, settled } from "./restore_setup.ts";

const PREFIX = "ifo_";

Deno.test("backup restore by import into a target whose storage is a folder, from wherever the backup lies", async (t) => {
  await withServers(PREFIX, async ({ env: common, source }) => {
    const [name, twins] = [`${PREFIX}a`, `${PREFIX}twins`];
    // The source of the common servers; a target of its own.
    await using servers = new AsyncDisposableStack();
    const [stack, [moments, ofTwins]] = await Promise.all([
      startStack("demo", { name: `import-folder-${Deno.pid}`, without: ["kafka", "source"] })
        .then((stack) => servers.use(stack)),
      (async () => [await fill(source, name, false), await fill(source, twins, true)] as const)(),
    ]);
    await using target = await PyMilvus.start(stack.env.TARGET_URI!, { python: stack.env.PYTHON! });
    const env = { ...common, TARGET_URI: stack.env.TARGET_URI!, TARGET_FILES: stack.env.TARGET_FILES! };
    // The target makes its folder with the first file.
    await Deno.mkdir(env.TARGET_FILES, { recursive: true });
    await using inPlace = await folderVault(env.TARGET_FILES);
    await using elsewhere = await folderVault();
    await using bucket = s3Vault(env);
    const vaults = { own: inPlace, other: elsewhere, sent: bucket };
    await using setup = await TidemarkSetup.make({
      env,
      include: [`default.${PREFIX}*`],
      sinks: Object.fromEntries(Object.entries(vaults).map(([key, vault]) => [key, vaultSink(vault)])),
    });
    await settled(source, [name, twins]);
    const running = setup.start(["run"]);
    await untilBased(running, Object.values(vaults), "b");
    const then = await source.call("digest", { name });
    const before = String(await source.call("alloc_timestamp"));
    await more(source, name);
    const written = BigInt(await source.call("alloc_timestamp") as bigint);
    for (const vault of Object.values(vaults)) await untilRestorable(running, vault, "b", written);
    await running.stop();

    const at = (vault: Vault) => ({ env, backup: { name: "b", storage: vault.storage }, target, together: true });
    const restore = async (vault: Vault, db: string, args: readonly string[]) => {
      const report = await restoreByImport({ ...at(vault), db, include: [name], args });
      assert.ok(importedRows(report) >= 1500, report.stderr);
    };
    const cases: [name: string, work: () => Promise<void>][] = [
      ["a moment, from the target's own folder, in place", async () => {
        const db = `${PREFIX}then`;
        await restore(inPlace, db, ["--until", before]);
        await target.call("load_collection", { name, db });
        assert.deepEqual(await target.call("digest", { name, db }), then);
      }],
      ["all of it, from a bucket, fetched", async () => {
        const db = `${PREFIX}sent`;
        await restore(bucket, db, []);
        await assertSame({ server: source, name }, { server: target, db, name });
      }],
      ["all of it, and a cut in the middle of the segments, from another folder, copied", async () => {
        const db = `${PREFIX}other`;
        await restore(elsewhere, db, []);
        await assertSame({ server: source, name }, { server: target, db, name });
        await moveCuts(elsewhere, "b", [moments[0]!, ofTwins[0]!]);
        const options = { ...at(elsewhere), args: ["--base-only"] };
        const report = await assertSameBothWays(options, `${PREFIX}cut_`, [name, twins]);
        assertImported(report, [name, twins]);
      }],
      ["a folder that the target does not see: refused with its name, or by rows", async () => {
        // Everybody's own.
        const storage = { type: "file", path: "/proc/self/cwd/nowhere" };
        const unseen = (db: string, sink: Record<string, unknown>) =>
          RestoreSetup.make({
            env,
            backup: { name: "b", storage: bucket.storage },
            transforms: {
              select: { include: [`default.${name}`] },
              route: [{ from: "default.*", to: `${db}.*` }],
            },
            sink: { storage, ...sink },
          });
        await using refused = await unseen(`${PREFIX}refused`, { restore_by: "import" });
        const { stderr } = await refused.restore([], 3);
        assert.match(
          stderr,
          /took 0 rows .* expected \d+\. It found no files there: .* it is file:\/\/\/proc\/self\/cwd/,
        );
        const db = `${PREFIX}fallback`;
        await using auto = await unseen(db, { restore_by: "auto", import_from: "1KiB" });
        assert.match((await auto.restore()).stderr, /is begun anew, by rows/);
        await target.call("load_collection", { name, db });
        await assertSame({ server: source, name }, { server: target, db, name });
      }],
    ];
    const results = await Promise.allSettled(cases.map(([, work]) => work()));
    for (const [i, result] of results.entries()) {
      await t.step(cases[i]![0], () => {
        if (result.status === "rejected") throw result.reason;
      });
    }
    assert.deepEqual(await leftOver(env, target), []);
  });
});

const SAMPLES = new URL("../../samples", import.meta.url).pathname;

for (const [kind, files] of Object.entries(CLOUD_FILES)) {
  Deno.test(`backup restore by import into a target whose storage is of type ${kind}`, async () => {
    await using target = await cloudTarget(kind, files);
    const backup = { name: "milvus-backup-0.5.16", storage: { type: "file", path: SAMPLES } };
    const at = { env: target.env, backup, target: target.server, together: true };
    const report = await assertSameBothWays({ ...at, sink: { storage: target.files.storage } }, PREFIX, [
      "peer_sample",
    ]);
    assert.equal(importedRows(report), 1094, report.stderr);
    const keys = await target.files.keys();
    assert.ok(keys.some((key) => key.startsWith("insert_log/")), "the target keeps its files elsewhere");
    assert.deepEqual(keys.filter((key) => key.startsWith("tidemark_import/")), []);
  });
}
