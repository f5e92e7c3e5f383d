/**
 * Any moment can be restored: random work on the source while a run keeps a backup of it; at random moments all of it is read
 * at Strong consistency and noted together with a timestamp of the source. Each of these is restored and every row compared.
 */
import assert from "node:assert/strict";
import type { PyMilvus } from "../../stack/pymilvus.ts";
import { RandomWorkload, seeded } from "../pipeline/random_workload.ts";
import { cleanServers } from "../pipeline/servers.ts";
import { type ExitReport, TidemarkSetup } from "../pipeline/tidemark_process.ts";
import { folderVault, untilBased, untilRestorable, vaultSink } from "./backup_pipeline.ts";
import { untilNoted } from "./until_noted.ts";
import { RestoreSetup } from "./restore_setup.ts";
import { setting } from "../long.ts";

const PREFIX = "pitr_";
const STEPS = Number(setting("TIDEMARK_PITR_STEPS", "150", "300"));
const MOMENTS = Number(setting("TIDEMARK_PITR_MOMENTS", "5", "10"));
const SEEDS = setting("TIDEMARK_PITR_SEEDS", "1", "1,2,3").split(",").map(Number);
/** What no log tells counts from when the run saw it. */
const NOT_IN_LOG = new Set(["dropPartition", "alias", "rename", "recreate", "create", "createPartition"]);
/** Steps before which the run that keeps the backup is killed and started again. */
const KILLS = [Math.floor(STEPS / 3), Math.floor((2 * STEPS) / 3)];

interface Model {
  readonly ts: bigint;
  /** Collection -> its partitions, aliases and the fingerprint of all its rows. */
  readonly collections: Record<string, unknown>;
}

async function read(server: PyMilvus, db: string, names: readonly string[]): Promise<Model["collections"]> {
  const found = await Promise.all(
    [...names].sort().map(async (name) => {
      const { partitions, aliases } = await server.call("describe_collection", { name, db }) as Record<string, unknown>;
      const digest = await server.call("digest", { name, db });
      return [name, { partitions: Object.keys(partitions as object).sort(), aliases, digest }] as const;
    }),
  );
  return Object.fromEntries(found);
}

for (const seed of SEEDS) {
  Deno.test(`backup restore --until brings back any moment of random work (seed ${seed}, ${STEPS} steps)`, async () => {
    await using servers = await cleanServers(PREFIX);
    const { env, source, target } = servers;
    await using vault = await folderVault();
    const work = new RandomWorkload(source, PREFIX, seed);
    const random = seeded(seed + 2000);
    await work.begin(3);
    for (let i = 0; i < STEPS / 4; i++) await work.step();
    await using setup = await TidemarkSetup.make({
      env,
      include: [`default.${PREFIX}*`],
      sinks: { vault: vaultSink(vault, { roll: { age: "2s" } }) },
    });
    let run = setup.start(["run"]);
    await untilBased(run, [vault], "b");
    const models: Model[] = [];
    let unnoted = false;
    for (let i = 0; i < STEPS; i++) {
      if (KILLS.includes(i)) {
        await run.kill();
        run = setup.start(["run"]);
      }
      const before = { ...work.done };
      await work.step();
      const kind = Object.keys(work.done).find((name) => work.done[name] !== before[name])!;
      unnoted ||= NOT_IN_LOG.has(kind);
      if (random() > MOMENTS / STEPS && !(i === STEPS - 1 && models.length === 0)) continue;
      if (unnoted) await untilNoted(run, vault, source, work.names);
      unnoted = false;
      const ts = BigInt(await source.call("alloc_timestamp") as bigint);
      models.push({ ts, collections: await read(source, "", work.names) });
    }
    await untilRestorable(run, vault, "b", models.at(-1)!.ts);
    const { stderr } = await run.stop();
    const backup = { name: "b", storage: vault.storage };
    await Promise.all(models.map(async (model, i) => {
      const db = `${PREFIX}db${seed}_${i}`;
      await using restore = await RestoreSetup.make({
        env,
        backup,
        transforms: { route: [{ from: "default.*", to: `${db}.*` }] },
      });
      const args = ["--until", String(model.ts)];
      // Every second one is killed on its way, at two places. One without a record behind its base passes the second by.
      const kills = i % 2 === 0 ? ["mid_segment", "after_first_batch"] : [];
      let report: ExitReport | undefined;
      for (const at of kills) {
        const killed = await restore.start(args, { TIDEMARK_CRASH_AT: at }).ends();
        if (killed.code === 0) report = killed;
      }
      report ??= await restore.restore(args);
      const names = await target.call("list_collections", { db }) as string[];
      await Promise.all(names.map((name) => target.call("load_collection", { name, db })));
      assert.deepEqual(
        await read(target, db, names),
        model.collections,
        `moment ${i}, ${model.ts}, after ${JSON.stringify(work.done)}\n${report.stderr}\n${stderr}`,
      );
    }));
    await using outside = await RestoreSetup.make({ env, backup, transforms: {} });
    const { stderr: refusal } = await outside.restore(["--until", "2020-01-01T00:00:00Z"], 2);
    assert.match(refusal, /can be restored to any moment from 20\S+Z to 20\S+Z, not to 2020-01-01/);
  });
}
