/** A prune is killed in the middle: what is left is shown as half-removed, the next prune finishes it, the others stay good. */
import assert from "node:assert/strict";
import { parseJson } from "../../../pipeline/json.ts";
import { stackEnv } from "../../stack/env.ts";
import { small, withServers } from "../pipeline/servers.ts";
import { TidemarkSetup } from "../pipeline/tidemark_process.ts";
import {
  assertRestores,
  assertWhole,
  folderVault,
  listComplete,
  s3Vault,
  type Vault,
  vaultSink,
} from "./backup_pipeline.ts";

const PREFIX = "bkp_prune_";
const NAME = `${PREFIX}a`;

const vaults: Record<string, () => Promise<Vault>> = {
  "a folder, where bases share files": () => folderVault(),
  "S3": () => Promise.resolve(s3Vault(stackEnv())),
};

for (const [place, vaultOf] of Object.entries(vaults)) {
  Deno.test(`backup prune killed in the middle leaves a half-removed backup in ${place}, and the next one finishes`, async () => {
    await withServers(PREFIX, async ({ env, source, target }) => {
      await source.call("create_collection", small(NAME, { shards: 2, partitions: ["p1"] }));
      await source.call("insert_generated", { name: NAME, start: 0, count: 600, seed: 1 });
      await source.call("insert_generated", { name: NAME, start: 600, count: 300, seed: 1, partition: "p1" });
      await source.call("flush", { name: NAME });
      await using vault = await vaultOf();
      const sink = vaultSink(vault, { name: "b_{date}_{time}", rebase_after: { age: "1s" } });
      await using setup = await TidemarkSetup.make({ env, include: [`default.${NAME}`], sinks: { vault: sink } });
      await setup.once();
      await source.call("delete", { name: NAME, start: 50, count: 60 });
      await setup.once();
      const before = await listComplete(vault);
      const [newest, others] = [before.at(-1)!, before.slice(0, -1)];
      assert.ok(others.length > 0, `${before}`);

      const backup = async (args: readonly string[], crash = "") =>
        await setup.command(["backup", ...args, "--config", setup.config], { TIDEMARK_CRASH_AT: crash, ...vault.env });
      const states = async () => {
        const { code, stdout, stderr } = await backup(["list", "--json"]);
        assert.equal(code, 0, stderr);
        const listed = parseJson(stdout) as unknown as { name: string; state: string }[];
        return new Map(listed.map(({ name, state }) => [name, state]));
      };
      for (const crash of ["prune_begun", "prune_removing:1"]) {
        assert.match((await backup(["prune", "--keep-last", "1"], crash)).stderr, /killed at/);
        assert.equal((await states()).get(others[0]!), "half-removed", crash);
        assert.equal((await states()).get(newest), "complete");
        for (const command of ["show", "verify"]) {
          const { code, stderr } = await backup([command, others[0]!]);
          assert.equal(code, 15, stderr);
          assert.match(stderr, /is half-removed/);
        }
        await assertWhole(vault, newest);
      }
      const { code, stdout, stderr } = await backup(["prune", "--keep-last", "1"]);
      assert.equal(code, 0, stderr);
      assert.match(stdout, new RegExp(`removed +${others[0]} .*a removal that was cut short is finished`));
      assert.deepEqual(await states(), new Map([[newest, "complete"]]));
      assert.deepEqual(await vault.store.folders(""), [newest]);
      await assertWhole(vault, newest);
      await assertRestores({ env, vault, backup: newest, source, target, names: [NAME] });
    });
  });
}
