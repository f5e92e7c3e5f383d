/** The process is killed at each named phase; the next run must end equal. */
import assert from "node:assert/strict";
import { CRASH_POINTS, type CrashPoint } from "../../pipeline/flow/mod.ts";
import { assertSame } from "../integration/pipeline/comparison.ts";
import { TidemarkSetup } from "../integration/pipeline/tidemark_process.ts";
import { stackEnv } from "../stack/env.ts";
import { PyMilvus } from "../stack/pymilvus.ts";

const PREFIX = "cr_";
const FIELDS = [
  { name: "id", type: "Int64", primary: true },
  { name: "vec", type: "FloatVector", dim: 8 },
  { name: "doc", type: "JSON" },
];
const INDEXES = [{ field: "vec", params: { index_type: "FLAT", metric_type: "L2" } }];

/** Phases that come more than once are tried at a later time too. */
const LATER: Partial<Record<CrashPoint, number>> = {
  mid_segment: 2,
  between_write_and_ack: 3,
  between_ack_and_checkpoint: 5,
};

async function prepare(source: PyMilvus, a: string, b: string): Promise<void> {
  await source.call("create_collection", {
    name: a,
    fields: FIELDS,
    indexes: INDEXES,
    load: true,
    shards: 2,
    partitions: ["p1", "p2"],
  });
  await source.call("create_collection", { name: b, fields: FIELDS, indexes: INDEXES, load: true });
  await source.call("insert_generated", { name: a, start: 0, count: 1500, seed: 1 });
  await source.call("insert_generated", { name: a, start: 1500, count: 300, seed: 1, partition: "p1" });
  await source.call("insert_generated", { name: b, start: 0, count: 300, seed: 1 });
  await source.call("flush", { name: a });
  await source.call("delete", { name: a, start: 50, count: 100 });
  await source.call("insert_generated", { name: a, start: 200, count: 80, seed: 2, upsert: true });
  await source.call("insert_generated", { name: a, start: 5000, count: 100, seed: 2, partition: "p2" });
}

/** What goes on while the run that will be killed is there. */
async function meanwhile(source: PyMilvus, a: string, b: string, c: string): Promise<void> {
  await source.call("insert_generated", { name: a, start: 2000, count: 200, seed: 3 });
  await source.call("delete", { name: a, start: 400, count: 50 });
  await source.call("drop_partition", { name: a, partition: "p2" });
  await source.call("create_collection", { name: c, fields: FIELDS, indexes: INDEXES, load: true });
  await source.call("insert_generated", { name: c, start: 0, count: 30, seed: 3 });
  await source.call("drop_collection", { name: b });
  await source.call("create_collection", { name: b, fields: FIELDS, indexes: INDEXES, load: true });
  await source.call("insert_generated", { name: b, start: 900, count: 60, seed: 4 });
  await source.call("insert_generated", { name: a, start: 380, count: 60, seed: 5, upsert: true });
}

for (const point of CRASH_POINTS.filter((name) => name !== "inside_import")) {
  for (const count of LATER[point] === undefined ? [1] : [1, LATER[point]]) {
    Deno.test(`run killed at ${point} (${count}.) and started again ends with both sides equal`, async () => {
      const env = stackEnv();
      await using source = await PyMilvus.start(env.SOURCE_URI!, { python: env.PYTHON! });
      await using target = await PyMilvus.start(env.TARGET_URI!, { python: env.PYTHON! });
      for (const server of [source, target]) await server.call("truncate_names", { prefix: PREFIX });
      const [a, b, c] = ["a", "b", "c"].map((name) => `${PREFIX}${name}`) as [string, string, string];
      await prepare(source, a, b);
      await using setup = await TidemarkSetup.make({ env, include: [`default.${PREFIX}*`] });
      const run = setup.start(["run"], { TIDEMARK_CRASH_AT: `${point}:${count}` });
      // The writes wait until the base is under way, so that they are tail and barrier.
      for (
        let i = 0;
        i < 200 && ((await setup.status())?.phase ?? "starting") !== "tail" && !(await gone(run.exit));
        i++
      ) {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      await meanwhile(source, a, b, c);
      const timer = setTimeout(() => run.kill(), 60_000);
      const { code, stderr } = await run.exit;
      clearTimeout(timer);
      assert.match(
        stderr,
        new RegExp(`killed at ${point}`),
        `it ended with ${code} instead of being killed at ${point}:\n${stderr}`,
      );
      await setup.once();
      for (const name of [a, b, c]) await assertSame({ server: source, name }, { server: target, name });
      for (const server of [source, target]) await server.call("truncate_names", { prefix: PREFIX });
    });
  }
}

async function gone(exit: Promise<unknown>): Promise<boolean> {
  return await Promise.race([exit.then(() => true), Promise.resolve(false)]);
}
