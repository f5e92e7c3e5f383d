/** Backups restored by the target's own bulk import: the same rows as by rows, and as on the source. */
import assert from "node:assert/strict";
import { assertSame } from "../pipeline/comparison.ts";
import { FLAT_INDEX, withServers } from "../pipeline/servers.ts";
import { TidemarkSetup } from "../pipeline/tidemark_process.ts";
import { folderVault, s3Vault, untilBased, untilRestorable, type Vault, vaultSink } from "./backup_pipeline.ts";
import { setting } from "../long.ts";
import { fill, more, moveCuts } from "./import_content.ts";
import { assertImported, assertSameBothWays, importedRows, leftOver, restoreByImport } from "./import_setup.ts";
import { settled } from "./restore_setup.ts";

const PREFIX = "rim_";
const SAMPLES = new URL("../../samples", import.meta.url).pathname;

Deno.test("backup restore by import brings milvus-backup's own sample back as by rows", async () => {
  await withServers(PREFIX, async ({ env, target }) => {
    const backup = { name: "milvus-backup-0.5.16", storage: { type: "file", path: SAMPLES } };
    const report = await assertSameBothWays({ env, backup, target }, PREFIX, ["peer_sample"]);
    assert.equal(importedRows(report), 1094, report.stderr);
  });
});

/** Earlier cuts that the base is restored at besides its own. */
const CUTS = Number(setting("TIDEMARK_IMPORT_CUTS", "1", "3"));

Deno.test("backup restore by import of a run's backups, wherever they lie: base, moment, end, and earlier cuts", async (t) => {
  await withServers(PREFIX, async ({ env, source, target }) => {
    const [name, twins] = [`${PREFIX}a`, `${PREFIX}twins`];
    const moments = await fill(source, name, false);
    const ofTwins = await fill(source, twins, true);
    await using inPlace = s3Vault(env, env.TARGET_BUCKET!);
    await using elsewhere = s3Vault(env);
    await using folder = await folderVault();
    const places: [key: string, place: string, vault: Vault][] = [
      ["own", "the target's own bucket, in place", inPlace],
      ["other", "another bucket, copied by the server", elsewhere],
      ["sent", "a folder, sent over", folder],
    ];
    await using setup = await TidemarkSetup.make({
      env,
      include: [`default.${PREFIX}*`],
      sinks: Object.fromEntries(places.map(([key, , vault]) => [key, vaultSink(vault)])),
    });
    await settled(source, [name, twins]);
    const running = setup.start(["run"]);
    const vaults = places.map(([, , vault]) => vault);
    await untilBased(running, vaults, "b");
    const then = await source.call("digest", { name });
    const before = String(await source.call("alloc_timestamp"));
    await more(source, name);
    const written = BigInt(await source.call("alloc_timestamp") as bigint);
    for (const vault of vaults) await untilRestorable(running, vault, "b", written);
    await running.stop();

    const results = await Promise.allSettled(places.map(async ([key, , vault]) => {
      const at = { env, backup: { name: "b", storage: vault.storage }, target, together: true };
      const report = await assertSameBothWays({ ...at, args: ["--base-only"] }, `${PREFIX}${key}_base`, [name, twins]);
      assert.ok(importedRows(report) > 2 * 1500, report.stderr);
      const db = `${PREFIX}${key}_then`;
      const end = `${PREFIX}${key}_end`;
      await Promise.all([
        restoreByImport({ ...at, db, args: ["--until", before] }),
        restoreByImport({ ...at, db: end }),
      ]);
      await target.call("load_collection", { name, db });
      assert.deepEqual(await target.call("digest", { name, db }), then);
      await assertSame({ server: source, name }, { server: target, db: end, name });

      for (const [i, ts] of moments.slice(0, CUTS).entries()) {
        await moveCuts(vault, "b", [ts, ofTwins[i]!]);
        const prefix = `${PREFIX}${key}_cut${i}`;
        const report = await assertSameBothWays({ ...at, args: ["--base-only"] }, prefix, [name, twins]);
        assertImported(report, [name, twins]);
      }
    }));
    for (const [i, result] of results.entries()) {
      await t.step(places[i]![1], () => {
        if (result.status === "rejected") throw result.reason;
      });
    }
    assert.deepEqual(await leftOver(env, target), []);
  });
});

const SCALARS = ["Bool", "Int8", "Int16", "Int32", "Int64", "Float", "Double"];

/** Every type that 2.3.5 stores, keys of text, of the server's making, and partitions by a key. */
const KINDS: Record<string, Record<string, unknown>> = {
  text: {
    fields: [
      { name: "id", type: "VarChar", max_length: 64, primary: true },
      ...SCALARS.map((type) => ({ name: type.toLowerCase(), type })),
      { name: "text", type: "VarChar", max_length: 200 },
      { name: "doc", type: "JSON" },
      ...[...SCALARS, "VarChar"].map((element_type) => ({
        name: `list_${element_type.toLowerCase()}`,
        type: "Array",
        element_type,
        max_capacity: 8,
        ...(element_type === "VarChar" ? { max_length: 64 } : {}),
      })),
      { name: "vec", type: "FloatVector", dim: 8 },
    ],
    dynamic: true,
    shards: 3,
    partitions: ["p1"],
  },
  binary: {
    fields: [{ name: "id", type: "Int64", primary: true }, { name: "vec", type: "BinaryVector", dim: 64 }],
    indexes: [{ field: "vec", name: "vec", params: { index_type: "BIN_FLAT", metric_type: "HAMMING" } }],
  },
  keyed: {
    fields: [
      { name: "id", type: "Int64", primary: true },
      { name: "tenant", type: "Int64", partition_key: true },
      { name: "vec", type: "FloatVector", dim: 4 },
    ],
    num_partitions: 7,
    shards: 2,
    dynamic: true,
  },
  auto: {
    fields: [
      { name: "id", type: "Int64", primary: true, auto_id: true },
      { name: "doc", type: "JSON" },
      { name: "vec", type: "FloatVector", dim: 4 },
    ],
    shards: 2,
  },
};

Deno.test("backup restore by import keeps every type, text keys, autoID keys, partition keys and the dynamic field", async () => {
  await withServers(PREFIX, async ({ env, source, target }) => {
    const names = Object.keys(KINDS).map((kind) => PREFIX + kind);
    for (const [kind, spec] of Object.entries(KINDS)) {
      const name = PREFIX + kind;
      await source.call("create_collection", { name, indexes: FLAT_INDEX, load: true, ...spec });
      const { ids } = await source.call("insert_generated", { name, start: 0, count: 800, seed: 1 }) as {
        ids: bigint[];
      };
      await source.call("flush", { name });
      if (kind === "auto") await source.call("delete", { name, pks: ids.slice(100, 200) });
      else {
        await source.call("insert_generated", { name, start: 300, count: 100, seed: 2, upsert: true });
        await source.call("delete", { name, start: 100, count: 100 });
      }
      await source.call("flush", { name });
    }
    await using vault = s3Vault(env, env.TARGET_BUCKET!);
    await using setup = await TidemarkSetup.make({
      env,
      include: [`default.${PREFIX}*`],
      sinks: { vault: vaultSink(vault) },
    });
    await settled(source, names);
    await setup.once();
    const backup = { name: "b", storage: vault.storage };
    const report = await restoreByImport({ env, backup, target, db: `${PREFIX}kinds` });
    assert.ok(importedRows(report) >= 3 * 700 - 400, report.stderr);
    // The source's own upserts put rows where no query by their partition key looks: those go where they belong.
    const byRows = report.stderr.split("\n").filter((line) => line.includes("written by rows"));
    const expected = /rim_keyed: .* it has rows in partitions where a query by their partition key does not look$/;
    assert.deepEqual(byRows.filter((line) => !expected.test(line)), []);
    for (const name of names) {
      await assertSame({ server: source, name }, { server: target, db: `${PREFIX}kinds`, name });
    }
  });
});
