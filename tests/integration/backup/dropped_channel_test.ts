/** The last collection of a topic is dropped while no run is there: what `show` offers afterwards can be restored, exactly. */
import assert from "node:assert/strict";
import { dropsBehind } from "../../../pipeline/flow/tail/silent_channels.ts";
import type { HybridTs } from "../../../pipeline/model/mod.ts";
import { showBackup } from "../../../sources/backup/mod.ts";
import { recordFacts } from "../../../sources/log/mod.ts";
import type { PyMilvus } from "../../stack/pymilvus.ts";
import { eventually } from "../../stack/eventually.ts";
import { small, withServers } from "../pipeline/servers.ts";
import { openSourceLog, untilGrown } from "../pipeline/source_log.ts";
import { TidemarkSetup } from "../pipeline/tidemark_process.ts";
import { assertGood, folderVault, vaultSink } from "./backup_pipeline.ts";
import { RestoreSetup } from "./restore_setup.ts";

const PREFIX = "bkp_dropped_";
const never = new AbortController().signal;

/** Two collections on pchannels of their own. */
async function apart(source: PyMilvus): Promise<{ stays: string; goes: string; pchannel: string }> {
  const used = new Map<string, string>();
  for (let i = 0; used.size < 2; i++) {
    const name = `${PREFIX}${i}`;
    const { pchannels: [pchannel] } = await source.call("create_collection", small(name)) as { pchannels: string[] };
    if (used.has(pchannel!)) await source.call("drop_collection", { name });
    else used.set(pchannel!, name);
    assert.ok(i < 20, "all collections came to one pchannel");
  }
  const [[, stays], [pchannel, goes]] = [...used] as [[string, string], [string, string]];
  return { stays, goes, pchannel };
}

const now = async (source: PyMilvus): Promise<HybridTs> => BigInt(await source.call("alloc_timestamp") as bigint);
const digest = (server: PyMilvus, name: string, db = "") => server.call("digest", { name, db });

Deno.test("backup restore goes to moments before and behind the drop of a topic's last collection, and refuses those between", async () => {
  await withServers(PREFIX, async ({ env, source, target }) => {
    const { stays, goes, pchannel } = await apart(source);
    for (const name of [stays, goes]) await source.call("insert_generated", { name, start: 0, count: 200, seed: 1 });
    await using vault = await folderVault();
    await using setup = await TidemarkSetup.make({
      env,
      include: [`default.${PREFIX}*`],
      sinks: { vault: vaultSink(vault) },
    });
    await setup.once();

    await using log = await openSourceLog(env);
    const behind = new Map([[pchannel, { offset: (await log.bounds(pchannel, never)).latest, tick: 0n }]]);
    for (const name of [stays, goes]) {
      await source.call("delete", { name, start: 0, count: 50 });
      await source.call("insert_generated", { name, start: 200, count: 50, seed: 2 });
    }
    const before = { ts: await now(source), stays: await digest(source, stays), goes: await digest(source, goes) };
    // Nothing is promised of what no tick has passed.
    await untilGrown(log, pchannel, 2n);
    await source.call("drop_collection", { name: goes });
    let dropped: HybridTs | undefined;
    await eventually("the log has the drop", async () => {
      [dropped] = (await dropsBehind({ log, describeRecord: recordFacts }, behind, never)).values();
      return dropped !== undefined;
    });
    await source.call("insert_generated", { name: stays, start: 300, count: 50, seed: 3 });
    const after = { ts: await now(source), stays: await digest(source, stays) };
    await source.call("delete", { name: stays, start: 300, count: 20 });
    await setup.once();
    await assertGood(setup, vault, "b");

    const { restorable } = await showBackup(vault.store, "b");
    assert.ok(restorable !== undefined);
    assert.ok(restorable.from.ts < before.ts && after.ts <= restorable.to.ts);
    for (const { from, to } of restorable.gaps) {
      assert.ok(from.ts > before.ts && to.ts < dropped!, `${from.iso} to ${to.iso}, dropped at ${dropped}`);
    }
    const restore = (db: string) =>
      RestoreSetup.make({
        env,
        backup: { name: "b", storage: vault.storage },
        transforms: { route: [{ from: "default.*", to: `${db}.*` }] },
      });
    const there = async (db: string) => (await target.call("list_collections", { db }) as string[]).sort();
    {
      const db = `${PREFIX}before`;
      await using past = await restore(db);
      for (const { from, to } of restorable.gaps) {
        for (const ts of [from.ts, to.ts]) {
          const { stderr } = await past.restore(["--until", `${ts}`], 2);
          assert.match(stderr, new RegExp(`the log of default\\.${goes} ends before it`));
        }
      }
      await past.restore(["--until", `${before.ts}`]);
      assert.deepEqual(await there(db), [stays, goes].sort());
      for (const name of [stays, goes]) await target.call("load_collection", { name, db });
      assert.deepEqual(await digest(target, stays, db), before.stays);
      assert.deepEqual(await digest(target, goes, db), before.goes);
    }
    const db = `${PREFIX}after`;
    await using later = await restore(db);
    await later.restore(["--until", `${after.ts}`]);
    assert.deepEqual(await there(db), [stays]);
    await target.call("load_collection", { name: stays, db });
    assert.deepEqual(await digest(target, stays, db), after.stays);
  });
});
