/** Somebody mistyped a pattern, or routed one collection onto another: said before anything is made, by every command. */
import assert from "node:assert/strict";
import { folderVault, vaultSink } from "../integration/backup/backup_pipeline.ts";
import { RestoreSetup } from "../integration/backup/restore_setup.ts";
import { small, withServers } from "../integration/pipeline/servers.ts";
import { TidemarkSetup } from "../integration/pipeline/tidemark_process.ts";

const PREFIX = "fns_";

Deno.test("run, plan, verify, a backup and a restore that select nothing end with 10 and say what there is", async () => {
  await withServers(PREFIX, async ({ env, source, target }) => {
    const name = `${PREFIX}orders`;
    await source.call("create_collection", small(name));
    await source.call("insert_generated", { name, start: 0, count: 20, seed: 1 });
    await using vault = await folderVault();
    const sinks = { vault: vaultSink(vault) };
    await using backup = await TidemarkSetup.make({ env, include: [`default.${name}`], sinks });
    await backup.once();
    await using copy = await TidemarkSetup.make({ env, include: [`default.${name}`] });
    await copy.once();

    const nothing = { select: { include: ["nosuch.*"] } };
    const said = new RegExp(
      `Nothing is selected: transforms\\.select \\(nosuch\\.\\*\\) takes none of what the source has: .*default\\.${name}`,
    );
    await using fresh = await TidemarkSetup.make({ env, include: ["nosuch.*"] });
    await using mistyped = await TidemarkSetup.make({
      env,
      include: ["nosuch.*"],
      sinks: { vault: vaultSink(vault, { name: "c" }) },
    });
    await copy.change({ transforms: nothing });
    for (
      const [setup, args] of [[fresh, ["run", "--once"]], [fresh, ["plan"]], [mistyped, ["run", "--once"]], [copy, [
        "verify",
      ]], [copy, ["run", "--once"]]] as const
    ) {
      const { code, stderr } = await setup.command(args);
      assert.equal(code, 10, `${args}: ${stderr}`);
      assert.match(stderr, said, `${args}`);
      assert.match(stderr, /allow_empty/, `${args}`);
    }
    assert.equal(await fresh.status(), undefined, "no state was made");

    await using restore = await RestoreSetup.make({
      env,
      backup: { name: "b", storage: vault.storage },
      transforms: nothing,
    });
    const { stderr } = await restore.restore([], 10);
    assert.match(stderr, new RegExp(`takes none of what the backup b has: default\\.${name}`));

    await fresh.change({ transforms: { select: { include: ["nosuch.*"], allow_empty: true } } });
    await fresh.once();
    assert.equal(await target.call("has_collection", { name: `${PREFIX}orders` }), true, "the copy is as it was");
  });
});

Deno.test("run of a route onto a collection that is copied itself names both and makes neither; names of another case are two", async () => {
  await withServers(PREFIX, async ({ env, source, target }) => {
    const [a, b, upper] = [`${PREFIX}a`, `${PREFIX}b`, `${PREFIX}B`];
    for (const name of [a, b, upper]) await source.call("create_collection", small(name));
    await using setup = await TidemarkSetup.make({
      env,
      include: [`default.${PREFIX}*`],
      route: [{ from: `default.${a}`, to: `default.${b}` }],
    });
    const clash = new RegExp(`default\\.${a} and default\\.${b} both go to default\\.${b}`);
    assert.match((await setup.once(10)).stderr, clash);
    for (const name of [a, b, upper]) assert.equal(await target.call("has_collection", { name }), false, name);
    const plan = await setup.command(["plan"]);
    assert.equal(plan.code, 11, plan.stderr);
    assert.match(plan.stdout, new RegExp(`! ${clash.source}`));
    await setup.change({ transforms: { select: { include: [`default.${PREFIX}*`] } } });
    await setup.once();
    for (const name of [a, b, upper]) assert.equal(await target.call("has_collection", { name }), true, name);
    assert.equal((await setup.command(["plan"])).code, 0);
  });
});
