/** Changes of structure that are made while the archiving run is down: every moment on both sides is restored as it was. */
import assert from "node:assert/strict";
import { type HybridTs, isoOfHybrid, msOfHybrid } from "../../../../pipeline/model/mod.ts";
import { type BackupSource, checkMoment, metaAt, openBackupSource } from "../../../../sources/backup/mod.ts";
import { createMemoryStore } from "../../../../stores/mod.ts";
import { ExactRowSink } from "../../../fakes/exact_row_sink.ts";
import { FakePipeline } from "../../../fakes/pipeline.ts";
import type { Thing } from "../../../fakes/world/thing.ts";
import { World } from "../../../fakes/world/world.ts";

/** What is compared of a collection. */
interface Shown {
  readonly columns: readonly string[];
  readonly properties: Readonly<Record<string, string>>;
  readonly aliases: readonly string[];
  /** Partition -> rows. */
  readonly rows: Readonly<Record<string, readonly string[]>>;
}

type State = Record<string, Shown>;

function stateOf(world: World): State {
  return Object.fromEntries(
    world.live.map((thing) => {
      const { dbName, name, schema, properties, aliases } = thing.collection;
      const rows = [...world.rowsOf(thing)].map(([partition, all]) =>
        [partition, [...all].map(([key, value]) => `${key}=${value}`).sort()] as const
      );
      const columns = schema.fields.map((field) => field.name).sort();
      return [`${dbName}/${name}`, { columns, properties, aliases, rows: Object.fromEntries(rows) }];
    }),
  );
}

function targetState(target: ExactRowSink): State {
  return Object.fromEntries(
    [...target.collections].map(([key, { actual }]) => {
      const [db, name] = key.split("/") as [string, string];
      const found = target.rowsOf({ db, name });
      const rows = actual.partitions.map((partition) =>
        [partition, [...found.get(partition) ?? []].map(([its, { value }]) => `${its}=${value}`).sort()] as const
      );
      const columns = actual.schema.fields.map((field) => field.name).sort();
      const { properties, aliases } = actual;
      return [key, { columns, properties, aliases, rows: Object.fromEntries(rows) }];
    }),
  );
}

interface Change {
  readonly what: string;
  readonly make: (world: World, a: Thing) => void;
  readonly generations?: readonly (1 | 2)[];
  /** Generations whose log does not tell: until the next run saw it, the rows are those of then, in what was known before. */
  readonly untold?: readonly (1 | 2)[];
}

const CHANGES: readonly Change[] = [
  { what: "a field is added", generations: [2], make: (world, a) => world.addColumn(a) },
  { what: "a collection is renamed", untold: [1], make: (world, a) => world.rename(a, "default", "n") },
  {
    what: "a collection is moved to another database",
    untold: [1],
    make: (world, a) => world.rename(a, "other", "n"),
  },
  { what: "a partition is made", make: (world, a) => world.partition(a, "x") },
  { what: "a partition is dropped", make: (world, a) => world.dropPartition(a, "old", true) },
  { what: "an alias is given", untold: [1, 2], make: (world, a) => world.alias(a, "k") },
  {
    what: "properties are set",
    untold: [1],
    make: (world, a) => world.setProperties(a, { "collection.ttl.seconds": "99" }),
  },
  { what: "a collection is truncated", generations: [2], make: (world, a) => world.truncate(a) },
  {
    what: "a collection is dropped and made again",
    make: (world, a) => {
      world.drop(a, true);
      while (world.pending.length > 0) world.pending.shift()!();
      world.tick();
      world.create("default", "a", "p_0", "p_1");
    },
  },
  { what: "a collection is made", make: (world) => void world.create("default", "n", "p_0", "p_1") },
];

for (const { what, make, generations = [1, 2] as const, untold = [] } of CHANGES) {
  for (const generation of generations) {
    Deno.test(`a restore has the moments on both sides, where ${what} while no run archives (generation ${generation})`, async () => {
      const world = new World(["p_0", "p_1"], { store: createMemoryStore(), seed: 3 });
      world.generation = generation;
      const vault = createMemoryStore();
      const pipeline = new FakePipeline(world, { vaults: { vault } });
      pipeline.override = { baseDeletes: "log_and_files", now: () => msOfHybrid(world.now) };
      const a = world.create("default", "a", "p_0", "p_1");
      world.create("default", "anchor", "p_0", "p_1");
      world.partition(a, "old");
      let value = 0n;
      const write = () => {
        for (const thing of world.live) {
          for (const { name } of thing.collection.partitions) {
            world.insert(thing, name, [1n, 2n, 3n, 4n + value].map((key) => [key, ++value] as const));
          }
        }
        world.tick();
      };
      write();
      world.flush();
      await pipeline.once();
      const before = a.collection;
      const moments: (readonly [HybridTs, State])[] = [];
      const moment = () => {
        world.tick();
        moments.push([world.now, stateOf(world)]);
      };
      /** With what an archive knows of the collection. */
      const unseen = () => {
        if (!untold.includes(generation)) return moment();
        const { collection } = a;
        a.collection = before;
        moment();
        a.collection = collection;
      };
      write();
      moment();
      make(world, a);
      while (world.pending.length > 0) world.pending.shift()!();
      unseen();
      write();
      unseen();
      await pipeline.once();
      moment();
      await pipeline.once();
      for (const [ts, state] of moments) {
        const restored = await restoredTo(world, await openBackupSource(vault, "b"), ts);
        assert.deepEqual(restored, state, `at ${msOfHybrid(ts) - msOfHybrid(moments[0]![0])} ms`);
      }
    });
  }
}

/** The whole of it. */
async function restoredTo(world: World, backup: BackupSource, ts: HybridTs): Promise<State> {
  const target = new ExactRowSink("target");
  const restore = new FakePipeline(world, { rows: [target] });
  restore.override = {
    meta: metaAt(backup, ts),
    log: backup.log!,
    follow: world.followOf(backup.log!),
    binlogs: backup.binlogs,
  };
  const { blocked } = await restore.start({ kind: "until", ts }, { restore: `${ts}` }).result;
  assert.deepEqual(blocked, []);
  return targetState(target);
}

for (const generation of [1, 2] as const) {
  for (const what of ["collection", "partition"] as const) {
    Deno.test(`a backup offers no moment before the drop of a ${what} that its base has seen, whose rows it lacks (generation ${generation})`, async () => {
      const world = new World(["p_0", "p_1"], { store: createMemoryStore(), seed: 3 });
      world.generation = generation;
      const vault = createMemoryStore();
      const pipeline = new FakePipeline(world, { vaults: { vault } });
      pipeline.override = { baseDeletes: "log_and_files", now: () => msOfHybrid(world.now) };
      const a = world.create("default", "a", "p_0", "p_1");
      const anchor = world.create("default", "anchor", "p_0", "p_1");
      world.partition(anchor, "old");
      const write = (value: bigint) => {
        for (const thing of world.live) {
          for (const { name } of thing.collection.partitions) {
            world.insert(thing, name, [1n, 2n, 3n].map((key) => [key, value] as const));
          }
        }
        world.tick();
      };
      write(1n);
      // The files of the base are complete to here.
      world.flush();
      write(2n);
      const moments: [HybridTs, State][] = [[world.now, stateOf(world)]];
      if (what === "collection") world.drop(a, true);
      else world.dropPartition(anchor, "old", true);
      while (world.pending.length > 0) world.pending.shift()!();
      world.tick();
      moments.push([world.now, stateOf(world)]);
      write(3n);
      moments.push([world.now, stateOf(world)]);
      await pipeline.once();
      const backup = await openBackupSource(vault, "b");
      const { from } = backup.restorable!;
      const [before, after, last] = moments as [typeof moments[0], typeof moments[0], typeof moments[0]];
      assert.ok(backup.backup.manifest!.exactFrom < before[0] && before[0] < from.ts && from.ts <= after[0]);
      assert.throws(() => checkMoment(backup, before[0]), {
        code: "usage",
        message: new RegExp(`any moment from ${isoOfHybrid(from.ts)} to `),
      });
      for (const [ts, state] of [[from.ts, after[1]], after, last] as const) {
        checkMoment(backup, ts);
        assert.deepEqual(await restoredTo(world, backup, ts), state, `at ${ts}`);
      }
    });
  }
}

Deno.test("a restore to a moment of a collection that came and went while no run archives says which it lacks, to later ones it is silent", async () => {
  const world = new World(["p_0", "p_1"], { store: createMemoryStore(), seed: 3 });
  const vault = createMemoryStore();
  const pipeline = new FakePipeline(world, { vaults: { vault } });
  pipeline.override = { baseDeletes: "log_and_files", now: () => msOfHybrid(world.now) };
  world.create("default", "anchor", "p_0", "p_1");
  world.tick();
  await pipeline.once();
  const brief = world.create("default", "brief", "p_0", "p_1");
  world.insert(brief, brief.collection.partitions[0]!.name, [[1n, 1n]]);
  world.tick();
  const there = world.now;
  world.drop(brief, true);
  while (world.pending.length > 0) world.pending.shift()!();
  world.tick();
  await pipeline.once();
  const saidAt = async (ts: HybridTs) => {
    const backup = await openBackupSource(vault, "b");
    const target = new ExactRowSink("target");
    const restore = new FakePipeline(world, { rows: [target] });
    restore.override = {
      meta: metaAt(backup, ts),
      log: backup.log!,
      follow: world.followOf(backup.log!),
      binlogs: backup.binlogs,
    };
    await restore.start({ kind: "until", ts }, { restore: `${ts}` }).result;
    assert.deepEqual([...target.collections.keys()], ["default/anchor"]);
    return restore.warnings.filter((line) => line.startsWith(`Collection ${brief.collection.id}, `));
  };
  const [said, ...more] = await saidAt(there);
  assert.match(said!, /is not restored: no run that wrote the backup saw it/);
  assert.deepEqual([more.length, await saidAt(world.now)], [0, []]);
});
