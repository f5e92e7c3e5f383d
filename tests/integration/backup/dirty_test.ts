/** Files in the source's bucket that no metadata names: the backup is right, and the plan and the run name each. */
import assert from "node:assert/strict";
import { parseJson } from "../../../pipeline/json.ts";
import { small, withServers } from "../pipeline/servers.ts";
import { TidemarkSetup } from "../pipeline/tidemark_process.ts";
import { assertGood, assertRestores, folderVault, manifestOf, sourceBucket, vaultSink } from "./backup_pipeline.ts";

const PREFIX = "bkp_dirty_";

Deno.test("run leaves out insert files that nobody names, keeps the deletes of unnamed delta files, and names each", async () => {
  await withServers(PREFIX, async ({ env, source, target }) => {
    const name = `${PREFIX}a`;
    await source.call("create_collection", small(name));
    await source.call("insert_generated", { name, start: 0, count: 800, seed: 1 });
    await source.call("flush", { name });
    await source.call("delete", { name, start: 10, count: 30 });
    await source.call("flush", { name });
    await using vault = await folderVault();
    await using setup = await TidemarkSetup.make({
      env,
      include: [`default.${name}`],
      sinks: { vault: vaultSink(vault) },
    });
    const plan = async () => {
      const { code, stdout, stderr } = await setup.command(["plan", "--json", "--config", setup.config]);
      assert.equal(code, 0, stderr);
      const { collections } = parseJson(stdout) as unknown as {
        collections: { id: bigint; findings: { kind: string; path: string }[] }[];
      };
      return collections[0]!;
    };
    const { id, findings } = await plan();
    assert.deepEqual(findings.filter(({ kind }) => kind === "dirty_insert"), []);
    const known = new Set(findings.map(({ path }) => path));

    await using bucket = sourceBucket(env);
    const { store } = bucket;
    const planted = new Map<string, string>();
    const plant = async (from: string, to: string, kind: string, bytes?: Uint8Array) => {
      await store.put(to, bytes ?? await store.get(from), {});
      planted.set(to.slice("files/".length), kind);
    };
    const inserts = (await Array.fromAsync(store.list(`files/insert_log/${id}/`))).map(({ key }) => key);
    const [binlog] = inserts as [string];
    const parts = binlog.split("/");
    const segment = parts.at(-3)!;
    const at = (segmentId: string, logId: string, key = binlog) => {
      const path = key.split("/");
      path[path.length - 3] = segmentId;
      path[path.length - 1] = logId;
      return path.join("/");
    };
    // A copy under a new id in a live segment, an orphan segment with all its fields, half an upload.
    await plant(binlog, at(segment, "999000000000000001"), "dirty_insert");
    for (const [i, key] of inserts.filter((key) => key.includes(`/${segment}/`)).entries()) {
      await plant(key, at("888000000000000001", `99900000000000010${i}`, key), "dirty_insert");
    }
    const whole = await store.get(binlog);
    await plant(
      binlog,
      at(segment, "999000000000000002"),
      "dirty_insert",
      whole.subarray(0, Math.floor(whole.length / 2)),
    );
    // A delta file that nobody names, as compaction leaves them behind.
    const [delta] = (await Array.fromAsync(store.list(`files/delta_log/${id}/`))).map(({ key }) => key) as [string];
    const unnamed = [...delta.split("/").slice(0, -1), "999000000000000003"].join("/");
    await plant(delta, unnamed, "unnamed_delta");
    try {
      const after = await plan();
      const said = after.findings.filter(({ path }) => !known.has(path));
      assert.deepEqual(new Map(said.map(({ path, kind }) => [path, kind])), planted);
      const { stderr } = await setup.once();
      for (const path of planted.keys()) assert.ok(stderr.includes(path), `${path} is not named:\n${stderr}`);
      const manifest = await manifestOf(vault, "b");
      for (const [path, kind] of planted) {
        assert.ok(manifest.findings.some((item) => item.path === path && item.kind === kind), path);
        const logId = path.split("/").at(-1)!;
        assert.ok(!manifest.objects.some((object) => object.path.endsWith(`/${logId}`)), `${path} was copied`);
      }
      await assertGood(setup, vault, "b");
      await assertRestores({ env, vault, backup: "b", source, target, names: [name] });
    } finally {
      await store.delete([...planted.keys()].map((path) => `files/${path}`));
    }
  });
});
