/** SIGTERM and SIGINT: the first drains, the second ends at once. */
import assert from "node:assert/strict";
import { attachStack } from "../../stack/mod.ts";
import { untilSame, untilStatus, untilTail, waitsFor } from "./following.ts";
import { small, withServers } from "./servers.ts";
import { TidemarkSetup } from "./tidemark_process.ts";

const PREFIX = "si_";

Deno.test("run drains at the first signal: what it read is applied, its position is saved and nothing is repeated", async () => {
  const name = `${PREFIX}drain`;
  await withServers(PREFIX, async (servers) => {
    const { source, env } = servers;
    await source.call("create_collection", small(name));
    await using setup = await TidemarkSetup.make({ env, include: [`default.${name}`] });
    const run = setup.start(["run"]);
    await untilTail(setup, run);
    await source.call("insert_generated", { name, start: 0, count: 3000 });
    await untilStatus(setup, run, "rows arrive", (status) => status.collections.some((item) => item.inserted > 0n));
    Deno.kill(run.pid, "SIGINT");
    const { code, stderr } = await run.ends();
    assert.equal(code, 130, stderr);
    assert.match(stderr, /SIGINT: finishing/);
    const stopped = (await setup.status())!.collections[0]!.inserted;
    await setup.once();
    const after = (await setup.status())!.collections[0]!.inserted;
    assert.equal(Number(stopped) + Number(after), 3000, "every row is written once");
    await untilSame(servers, name);
  });
});

Deno.test("run ends at once at the second signal, also while its target is away, and loses nothing", async () => {
  const name = `${PREFIX}twice`;
  await withServers(PREFIX, async (servers) => {
    const { source, env } = servers;
    await source.call("create_collection", small(name));
    await using setup = await TidemarkSetup.make({ env, include: [`default.${name}`] });
    const run = setup.start(["run"]);
    await untilTail(setup, run);
    const stack = await attachStack();
    stack.pause("target");
    try {
      await source.call("insert_generated", { name, start: 0, count: 1000 });
      // What waits for its tick counts as in flight too, and is not drained.
      await untilStatus(setup, run, "a write is under way", (status) => waitsFor(status, "replica") !== undefined);
      Deno.kill(run.pid, "SIGTERM");
      await run.until("it finishes what is under way", () => /SIGTERM: finishing/.test(run.stderr));
      await new Promise((resolve) => setTimeout(resolve, 1500));
      assert.equal(run.ended, false, "what is in flight is waited for");
      // The target answers to nobody: whatever it would still wait for would not come.
      const { code, stderr } = await run.stop();
      assert.equal(code, 143, stderr);
    } finally {
      stack.resume("target");
    }
    await setup.once();
    await untilSame(servers, name);
  });
});
