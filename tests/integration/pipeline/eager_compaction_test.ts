/**
 * A source that syncs, flushes and compacts all the time, and copies begun at many moments of it, two of them standing still
 * while the files that they are about to read go. A copy that was there from the beginning has seen everything by the log
 * alone; every other one, base and tail, must become the same. Which keys are alive is known from the writer too: the source
 * itself may lose deletes under eager compaction, so it is no judge.
 */
import assert from "node:assert/strict";
import { EAGER_COMPACTION, PyMilvus, startStack } from "../../stack/mod.ts";
import { collectFiles, CompactionWatch, goesOn, paused, replaceSegments } from "./compactions.ts";
import { seeded } from "./random_workload.ts";
import { type Running, TidemarkSetup } from "./tidemark_process.ts";
import { setting } from "../long.ts";

const MOMENTS = Number(setting("TIDEMARK_MOMENTS", "4", "10"));
const ROUNDS = 12 * MOMENTS;

Deno.test(`run begun at ${MOMENTS} moments of an eagerly compacting source always ends as the log says`, async () => {
  await using stack = await startStack("demo", { name: `eager-${Deno.pid}`, source: EAGER_COMPACTION });
  const { env } = stack;
  await using watch = await CompactionWatch.start(env);
  await using source = await PyMilvus.start(env.SOURCE_URI!, { python: env.PYTHON! });
  await using target = await PyMilvus.start(env.TARGET_URI!, { python: env.PYTHON! });
  const name = "eager";
  await source.call("create_collection", {
    name,
    shards: 2,
    partitions: ["p1"],
    fields: [
      { name: "id", type: "Int64", primary: true },
      { name: "vec", type: "FloatVector", dim: 16 },
    ],
    indexes: [{ field: "vec", params: { index_type: "FLAT", metric_type: "L2" } }],
    load: true,
  });
  const setup = (moment: number, more: Record<string, unknown> = {}) =>
    TidemarkSetup.make({
      env,
      include: ["default.eager"],
      route: [{ from: "default.eager", to: `default.copy_${moment}` }],
      extra: {
        sources: {
          meta: { type: "etcd", endpoints: [env.ETCD_ENDPOINT], root_path: env.SOURCE_ROOT },
          log: { type: "kafka", brokers: [env.KAFKA_BROKERS] },
          binlogs: { type: "file", path: env.SOURCE_FILES },
        },
        ...more,
      },
    });
  const setups: TidemarkSetup[] = [await setup(0)];
  try {
    await setups[0]!.once();
    const alive = new Map<string, Set<number>>([["_default", new Set()], ["p1", new Set()]]);
    const random = seeded(42);
    const running: Promise<unknown>[] = [];
    let next = 0;
    const write = async (round: number) => {
      const partition = random() < 0.5 ? "_default" : "p1";
      const keys = alive.get(partition)!;
      const start = random() < 0.6 ? (next += 300) - 300 : Math.floor(random() * next);
      const count = 50 + Math.floor(random() * 200);
      await source.call("insert_generated", { name, start, count, seed: round + 1, partition, upsert: true });
      for (let key = start; key < start + count; key++) keys.add(key);
      const from = Math.floor(random() * next);
      const everywhere = random() < 0.3;
      await source.call("delete", { name, start: from, count: 80, partition: everywhere ? "" : partition });
      for (const [other, set] of alive) {
        if (everywhere || other === partition) { for (let key = from; key < from + 80; key++) set.delete(key); }
      }
    };
    let round = 0;
    for (; round < ROUNDS; round++) {
      await write(round);
      if (random() < 0.3) await source.call("flush", { name });
      if (random() < 0.15) await source.call("compact", { name, wait: false });
      if (round % 12 === 6) {
        const one = await setup(setups.length);
        setups.push(one);
        running.push(one.once());
      }
    }
    // Two that stand still, one before it has read a file and one in the middle, while segments are replaced and removed.
    const held: Running[] = [];
    for (const point of ["between_segments", "after_snapshot"]) {
      const one = await setup(setups.length, { limits: { base_parallelism: 1 } });
      setups.push(one);
      held.push(one.start(["run", "--once"], { TIDEMARK_CRASH_AT: `${point}:1:pause` }));
    }
    for (const run of held) await paused(run);
    const gone = await replaceSegments(watch, await watch.revision(), async () => {
      await write(round++);
      await source.call("flush", { name });
      await source.call("compact", { name });
    });
    await collectFiles(env.SOURCE_FILES!, gone);
    for (const run of held) await goesOn(run);
    await Promise.all(running);
    const expected = [...alive].flatMap(([partition, keys]) => [...keys].map((key) => `${partition}/${key}`)).sort();
    const copies = await Promise.all(setups.map(async (one, moment) => {
      await one.once();
      const copy = `copy_${moment}`;
      await target.call("wait_queryable", { name: copy });
      return await target.call("query_all", { name: copy, vectors: "hex" }) as Record<string, unknown>[];
    }));
    let first: ReadonlyMap<string, string> | undefined;
    for (const [moment, rows] of copies.entries()) {
      const keys = rows.map((row) => `${row["$partition"]}/${row.id}`).sort();
      assert.deepEqual(keys, expected, `keys of the copy begun at moment ${moment}`);
      const content = new Map(rows.map((row) => [`${row["$partition"]}/${row.id}`, String(row.vec)]));
      first ??= content;
      const byLog = first;
      const wrong = [...content].filter(([key, vector]) => byLog.get(key) !== vector).map(([key]) => key);
      if (wrong.length === 0) continue;
      const there = await source.call("query_all", { name, vectors: "hex" }) as Record<string, unknown>[];
      const asked = new Map(there.map((row) => [`${row["$partition"]}/${row.id}`, String(row.vec)]));
      const asSource = wrong.filter((key) => asked.get(key) === content.get(key)).length;
      assert.fail(
        `moment ${moment}: ${wrong.length} rows differ from the copy made by the log alone (${asSource} of them are as the ` +
          `source itself answers), for example ${wrong.slice(0, 5).join(", ")}`,
      );
    }
  } finally {
    for (const one of setups) await one[Symbol.asyncDispose]();
  }
});
