/** Somebody truncated a topic below the source's own checkpoint: only the collections on it wait, in copy and backup, with what helps. */
import assert from "node:assert/strict";
import { assertSame } from "../integration/pipeline/comparison.ts";
import { small, withServers } from "../integration/pipeline/servers.ts";
import { openSourceLog, untilGrown } from "../integration/pipeline/source_log.ts";
import { TidemarkSetup } from "../integration/pipeline/tidemark_process.ts";
import { listBackups, showBackup } from "../../sources/backup/mod.ts";
import { createFileStore } from "../../stores/mod.ts";
import { deleteRecordsBefore } from "../stack/broker.ts";
import { statusUntil } from "./status.ts";

const PREFIX = "ftt_";
const never = new AbortController().signal;

Deno.test("run copies and backs up all but the collections whose channel lost what their checkpoint names, and has them after a flush", async () => {
  await withServers(PREFIX, async ({ env, source, target }) => {
    const used = new Map<string, string>();
    for (let i = 0; used.size < 2; i++) {
      assert.ok(i < 20, "all collections came to one pchannel");
      const name = `${PREFIX}${i}`;
      const { pchannels } = await source.call("create_collection", small(name)) as { pchannels: string[] };
      if (used.has(pchannels[0]!)) await source.call("drop_collection", { name });
      else used.set(pchannels[0]!, name);
    }
    const [[pchannel, lost], [, kept]] = [...used] as [[string, string], [string, string]];
    for (const name of [lost, kept]) await source.call("insert_generated", { name, start: 0, count: 200 });
    await source.call("flush", { name: kept });
    // The rows of `lost` are not flushed: its checkpoint stays before them, and they are gone from the log.
    {
      await using log = await openSourceLog(env);
      await untilGrown(log, pchannel, 10n);
      const { latest } = await log.bounds(pchannel, never);
      await deleteRecordsBefore(env.KAFKA_BROKERS!, pchannel, latest);
    }
    const vault = await Deno.makeTempDir({ prefix: "tidemark_vault_" });
    try {
      await using setup = await TidemarkSetup.make({
        env,
        include: [`default.${PREFIX}*`],
        sinks: {
          replica: { type: "milvus", address: env.TARGET_URI },
          vault: { type: "backup", name: "b_{date}_{time}", storage: { type: "file", path: vault } },
        },
      });
      const words = new RegExp(`checkpoint on ${pchannel} is \\d+ .* Flush default\\.${lost} on the source`);
      const store = createFileStore(vault);
      const first = await setup.once(3);
      assert.match(first.stdout, new RegExp(`blocked  default\\.${lost}: `));
      assert.match(first.stdout, words);
      assert.match(first.stdout, /Complete up to .*, but for 1 that is blocked/);
      await assertSame({ server: source, name: kept }, { server: target, name: kept });
      const [backup] = await listBackups(store);
      assert.deepEqual((await showBackup(store, backup!.name)).failed.map(({ name }) => name), [`default.${lost}`]);
      const until = await setup.command(["run", "--until", new Date(Date.now() + 1000).toISOString()]);
      assert.equal(until.code, 3, until.stderr);

      // Beside a run that follows it says what it waits for, and joins once the flush has moved its checkpoint.
      const run = setup.start(["run"]);
      const { waits, phase } = await statusUntil(
        setup,
        run,
        "it waits by name",
        ({ phase, waits }) => phase === "tail" && waits.some(({ collection }) => collection === `default.${lost}`),
      );
      assert.equal(phase, "tail");
      const wait = waits.find(({ collection }) => collection === `default.${lost}`)!;
      assert.equal(wait.component, "sources.log");
      assert.match(wait.reason, words);
      await source.call("flush", { name: lost });
      await statusUntil(
        setup,
        run,
        "nothing waits",
        ({ waits, collections }) =>
          collections.some(({ name, phase }) => name === lost && phase === "tail") &&
          waits.every(({ collection }) => collection !== `default.${lost}`),
      );
      assert.equal((await run.stop()).code, 143);
      await setup.once();
      await assertSame({ server: source, name: lost }, { server: target, name: lost });
      const newest = (await listBackups(store)).map(({ name }) => name).sort().at(-1)!;
      assert.deepEqual((await showBackup(store, newest)).failed, []);
    } finally {
      await Deno.remove(vault, { recursive: true });
    }
  });
});
