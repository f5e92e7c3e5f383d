/**
 * A source that syncs, flushes and compacts all the time, and copies begun at many moments of it, two of them standing still
 * while the files that they are about to read go. A copy that was there from the beginning has seen everything by the log
 * alone; every other one, base and tail, must become the same. Which keys are alive is known from the writer too: the source
 * itself may lose deletes under eager compaction, so it is no judge.
 */
import assert from "node:assert/strict";
import { EAGER_COMPACTION, PyMilvus, startStack } from "../../stack/mod.ts";
import { collectFiles, CompactionWatch, goesOn, paused } from "./compactions.ts";
import { EagerSource, keyOf } from "./eager_source.ts";
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
  const work = await EagerSource.create(source, 42);
  const { name } = work;
  const setup = (moment: number, more: Record<string, unknown> = {}) =>
    TidemarkSetup.make({
      env,
      include: ["default.eager"],
      route: [{ from: "default.eager", to: `default.copy_${moment}` }],
      extra: more,
    });
  const setups: TidemarkSetup[] = [await setup(0)];
  try {
    await setups[0]!.once();
    const running: Promise<unknown>[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      await work.step();
      if (round % 12 === 6) {
        const one = await setup(setups.length);
        setups.push(one);
        running.push(one.once());
      }
    }
    // Two that stand still, one before it has read a file and one in the middle, while segments are replaced and removed.
    const before = await watch.revision();
    const held: Running[] = [];
    for (const point of ["between_segments", "after_snapshot"]) {
      const one = await setup(setups.length, { limits: { base_parallelism: 1 } });
      setups.push(one);
      held.push(one.start(["run", "--once"], { TIDEMARK_CRASH_AT: `${point}:1:pause` }));
    }
    for (const run of held) await paused(run);
    await collectFiles(env.SOURCE_FILES!, await work.replaceSegments(watch, before));
    for (const run of held) await goesOn(run);
    await Promise.all(running);
    const expected = work.keys();
    const copies = await Promise.all(setups.map(async (one, moment) => {
      await one.once();
      const copy = `copy_${moment}`;
      await target.call("wait_queryable", { name: copy });
      return await target.call("query_all", { name: copy, vectors: "hex" }) as Record<string, unknown>[];
    }));
    let first: ReadonlyMap<string, string> | undefined;
    for (const [moment, rows] of copies.entries()) {
      const keys = rows.map(keyOf).sort();
      assert.deepEqual(keys, expected, `keys of the copy begun at moment ${moment}`);
      const content = new Map(rows.map((row) => [keyOf(row), String(row.vec)]));
      first ??= content;
      const byLog = first;
      const wrong = [...content].filter(([key, vector]) => byLog.get(key) !== vector).map(([key]) => key);
      if (wrong.length === 0) continue;
      const there = await source.call("query_all", { name, vectors: "hex" }) as Record<string, unknown>[];
      const asked = new Map(there.map((row) => [keyOf(row), String(row.vec)]));
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
