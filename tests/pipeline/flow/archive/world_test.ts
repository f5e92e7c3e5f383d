/**
 * Backups of a source that imports, forgets its imports, flushes, truncates, renames and gives columns: every moment on offer is
 * restored as it was.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { TidemarkError } from "../../../../pipeline/errors.ts";
import type { HybridTs } from "../../../../pipeline/model/mod.ts";
import { listBackups, metaAt, openBackupSource } from "../../../../sources/backup/mod.ts";
import { createMemoryStore, type MemoryStore } from "../../../../stores/mod.ts";
import { ExactRowSink } from "../../../fakes/exact_row_sink.ts";
import { FakePipeline, until } from "../../../fakes/pipeline.ts";
import {
  alterations,
  type Copy,
  deliveries,
  imports,
  live,
  lives,
  of,
  truncations,
  upkeep,
  writes,
} from "../../../fakes/world/lives.ts";
import type { Thing } from "../../../fakes/world/thing.ts";
import { World } from "../../../fakes/world/world.ts";

function archived() {
  const world = new World(["p_0", "p_1"], { store: createMemoryStore() });
  world.generation = 2;
  const vault = createMemoryStore();
  const pipeline = new FakePipeline(world, { vaults: { vault }, backup: { name: "b_{date}_{time}" } });
  // Each backup has a name of its own second, so time is fast.
  const began = performance.now();
  let ahead = 1_795_000_000_000;
  pipeline.override = {
    baseDeletes: "log_and_files",
    now: () => ahead + Math.floor(10 * (performance.now() - began)),
  };
  const later = () => void (ahead += 60_000);
  world.create("default", "a", "p_0", "p_1");
  world.create("default", "b", "p_1");
  return { world, vault, later, copy: { pipeline, targets: [] } satisfies Copy };
}

async function newest(vault: MemoryStore): Promise<string> {
  const backups = await listBackups(vault);
  return backups.filter(({ state }) => state === "complete").map(({ name }) => name).sort().at(-1)!;
}

/** Database and name -> columns and rows. */
type Content = Record<string, { readonly columns: readonly string[]; readonly rows: readonly string[] }>;

/** What the backup has of every collection at a moment. */
async function restored(world: World, vault: MemoryStore, name: string, ts: HybridTs): Promise<Content> {
  const backup = await openBackupSource(vault, name);
  const target = new ExactRowSink("target");
  const pipeline = new FakePipeline(world, { rows: [target] });
  pipeline.override = {
    meta: metaAt(backup, ts),
    log: backup.log!,
    follow: world.followOf(backup.log!),
    binlogs: backup.binlogs,
  };
  await pipeline.start({ kind: "until", ts }, { restore: `${ts}` }).result;
  return Object.fromEntries([...target.collections].map(([key, { actual: { schema } }]) => {
    const [db, name] = key.split("/") as [string, string];
    const rows = target.rowsOf({ db, name }).get("_default") ?? new Map();
    const columns = schema.fields.map((field) => field.name);
    return [key, { columns, rows: [...rows].map(([its, { value }]) => `${its}=${value}`).sort() }];
  }));
}

interface Moment {
  readonly ts: HybridTs;
  readonly revision: bigint;
  /** As they are then. Their rows of a moment are known only later, where imports have to come. */
  readonly things: readonly Thing[];
}

function momentOf(world: World): Moment {
  return { ts: world.now, revision: world.revision, things: world.live.map((thing) => ({ ...thing })) };
}

/** Of before its base's snapshot a backup has the rows, and no names or columns of before that. */
function comparable(content: Content, old: boolean): unknown {
  return old ? Object.values(content).map(({ rows }) => rows.join(" ")).sort() : content;
}

function wanted(world: World, ts: HybridTs, things: readonly Thing[] = world.live): Content {
  return Object.fromEntries(things.map((thing) => {
    const { dbName, name, schema } = thing.collection;
    const rows = [...world.rowsOf(thing, ts).get("_default")!].map(([key, value]) => `${key}=${value}`).sort();
    return [`${dbName}/${name}`, { columns: schema.fields.map((field) => field.name), rows }];
  }));
}

const renames = of(
  fc.constantFrom("a", "b", "c", "d"),
  (world, thing, name) => world.rename(thing, name === "d" ? "other" : "default", name),
);

/** A base waits for the imports that are under way, and for the checkpoints to pass them, and for what has not reached every channel: all end some time. */
function completing(world: World): Disposable {
  const timer = setInterval(() => {
    world.pending.shift()?.();
    completeAll(world);
    world.flush();
  }, 15);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

function completeAll(world: World): void {
  for (const thing of world.live) {
    if (!thing.busy && thing.imports.some(({ task }) => task.state === "pending")) world.complete(thing, false);
  }
}

/** Moments of the newest backup that are restored. */
const MOMENTS = 4;

Deno.test("a restore of any moment of the newest backup has the rows of then, imports among them, wherever the archiving run was killed", async () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: writes },
    { weight: 2, arbitrary: imports },
    { weight: 1, arbitrary: upkeep },
    { weight: 1, arbitrary: truncations },
    { weight: 1, arbitrary: renames },
    { weight: 1, arbitrary: alterations },
    { weight: 1, arbitrary: deliveries },
  );
  await fc.assert(
    fc.asyncProperty(lives(step, { most: 3, phases: 40 }), async (all) => {
      const { world, vault, later, copy } = archived();
      const past: Moment[] = [];
      using _completing = completing(world);
      const noted = (take: (world: World) => void) => (of: World) => {
        take(of);
        of.tick();
        // Between the copies of a truncation a moment has some of its rows and some not.
        if (of.live.every(({ busy }) => !busy)) past.push(momentOf(of));
      };
      for (const { before, during, dies } of all) {
        await live(copy, world, {
          before: before.map(noted),
          during: during.map(([n, take]) => [n, noted(take)] as const),
          dies,
        });
        later();
      }
      while (world.pending.length > 0) world.pending.shift()!();
      world.tick();
      const { upTo, blocked } = await copy.pipeline.once();
      assert.deepEqual(blocked, [], world.said.join("\n"));
      const name = await newest(vault);
      const { restorable, snapshot } = await openBackupSource(vault, name);
      const offered = past.filter(({ ts }) => ts >= restorable!.from.ts && ts <= restorable!.to.ts).slice(-MOMENTS);
      for (const { ts, revision, things } of [...offered, { ...momentOf(world), ts: upTo }]) {
        const old = revision < snapshot.revision;
        assert.deepEqual(
          comparable(await restored(world, vault, name, ts), old),
          comparable(wanted(world, ts, things), old),
          [`${name} at ${ts}`, ...world.said, ...copy.pipeline.warnings].join("\n"),
        );
      }
    }),
    { numRuns: Number(Deno.env.get("LIVES") ?? 3), endOnFailure: true },
  );
});

Deno.test("a new base does not begin in the middle of a truncation: a restore of it had the rows of the channels that had still to be reached", async () => {
  const { world, vault, later, copy: { pipeline } } = archived();
  const [a, b] = world.live;
  world.insert(a!, "_default", [0n, 1n, 2n, 3n, 4n, 5n].map((key) => [key, key] as const));
  world.tick();
  await pipeline.once();
  later();
  const first = await newest(vault);
  let seen = 0;
  pipeline.override = {
    ...pipeline.override,
    meta: {
      ...world.meta,
      snapshot: async (signal) => {
        const snapshot = await world.meta.snapshot(signal);
        if (snapshot.unsettled!.length > 0) seen++;
        return snapshot;
      },
    },
  };
  using _ticking = world.ticking();
  const run = pipeline.start();
  await until("the run follows", () => run.status().phase === "tail");
  world.truncate(a!);
  // The copy on one channel lies before the checkpoint there, that on the other is still to come.
  world.flush();
  world.import(b!, "_default", [[9n, 9n]]);
  world.complete(b!, false);
  world.flush();
  await until("the metadata is read for it", () => seen > 0);
  while (world.pending.length > 0) world.pending.shift()!();
  world.flush();
  let made = first;
  await until("there is a new base", () => {
    void newest(vault).then((name) => made = name);
    return made !== first;
  });
  world.tick();
  const { now } = world;
  await until("it is archived", () => [...pipeline.saved("vault")!.positions].every(([, { tick }]) => tick > now));
  await run.stop();
  assert.deepEqual(await restored(world, vault, await newest(vault), now), wanted(world, now));
});

Deno.test("a base that a run left unfinished holds no import that was completed since: the run that finishes it makes another one", async () => {
  const { world, vault, later, copy: { pipeline } } = archived();
  const [a] = world.live;
  world.insert(a!, "_default", [[1n, 1n]]);
  world.flush();
  const { override } = pipeline;
  // Before the first file is copied.
  pipeline.override = {
    ...override,
    binlogs: { ...world.binlogs, verify: () => Promise.reject(new TidemarkError("unreachable", "The store is down")) },
  };
  await assert.rejects(pipeline.once(), { message: /The store is down/ });
  pipeline.override = override;
  later();
  world.import(a!, "_default", [[2n, 2n]]);
  world.complete(a!, false);
  world.flush();
  const { upTo } = await pipeline.once();
  assert.deepEqual(await restored(world, vault, await newest(vault), upTo), wanted(world, upTo));
});
