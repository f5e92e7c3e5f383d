/** Two runs on one state: the second is refused, and a first one that lost its lease stops writing. */
import assert from "node:assert/strict";
import { connectEtcd } from "../../../stores/etcd.ts";
import { eventually } from "../../stack/eventually.ts";
import { untilSame, writeUntilStopped } from "./following.ts";
import { small, withServers } from "./servers.ts";
import { TidemarkSetup } from "./tidemark_process.ts";

const PREFIX = "sw_";

for (const type of ["file", "etcd"] as const) {
  Deno.test(`run on a state in ${type} that another run holds ends with 13 and names it, which goes on undisturbed`, async () => {
    const name = `${PREFIX}${type}`;
    await withServers(PREFIX, async (servers) => {
      const { source, env } = servers;
      await source.call("create_collection", small(name));
      await using setup = await TidemarkSetup.make({
        env,
        include: [`default.${name}`],
        ...(type === "file" ? {} : { extra: { state: etcdState(env, name) } }),
      });
      const first = setup.start(["run"]);
      await first.until(
        "it made the collection",
        async () => await servers.target.call("has_collection", { name }) === true,
      );
      const { code, stderr } = await setup.command(["run", "--once"]);
      assert.equal(code, 13, stderr);
      assert.match(stderr, new RegExp(`process ${first.pid}\\b`));
      assert.ok(stderr.includes(Deno.hostname()), stderr);
      await source.call("insert_generated", { name, start: 0, count: 500 });
      await untilSame(servers, name);
      assert.equal((await first.stop()).code, 143);
      await setup.once();
    });
  });
}

Deno.test("run that was frozen for longer than its lease in etcd stops writing and ends with 13", async () => {
  const name = `${PREFIX}lost`;
  await withServers(PREFIX, async (servers) => {
    const { source, target, env } = servers;
    await source.call("create_collection", small(name));
    await source.call("insert_generated", { name, start: 0, count: 500 });
    const state = etcdState(env, name);
    await using setup = await TidemarkSetup.make({ env, include: [`default.${name}`], extra: { state } });
    const first = setup.start(["run"]);
    await first.until("it follows", async () => await target.call("count", { name }) === 500);
    const writer = writeUntilStopped(servers, name);
    try {
      await using etcd = connectEtcd({ endpoints: [env.ETCD_ENDPOINT!] });
      const holder = () => etcd.get(`${state.prefix}/test/lease`);
      assert.notEqual(await holder(), undefined);
      Deno.kill(first.pid, "SIGSTOP");
      await eventually("the lease has run out", async () => await holder() === undefined);
      const second = setup.start(["run"]);
      await second.until("it holds the state", async () => await holder() !== undefined);
      Deno.kill(first.pid, "SIGCONT");
      const { code, stderr } = await first.ends();
      assert.equal(code, 13, stderr);
      assert.match(stderr, /lease on the state .* was lost/);
      await writer.stop();
      await untilSame(servers, name);
      assert.equal((await second.stop()).code, 143);
    } finally {
      await writer.stop();
    }
  });
});

function etcdState(env: Record<string, string>, prefix: string): Record<string, unknown> {
  return { type: "etcd", endpoints: [env.ETCD_ENDPOINT], prefix: `${prefix}${crypto.randomUUID()}`, lease: "5s" };
}
