/** The object store accepts connections and never answers: the run says that it waits, and goes on once it does. */
import assert from "node:assert/strict";
import { assertSame } from "../integration/pipeline/comparison.ts";
import { small, withServers } from "../integration/pipeline/servers.ts";
import { stackSources, TidemarkSetup } from "../integration/pipeline/tidemark_process.ts";
import { HangingProxy } from "../stack/hanging_proxy.ts";
import { statusUntil } from "./status.ts";

const PREFIX = "fsh_";

Deno.test("run whose store never answers is waiting, with the store and since when, and copies once it answers", async () => {
  await withServers(PREFIX, async ({ env, source, target }) => {
    const name = `${PREFIX}a`;
    await source.call("create_collection", small(name));
    await source.call("insert_generated", { name, start: 0, count: 300 });
    await source.call("flush", { name });
    await using proxy = HangingProxy.start(new URL(env.S3_ENDPOINT!).host);
    proxy.hang();
    const sources = stackSources(env, { binlogs: { endpoint: `http://${proxy.address}` } });
    await using setup = await TidemarkSetup.make({ env, include: [`default.${name}`], extra: { sources } });
    const run = setup.start(["run", "--once"]);
    const { phase, waits } = await statusUntil(
      setup,
      run,
      "the store is waited for",
      ({ phase, waits }) => phase === "waiting" && waits.some(({ component }) => component === "sources.binlogs"),
    );
    assert.equal(phase, "waiting");
    const wait = waits.find(({ component }) => component === "sources.binlogs")!;
    assert.ok(wait.reason.length > 0 && wait.since !== "", JSON.stringify(wait));
    assert.ok(proxy.unanswered > 0);
    proxy.release();
    const { code, stderr } = await run.ends();
    assert.equal(code, 0, stderr);
    await assertSame({ server: source, name }, { server: target, name });
  });
});
