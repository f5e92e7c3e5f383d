/**
 * The process is killed at each named phase; the next run must end equal. The pipelines of a group copy the same source at
 * once, each to names of its own, each killed at another phase: the source's work is done once for all of them.
 */
import assert from "node:assert/strict";
import { CRASH_POINTS, type CrashPoint } from "../../pipeline/flow/mod.ts";
import { assertSame } from "../integration/pipeline/comparison.ts";
import { withServers } from "../integration/pipeline/servers.ts";
import { type Running, TidemarkSetup } from "../integration/pipeline/tidemark_process.ts";
import type { PyMilvus } from "../stack/pymilvus.ts";
import { eventually } from "../stack/eventually.ts";

const PREFIX = "cr_";
const [A, B, C] = [`${PREFIX}a`, `${PREFIX}b`, `${PREFIX}c`];
/** Names of one collection, one after the other. */
const [D, E, F] = [`${PREFIX}d`, `${PREFIX}e`, `${PREFIX}f`];
const FIELDS = [
  { name: "id", type: "Int64", primary: true },
  { name: "vec", type: "FloatVector", dim: 8 },
  { name: "doc", type: "JSON" },
];
const READY = {
  fields: FIELDS,
  indexes: [{ field: "vec", params: { index_type: "FLAT", metric_type: "L2" } }],
  load: true,
};

/** Phases that come more than once are tried at a later time too. Of imports there is a test of their own. */
const GROUPS: Readonly<Record<string, readonly `${CrashPoint}:${number}`[]>> = {
  "up to the end of the base": [
    "before_snapshot:1",
    "after_snapshot:1",
    "inside_reconcile:1",
    "mid_segment:1",
    "mid_segment:2",
    "between_segments:1",
  ],
  "of the tail": [
    "before_first_batch:1",
    "after_first_batch:1",
    "between_write_and_ack:1",
    "between_write_and_ack:3",
    "between_ack_and_checkpoint:1",
    "between_ack_and_checkpoint:5",
    "inside_barrier:1",
    "inside_rename:1",
    "before_done:1",
  ],
};

Deno.test("crash points are all in a group", () => {
  const grouped = new Set(Object.values(GROUPS).flat().map((point) => point.split(":")[0]));
  assert.deepEqual([...grouped].sort(), CRASH_POINTS.filter((name) => !name.includes("import")).sort());
});

async function prepare(source: PyMilvus): Promise<void> {
  await Promise.all([
    source.call("create_collection", { name: A, ...READY, shards: 2, partitions: ["p1", "p2"] }),
    source.call("create_collection", { name: B, ...READY }),
    source.call("create_collection", { name: D, ...READY }),
  ]);
  await source.call("insert_generated", { name: A, start: 0, count: 1500, seed: 1 });
  await source.call("insert_generated", { name: A, start: 1500, count: 300, seed: 1, partition: "p1" });
  await source.call("insert_generated", { name: B, start: 0, count: 300, seed: 1 });
  await source.call("insert_generated", { name: D, start: 0, count: 40, seed: 6 });
  await source.call("flush", { name: A });
  await source.call("delete", { name: A, start: 50, count: 100 });
  await source.call("insert_generated", { name: A, start: 200, count: 80, seed: 2, upsert: true });
  await source.call("insert_generated", { name: A, start: 5000, count: 100, seed: 2, partition: "p2" });
}

/** What goes on while the runs that will be killed are there. */
async function meanwhile(source: PyMilvus): Promise<void> {
  await source.call("insert_generated", { name: A, start: 2000, count: 200, seed: 3 });
  await source.call("rename_collection", { name: D, new_name: E });
  await source.call("delete", { name: A, start: 400, count: 50 });
  await source.call("drop_partition", { name: A, partition: "p2" });
  await source.call("create_collection", { name: C, ...READY });
  await source.call("insert_generated", { name: C, start: 0, count: 30, seed: 3 });
  await source.call("drop_collection", { name: B });
  await source.call("create_collection", { name: B, ...READY });
  await source.call("insert_generated", { name: B, start: 900, count: 60, seed: 4 });
  await source.call("insert_generated", { name: A, start: 380, count: 60, seed: 5, upsert: true });
}

/** A run that follows is never done. */
function argsOf(point: string): string[] {
  return point.startsWith("before_done") ? ["run", "--once"] : ["run"];
}

interface Case {
  readonly point: string;
  readonly setup: TidemarkSetup;
  readonly run: Running;
  /** Its name of a collection of the source. */
  readonly copyOf: (name: string) => string;
}

for (const [phases, points] of Object.entries(GROUPS)) {
  Deno.test(`run killed at a phase ${phases} and started again ends with both sides equal`, async (t) => {
    await withServers(PREFIX, async ({ env, source, target }) => {
      await prepare(source);
      await using setups = new AsyncDisposableStack();
      const cases: Case[] = [];
      for (const point of points) {
        const copyOf = (name: string) => name.replace(PREFIX, `${PREFIX}${point.replace(":", "_")}_`);
        const setup = await TidemarkSetup.make({
          env,
          include: [`default.${PREFIX}*`],
          route: [A, B, C, D, E, F].map((name) => ({ from: `default.${name}`, to: `default.${copyOf(name)}` })),
        });
        setups.use(setup);
        cases.push({ point, setup, run: setup.start(argsOf(point), { TIDEMARK_CRASH_AT: point }), copyOf });
      }
      // The writes wait until each base is done, so that they are tail and barrier.
      await Promise.all(
        cases.map(({ setup, run }) =>
          eventually(
            "it follows the log, or is dead",
            async () => run.ended || (await setup.status())?.phase === "tail",
            run.waiting,
          )
        ),
      );
      await meanwhile(source);
      await Promise.all(cases.map(async ({ point, run }) => {
        const { code, stderr } = await run.ends();
        const [name] = point.split(":");
        assert.match(stderr, new RegExp(`killed at ${name}`), `it ended with ${code}, not at ${point}:\n${stderr}`);
      }));
      // While none is there: whoever died in the middle of the first rename finds neither name on the source.
      await source.call("rename_collection", { name: E, new_name: F });
      await source.call("insert_generated", { name: F, start: 40, count: 10, seed: 6 });
      await Promise.all(cases.map(({ setup }) => setup.once()));
      const there = await target.call("list_collections", {}) as string[];
      for (const { point, copyOf } of cases) {
        await t.step(point, async () => {
          assert.deepEqual([D, E].map(copyOf).filter((name) => there.includes(name)), []);
          await Promise.all(
            [A, B, C, F].map((name) => assertSame({ server: source, name }, { server: target, name: copyOf(name) })),
          );
        });
      }
    });
  });
}
