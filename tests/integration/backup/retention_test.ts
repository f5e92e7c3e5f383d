/** Retention that passes while a base is copied: the archive has begun at the cut, so nothing of it is missed. */
import assert from "node:assert/strict";
import { parseRunState } from "../../../pipeline/flow/mod.ts";
import { metaKey } from "../../../stores/mod.ts";
import { deleteRecordsBefore } from "../../stack/broker.ts";
import { FLAT_INDEX, withServers } from "../pipeline/servers.ts";
import { openSourceLog } from "../pipeline/source_log.ts";
import { TidemarkSetup } from "../pipeline/tidemark_process.ts";
import { assertGood, folderVault, manifestOf, vaultSink } from "./backup_pipeline.ts";
import { RestoreSetup, settled } from "./restore_setup.ts";

const PREFIX = "bkp_retention_";
const never = new AbortController().signal;

/** 1 KiB a row, so that a base of some thousand takes its time at the limited rate. */
const FIELDS = [{ name: "id", type: "Int64", primary: true }, { name: "vec", type: "FloatVector", dim: 256 }];
const ROWS = 2000;
const RATE = "200KiB";

Deno.test("run whose log is removed behind its archive while the base is copied ends well, and later moments are exact", async () => {
  await withServers(PREFIX, async ({ env, source, target }) => {
    const name = `${PREFIX}a`;
    const made = { name, fields: FIELDS, indexes: FLAT_INDEX, load: true, shards: 2 };
    const { pchannels } = await source.call("create_collection", made) as { pchannels: string[] };
    await source.call("insert_generated", { name, start: 0, count: ROWS, seed: 1 });
    await source.call("delete", { name, start: 100, count: 50 });
    await settled(source, [name]);
    // Behind the cut, and in no file: only the log has them.
    await source.call("delete", { name, start: 200, count: 100 });
    await source.call("insert_generated", { name, start: 400, count: 100, seed: 2, upsert: true });
    await source.call("insert_generated", { name, start: ROWS, count: 100, seed: 2 });

    await using vault = await folderVault();
    await using setup = await TidemarkSetup.make({
      env,
      include: [`default.${name}`],
      sinks: { vault: vaultSink(vault) },
      extra: { limits: { bandwidth: RATE } },
    });
    await using log = await openSourceLog(env);
    const written = BigInt(await source.call("alloc_timestamp") as bigint);

    const run = setup.start(["run", "--once"]);
    // Where a restart would go on: what lies before is nobody's any more.
    const archived = new Map<string, bigint>();
    await run.until("the archive has what was written before the run", async () => {
      const state = parseRunState(await Deno.readTextFile(`${setup.folder}/state/test.state.json`), "state");
      for (const [pchannel, { offset, tick }] of state.sinks.get("vault")!.positions) {
        if (tick > written) archived.set(pchannel, offset);
      }
      return archived.size === pchannels.length;
    });
    for (const [pchannel, offset] of archived) await deleteRecordsBefore(env.KAFKA_BROKERS!, pchannel, offset);
    assert.equal(await vault.store.head(metaKey("b", "backup_meta")), undefined, "the base was done before");
    // The run's end is behind it; it comes with the next run.
    await source.call("insert_generated", { name, start: ROWS + 100, count: 100, seed: 3 });
    const { code, stderr } = await run.ends();
    assert.equal(code, 0, stderr);
    const { cuts } = await manifestOf(vault, "b");
    assert.equal(cuts.length, 2);
    for (const { pchannel, offset } of cuts) {
      const { earliest } = await log.bounds(pchannel, never);
      assert.ok(
        earliest > offset,
        `the log of ${pchannel} still reaches from ${earliest} back to the cut at ${offset}`,
      );
    }

    await source.call("delete", { name, start: 600, count: 50 });
    await source.call("insert_generated", { name, start: 650, count: 50, seed: 4, upsert: true });
    const moment = await source.call("alloc_timestamp");
    const wanted = await source.call("digest", { name, db: "" });
    await source.call("delete", { name, start: 1000, count: 500 });
    await setup.change({ limits: {} });
    await setup.once();
    await assertGood(setup, vault, "b");

    await using restore = await RestoreSetup.make({
      env,
      backup: { name: "b", storage: vault.storage },
      transforms: { route: [{ from: `default.${name}`, to: `default.${name}_back` }] },
    });
    await restore.restore(["--until", `${moment}`]);
    await target.call("load_collection", { name: `${name}_back` }).catch(() => {});
    assert.deepEqual(await target.call("digest", { name: `${name}_back`, db: "" }), wanted);
    // Nobody is to read the source's own way back into what was removed.
    await settled(source, [name]);
  });
});
