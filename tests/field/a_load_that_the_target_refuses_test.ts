/** Somebody asked for two replicas on a target of one node, and for a resource group that the target does not have. */
import assert from "node:assert/strict";
import { assertSame } from "../integration/pipeline/comparison.ts";
import { small, withServers } from "../integration/pipeline/servers.ts";
import { TidemarkSetup } from "../integration/pipeline/tidemark_process.ts";
import { statusUntil } from "./status.ts";

const PREFIX = "fl_";

Deno.test("run writes rows while the target refuses to load, says so in status, and loads what it can when it may", async () => {
  await withServers(PREFIX, async ({ env, source, target }) => {
    const name = `${PREFIX}a`;
    await source.call("create_collection", small(name));
    await source.call("insert_generated", { name, start: 0, count: 100, seed: 1 });
    const sink = { type: "milvus", address: env.TARGET_URI! };
    await using setup = await TidemarkSetup.make({
      env,
      include: [`default.${PREFIX}*`],
      sink: { resource_groups: "no_such_group" },
    });
    const run = setup.start(["run"]);
    const refused = await statusUntil(
      setup,
      run,
      "the refused load shows",
      ({ waits }) =>
        waits.some(({ component, collection, reason }) =>
          component === "sinks.replica" && collection === `default.${name}` && /no_such_group/.test(reason)
        ),
    );
    const wait = refused.waits.find(({ collection }) => collection === `default.${name}`)!;
    assert.match(wait.reason, /sinks\.replica\.replicas and resource_groups/);
    assert.ok(wait.since !== "" && wait.next !== "", JSON.stringify(wait));
    assert.notEqual(refused.phase, "blocked");

    // Rows that come behind the refusal are written all the same.
    await source.call("insert_generated", { name, start: 100, count: 50, seed: 1 });
    await statusUntil(
      setup,
      run,
      "later rows are written",
      ({ collections }) =>
        collections.some((item) => item.name === name && BigInt(item.inserted) + BigInt(item.rowsDone) >= 150n),
    );
    assert.equal((await run.stop()).code, 143);

    await setup.change({ sinks: { replica: { ...sink, replicas: 2 } } });
    const { stdout, stderr } = await setup.once(3);
    assert.match(stdout, new RegExp(`refused  Load default.${name} with 2 replicas: `), stderr);

    await setup.change({ sinks: { replica: { ...sink, replicas: 2, load: "best_effort" } } });
    await setup.once();
    await assertSame({ server: source, name }, { server: target, name });
  });
});

Deno.test("run with load: never leaves loading and releasing to others", async () => {
  await withServers(PREFIX, async ({ env, source, target }) => {
    const name = `${PREFIX}never`;
    await source.call("create_collection", small(name));
    await source.call("insert_generated", { name, start: 0, count: 30, seed: 1 });
    await using setup = await TidemarkSetup.make({ env, include: [`default.${name}`], sink: { load: "never" } });
    await setup.once();
    assert.equal(await target.call("load_state", { name }), "NotLoad");
    await target.call("load_collection", { name });
    await source.call("release_collection", { name });
    await setup.once();
    assert.equal(await target.call("load_state", { name }), "Loaded");
    await source.call("load_collection", { name });
    await assertSame({ server: source, name }, { server: target, name });
  });
});
