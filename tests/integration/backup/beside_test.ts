/**
 * A target and a backup in one run under random work, killed twice: both are exact, and the log was fetched once for both.
 */
import assert from "node:assert/strict";
import { createComponents, flowDependencies, loadCheckedConfig } from "../../../config/mod.ts";
import { neededFrom } from "../../../pipeline/flow/tail/pchannels.ts";
import { noCrashPoints, parseRunState, startRun } from "../../../pipeline/flow/mod.ts";
import { assertSame, assertSameRows } from "../pipeline/comparison.ts";
import { untilTail } from "../pipeline/following.ts";
import { RandomWorkload, seeded } from "../pipeline/random_workload.ts";
import { cleanServers } from "../pipeline/servers.ts";
import { openSourceLog } from "../pipeline/source_log.ts";
import { TidemarkSetup } from "../pipeline/tidemark_process.ts";
import { assertGood, folderVault, untilBased, vaultSink } from "./backup_pipeline.ts";
import { RestoreSetup } from "./restore_setup.ts";

const PREFIX = "be_";
const STEPS = Number(Deno.env.get("TIDEMARK_ORACLE_STEPS") ?? 80);
const SEEDS = (Deno.env.get("TIDEMARK_ORACLE_SEEDS") ?? "5").split(",").map(Number);
const never = new AbortController().signal;

interface Reading {
  /** Bytes of values that Kafka sent, by topic. */
  readonly fetched: ReadonlyMap<string, number>;
  /** pchannel -> where one read for all sinks begins. */
  readonly starts: ReadonlyMap<string, bigint>;
}

/** `run --once` in this process, so that what it fetches can be counted. */
async function meteredOnce(setup: TidemarkSetup, state: string): Promise<Reading> {
  const fetched = new Map<string, number>();
  const { config } = loadCheckedConfig([setup.config]);
  await using components = createComponents(config, {
    program: "test",
    onFetched: (topic, bytes) => fetched.set(topic, (fetched.get(topic) ?? 0) + bytes),
  });
  const deps = await flowDependencies(components, {
    report: {
      warn: () => {},
      info: () => {},
      ddl: () => {},
      blocked: (name, error) => assert.fail(`${name}: ${error}`),
    },
    now: Date.now,
    crash: noCrashPoints,
  });
  const { catalog } = await deps.meta.snapshot(never);
  const selected = catalog.collections.filter(({ dbName, name }) => deps.selects(dbName, name));
  const starts = new Map<string, bigint>();
  for (const sink of parseRunState(state, "state").sinks.values()) {
    for (const [pchannel, { offset }] of neededFrom(sink, selected)) {
      const known = starts.get(pchannel);
      if (known === undefined || offset < known) starts.set(pchannel, offset);
    }
  }
  await startRun(deps, { end: { kind: "once" } }, never, never).result;
  return { fetched, starts };
}

/** Bytes of the values from each start to the log's end, as another reader counts them. */
async function bytesFrom(
  env: Record<string, string>,
  starts: ReadonlyMap<string, bigint>,
): Promise<Map<string, number>> {
  await using log = await openSourceLog(env);
  const found = new Map<string, number>();
  for (const [topic, start] of starts) {
    const { latest } = await log.bounds(topic, never);
    let bytes = 0;
    if (start < latest) {
      for await (const { records } of log.tail(topic, start, undefined, never)) {
        for (const { offset, value } of records) if (offset < latest) bytes += value?.length ?? 0;
        if ((records.at(-1)?.offset ?? 0n) >= latest - 1n) break;
      }
    }
    found.set(topic, bytes);
  }
  return found;
}

for (const seed of SEEDS) {
  Deno.test(`run with a target and a backup, killed twice under random work, is exact for both and fetches the log once (seed ${seed}, ${STEPS} steps)`, async () => {
    await using servers = await cleanServers(PREFIX);
    const { env, source, target } = servers;
    await using vault = await folderVault();
    const work = new RandomWorkload(source, PREFIX, seed);
    const random = seeded(seed + 3000);
    await work.begin(3);
    for (let i = 0; i < STEPS / 4; i++) await work.step();
    await using setup = await TidemarkSetup.make({
      env,
      include: [`default.${PREFIX}*`],
      sinks: { replica: { type: "milvus", address: env.TARGET_URI }, vault: vaultSink(vault, { roll: { age: "2s" } }) },
    });
    let run = setup.start(["run"]);
    await untilTail(setup, run);
    await untilBased(run, [vault], "b");
    for (let kill = 0; kill < 2; kill++) {
      const at = Math.floor(random() * STEPS / 4);
      for (let i = 0; i < STEPS / 2; i++) {
        await work.step();
        if (i === at) await run.kill();
      }
      if (kill === 0) {
        run = setup.start(["run"]);
        await untilTail(setup, run);
      }
    }
    // What a kill left half made gets a base; from there on all comes by the log.
    await setup.once();
    for (let i = 0; i < STEPS / 2; i++) await work.step();
    const { fetched, starts } = await meteredOnce(
      setup,
      await Deno.readTextFile(`${setup.folder}/state/test.state.json`),
    );
    const needed = await bytesFrom(env, starts);

    const there = (await target.call("list_collections", {}) as string[]).filter((name) => name.startsWith(PREFIX));
    assert.deepEqual(there.sort(), work.names.sort(), `after ${JSON.stringify(work.done)}`);
    for (const name of work.names) await assertSame({ server: source, name }, { server: target, name });
    await assertGood(setup, vault, "b");

    let total = 0;
    for (const [topic, bytes] of fetched) {
      const most = needed.get(topic);
      assert.ok(most !== undefined, `${topic} is not needed`);
      assert.ok(
        bytes <= most,
        `${bytes} bytes of ${topic} were fetched, one read from ${starts.get(topic)} on is ${most}`,
      );
      total += bytes;
    }
    const all = [...needed.values()].reduce((sum, bytes) => sum + bytes, 0);
    // It ended a moment before the ticks that are there by now.
    assert.ok(total > all / 2, `${total} of ${all} bytes were fetched`);

    // A rename that was made while no run was there counts from when this one saw it, which is after its end.
    await setup.once();
    const db = `${PREFIX}back`;
    await using restore = await RestoreSetup.make({
      env,
      backup: { name: "b", storage: vault.storage },
      transforms: { route: [{ from: "default.*", to: `${db}.*` }] },
    });
    await restore.restore([]);
    assert.deepEqual((await target.call("list_collections", { db }) as string[]).sort(), work.names.sort());
    for (const name of work.names) {
      await target.call("load_collection", { name, db });
      await assertSameRows({ server: source, name }, { server: target, db, name });
    }
    await target.call("truncate_names", { prefix: db });
  });
}
