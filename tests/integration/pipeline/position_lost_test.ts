/** The log no longer holds what a run needs: it says so, or copies afresh what is concerned and nothing else. */
import assert from "node:assert/strict";
import { deleteRecordsBefore } from "../../stack/broker.ts";
import { untilSame, untilTail } from "./following.ts";
import { type Servers, small, withServers } from "./servers.ts";
import { openSourceLog, untilGrown } from "./source_log.ts";
import { TidemarkSetup } from "./tidemark_process.ts";

const PREFIX = "pl_";

/** Two collections on different pchannels. */
async function apart({ source }: Servers): Promise<{ lost: string; kept: string; pchannel: string }> {
  const used = new Map<string, string>();
  for (let i = 0; used.size < 2; i++) {
    const name = `${PREFIX}${i}`;
    const { pchannels } = await source.call("create_collection", small(name)) as { pchannels: string[] };
    used.set(pchannels[0]!, name);
    assert.ok(i < 20, "all collections came to one pchannel");
  }
  const [[pchannel, lost], [, kept]] = [...used] as [[string, string], [string, string]];
  return { lost, kept, pchannel };
}

/** Removes the record at the run's position: the shortest loss there is, so that the source has all that it needs itself. */
async function cutOff({ env }: Servers, setup: TidemarkSetup, pchannel: string): Promise<void> {
  const { position } = (await setup.status())!.channels.find((channel) => channel.pchannel === pchannel)!;
  await deleteRecordsBefore(env.KAFKA_BROKERS!, pchannel, BigInt(position) + 1n);
}

const idOf = async ({ target }: Servers, name: string) =>
  (await target.call("ids", { name }) as { collection_id: number | bigint }).collection_id;

Deno.test("run whose position the log has lost ends with 14 and says what to do; resnapshot copies afresh what is concerned", async () => {
  await withServers(PREFIX, async (servers) => {
    const { source, env } = servers;
    const { lost, kept, pchannel } = await apart(servers);
    for (const name of [lost, kept]) {
      await source.call("insert_generated", { name, start: 0, count: 300 });
      await source.call("flush", { name });
    }
    const include = [lost, kept].map((name) => `default.${name}`);
    await using setup = await TidemarkSetup.make({ env, include });
    await setup.once();
    const before = { lost: await idOf(servers, lost), kept: await idOf(servers, kept) };
    for (const name of [lost, kept]) {
      await source.call("delete", { name, start: 0, count: 50 });
      await source.call("insert_generated", { name, start: 300, count: 100 });
      await source.call("flush", { name });
    }
    await cutOff(servers, setup, pchannel);

    const { code, stderr } = await setup.command(["run", "--once"]);
    assert.equal(code, 14, stderr);
    assert.match(stderr, new RegExp(`${pchannel}.*wanted \\d+ .*it holds \\d+ to \\d+`));
    assert.match(stderr, /on_position_lost: resnapshot/);
    assert.equal(await idOf(servers, lost), before.lost, "nothing is touched by a run that only says what is wrong");

    await setup.change({ on_position_lost: "resnapshot" });
    await setup.once();
    await untilSame(servers, lost);
    await untilSame(servers, kept);
    assert.notEqual(await idOf(servers, lost), before.lost);
    assert.equal(await idOf(servers, kept), before.kept, "what is not concerned is not copied again");
    await source.call("insert_generated", { name: lost, start: 1000, count: 50 });
    await setup.once();
    await untilSame(servers, lost);
  });
});

Deno.test("run that loses its position while it follows copies afresh and follows on where it may", async () => {
  await withServers(PREFIX, async (servers) => {
    const { source } = servers;
    const { lost, kept, pchannel } = await apart(servers);
    const include = [lost, kept].map((name) => `default.${name}`);
    await using setup = await TidemarkSetup.make({
      env: servers.env,
      include,
      extra: { on_position_lost: "resnapshot" },
    });
    const run = setup.start(["run"]);
    await untilTail(setup, run);
    for (const name of [lost, kept]) {
      await source.call("insert_generated", { name, start: 0, count: 300 });
      await untilSame(servers, name);
    }
    const before = { lost: await idOf(servers, lost), kept: await idOf(servers, kept) };
    Deno.kill(run.pid, "SIGSTOP");
    try {
      // What the reader has in its hands already is not lost, and the source's own checkpoint must not be: ticks between.
      await using log = await openSourceLog(servers.env);
      await untilGrown(log, pchannel, 20n);
      for (const name of [lost, kept]) {
        await source.call("insert_generated", { name, start: 300, count: 100 });
        await source.call("flush", { name });
      }
      const { position } = (await setup.status())!.channels.find((channel) => channel.pchannel === pchannel)!;
      await deleteRecordsBefore(servers.env.KAFKA_BROKERS!, pchannel, BigInt(position) + 10n);
    } finally {
      Deno.kill(run.pid, "SIGCONT");
    }
    await untilSame(servers, lost);
    await untilSame(servers, kept);
    assert.notEqual(await idOf(servers, lost), before.lost);
    assert.equal(await idOf(servers, kept), before.kept);
    assert.equal((await run.stop()).code, 143);
  });
});
