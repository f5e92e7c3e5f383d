/** Somebody gave the bucket of another Milvus, whose folders have the same names: said at once, before anything is made. */
import assert from "node:assert/strict";
import { folderVault, vaultSink } from "../integration/backup/backup_pipeline.ts";
import { small, withServers } from "../integration/pipeline/servers.ts";
import { stackSources, TidemarkSetup } from "../integration/pipeline/tidemark_process.ts";

const PREFIX = "ffc_";

Deno.test("check, a copy and a backup say that the files are another cluster's, and do not read the metadata again and again", async () => {
  await withServers(PREFIX, async ({ env, source, target }) => {
    const [name, theirs] = [`${PREFIX}a`, `${PREFIX}theirs`];
    for (const [server, own] of [[source, name], [target, theirs]] as const) {
      await server.call("create_collection", small(own));
      await server.call("insert_generated", { name: own, start: 0, count: 50, seed: 1 });
      await server.call("flush", { name: own });
    }
    await using vault = await folderVault();
    const replica = { type: "milvus", address: env.TARGET_URI };
    await using setup = await TidemarkSetup.make({
      env,
      include: [`default.${name}`],
      sinks: { replica },
      extra: { sources: stackSources(env, { binlogs: { bucket: env.TARGET_BUCKET } }) },
    });
    const said = /No file of \d+ segments? that the metadata names is in .*: it is the storage of another Milvus/;
    const check = await setup.command(["check"]);
    assert.equal(check.code, 11, check.stdout);
    assert.match(check.stdout, said);
    for (const sinks of [{ replica }, { vault: vaultSink(vault) }]) {
      await setup.change({ sinks, state: { type: "file", path: `${setup.folder}/${Object.keys(sinks)}` } });
      const { stderr } = await setup.once(11);
      assert.match(stderr, said);
      assert.doesNotMatch(stderr, /reads the metadata again/);
    }
    assert.equal(await target.call("has_collection", { name }), false);
  });
});
