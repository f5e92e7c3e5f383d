/** Lives of a run over a {@link World}: what happens before and during each, and where it is killed. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { ExactRowSink } from "../exact_row_sink.ts";
import { FakePipeline } from "../pipeline.ts";
import type { MessageBuilder } from "../streaming/action.ts";
import { Mortal } from "./mortal.ts";
import type { Thing } from "./thing.ts";
import { World } from "./world.ts";

/** A pchannel on which nothing is ever written behind what its collection was made with. */
const SILENT = "p_silent";

export type Step = (world: World) => void;

export interface Life {
  readonly before: readonly Step[];
  /** Each so many phases behind the one before. */
  readonly during: readonly (readonly [number, Step])[];
  readonly dies: number;
  /** A bit for each target that refuses whatever would change it, in a life that is not killed. Default: none does. */
  readonly refusing?: number;
}

export function lives(
  step: fc.Arbitrary<Step>,
  { most = 4, phases = 80, refusing }: { most?: number; phases?: number; refusing?: fc.Arbitrary<number> } = {},
): fc.Arbitrary<Life[]> {
  const life = fc.record({
    before: fc.array(step, { maxLength: 10 }),
    during: fc.array(fc.tuple(fc.nat(12), step), { maxLength: 8 }),
    dies: fc.oneof(fc.nat(phases), fc.nat(15)),
    ...refusing === undefined ? {} : { refusing },
  });
  return fc.array(life, { minLength: 1, maxLength: most });
}

const names = ["a", "b", "c"];
const keys = fc.uniqueArray(fc.nat(5).map(BigInt), { minLength: 1, maxLength: 3 });
export const rows = fc.tuple(keys, fc.nat(99)).map(([some, value]) => some.map((key) => [key, BigInt(value)] as const));
export const partition = fc.constantFrom("_default", "x", "y");

/** A step of one of the collections that are there, chosen by a number. */
export function of<T>(
  arbitrary: fc.Arbitrary<T>,
  take: (world: World, thing: Thing, value: T) => void,
): fc.Arbitrary<Step> {
  return fc.tuple(fc.nat(11), arbitrary).map(([n, value]) => (world) => {
    const live = world.live.filter(({ collection }) => !collection.pchannels.includes(SILENT));
    if (live.length > 0) take(world, live[n % live.length]!, value);
  });
}

export const writes: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: of(
      fc.tuple(partition, rows, fc.boolean()),
      (world, thing, [place, some, upsert]) => thing.busy || world.insert(thing, place, some, upsert),
    ),
  },
  {
    weight: 2,
    arbitrary: of(
      fc.tuple(fc.option(partition, { nil: undefined }), keys),
      (world, thing, [place, some]) => thing.busy || world.delete(thing, place, some),
    ),
  },
  { weight: 2, arbitrary: fc.constant<Step>((world) => world.tick()) },
);
export const partitions: fc.Arbitrary<Step> = fc.oneof(
  of(partition, (world, thing, name) => thing.busy || world.partition(thing, name)),
  of(fc.tuple(partition, fc.boolean()), (world, thing, [name, numbered]) => world.dropPartition(thing, name, numbered)),
);
const database = fc.constantFrom("default", "default", "other");
export const collections: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(database, fc.constantFrom(...names), fc.nat(2)).map(([db, name, n]): Step => (world) => {
    if (
      world.find(db, name) !== undefined ||
      world.live.some(({ collection }) => collection.dbName === db && collection.aliases.includes(name))
    ) return;
    const { pchannels } = world;
    world.create(db, name, ...n === 0 ? pchannels : [pchannels[n % pchannels.length]!]);
  }),
  of(fc.boolean(), (world, thing, numbered) => thing.collection.name !== "anchor" && world.drop(thing, numbered)),
  of(
    fc.tuple(database, fc.constantFrom(...names)),
    (world, thing, [db, name]) => thing.collection.name === "anchor" || world.rename(thing, db, name),
  ),
);
export const aliases: fc.Arbitrary<Step> = fc.oneof(
  of(fc.constantFrom("k", "l", "a"), (world, thing, alias) => thing.busy || world.alias(thing, alias)),
  of(fc.constant(0), (world, thing) => thing.busy || world.unalias(thing)),
);
/** Of generation 2 the log tells of them. */
export const alterations: fc.Arbitrary<Step> = fc.oneof(
  of(fc.constant(0), (world, thing) => world.addColumn(thing)),
  of(fc.nat(9), (world, thing, n) => world.setProperties(thing, { "collection.ttl.seconds": `${100 + n}` })),
);
export const truncations: fc.Arbitrary<Step> = of(fc.constant(0), (world, thing) => world.truncate(thing));
export const imports: fc.Arbitrary<Step> = fc.oneof(
  of(fc.tuple(partition, rows), (world, thing, [place, some]) => world.import(thing, place, some)),
  of(fc.boolean(), (world, thing, commit) => world.complete(thing, commit)),
);
/** The source forgets jobs of imports, and takes its rows into files. */
export const upkeep: fc.Arbitrary<Step> = fc.oneof(
  of(fc.constant(0), (world, thing) => world.forget(thing)),
  fc.constant<Step>((world) => world.flush()),
);
/** Of generation 2: some stay open while other things happen. */
export const transactions: fc.Arbitrary<Step> = fc.oneof(
  of(fc.tuple(partition, rows, keys), (world, thing, [place, some, gone]) => world.begin(thing, place, some, gone)),
  of(fc.constantFrom("commit", "commit", "rollback"), (world, thing, kind) => world.finish(thing, kind)),
);
/** Of generation 2: streaming nodes come and go. */
export const nodes: fc.Arbitrary<Step> = fc.nat(3).map((n) => (world) => {
  world.handOver(world.pchannels[n % world.pchannels.length]!);
});
export const flushes: fc.Arbitrary<Step> = fc.constant((world) => world.flush());
export const deliveries: fc.Arbitrary<Step> = fc.constant((world) => world.pending.shift()?.());

export interface Copy {
  readonly pipeline: FakePipeline;
  readonly targets: readonly { readonly sink: ExactRowSink; readonly mortal: Mortal }[];
}

export function copyOf(world: World, targets: number): Copy {
  const all = Array.from({ length: targets }, (_, i) => ({ sink: new ExactRowSink(`t${i}`), mortal: new Mortal() }));
  const pipeline = new FakePipeline(world, { rows: all.map(({ sink, mortal }) => mortal.wrap(sink)) });
  pipeline.override = { baseDeletes: "log_and_files" };
  return { pipeline, targets: all };
}

export interface LivedOptions {
  readonly numRuns: number;
  readonly seed?: number;
  /** In which the log begins. Default: 2. */
  readonly generation?: 1 | 2;
  readonly targets?: number;
  /** Whether some or all targets refuse whatever would change them, for whole lives. */
  readonly refusing?: boolean;
  /** Whether the base is complete before the first life. Default: by chance. */
  readonly begun?: boolean;
  /** Makes the messages of generation 2. Default: the tests' own. */
  readonly build?: MessageBuilder;
}

/** Writes and `steps` on some collections, whatever lives the copy of them has. */
export async function lived(
  steps: readonly fc.Arbitrary<Step>[],
  { numRuns, seed, generation = 2, targets = 1, refusing = false, begun, build }: LivedOptions,
): Promise<void> {
  const step = fc.oneof(
    { weight: 4, arbitrary: writes },
    ...steps.map((arbitrary) => ({ weight: 1, arbitrary })),
  );
  const some = refusing ? { refusing: fc.oneof(fc.constant(0), fc.nat(2 ** targets - 1)) } : {};
  let held = 0;
  await fc.assert(
    fc.asyncProperty(lives(step, some), fc.boolean(), fc.nat(), async (all, more, chance) => {
      const world = new World(["p_0", "p_1"], {
        seed: chance,
        // What a seed has found once is not to change.
        retries: seed === undefined,
        ...build === undefined ? {} : { build },
      });
      world.generation = generation;
      const copy = copyOf(world, targets);
      world.create("default", "a", "p_0", "p_1");
      world.create("default", "anchor", "p_0", "p_1");
      if (more) world.create("default", "b", "p_1");
      if (generation === 2 && chance % 8 === 0) world.createSilent("silent", SILENT);
      if (begun ?? chance % 2 === 0) await copy.pipeline.once();
      for (const life of all) held += await live(copy, world, life);
      await end(copy, world);
    }),
    { numRuns: Number(Deno.env.get("LIVES") ?? numRuns), ...seed === undefined ? {} : { seed } },
  );
  assert.ok(!refusing || held > 0, "no life was refused anything");
}

/** How many collections were held when it ended; 0 where it was killed. */
export async function live(
  { pipeline, targets }: Copy,
  world: World,
  { before, during, dies, refusing = 0 }: Life,
): Promise<number> {
  for (const step of before) step(world);
  let left = refusing === 0 ? dies : Infinity;
  let died: Promise<void> | undefined;
  const queue = [...during];
  let wait = queue[0]?.[0] ?? 0;
  const pass = () => {
    if (died !== undefined) return;
    while (queue.length > 0 && wait-- <= 0) {
      const [[, step]] = queue.splice(0, 1) as [readonly [number, Step]];
      wait = queue[0]?.[0] ?? 0;
      step(world);
      break;
    }
    if (left-- > 0) return;
    for (const { mortal } of targets) mortal.gone = true;
    died = run.kill().catch(() => {});
    world.said.push("killed");
  };
  pipeline.override = { ...pipeline.override, crash: pass };
  pipeline.saving = pass;
  for (const [i, { mortal }] of targets.entries()) {
    mortal.passing = pass;
    mortal.refuses = (refusing >> i & 1) === 1;
  }
  using _ticking = world.ticking();
  world.said.push(refusing === 0 ? "run" : `run, refused by targets ${refusing.toString(2)}`);
  const run = pipeline.start({ kind: "once" });
  const ended = await run.result.catch((error) => assert.ok(died !== undefined, error));
  await died;
  await settle(pipeline, targets);
  for (const [, step] of queue) step(world);
  return ended?.blocked.length ?? 0;
}

async function settle(pipeline: FakePipeline, targets: Copy["targets"]): Promise<void> {
  await Promise.resolve();
  for (const { mortal } of targets) {
    mortal.gone = false;
    mortal.refuses = false;
    mortal.passing = () => {};
  }
  pipeline.override = { ...pipeline.override, crash: () => {} };
  pipeline.saving = () => {};
}

/** What is still under way happens. */
export function finish(world: World): void {
  while (world.pending.length > 0) world.pending.shift()!();
  for (const thing of world.live) {
    while (thing.transactions.size > 0) world.finish(thing, "commit");
    while (thing.imports.some(({ task }) => task.state === "pending")) world.complete(thing, false);
  }
}

/** What is still under way happens, and the copy is brought to it and compared with the source. */
export async function end({ pipeline, targets }: Copy, world: World): Promise<void> {
  finish(world);
  // An import that comes into a base waits for the checkpoints to pass it.
  if (world.generation === 2) world.flush();
  world.tick();
  world.said.push("last run");
  const { blocked } = await pipeline.once();
  assert.deepEqual(blocked, [], world.said.join("\n"));
  for (const { sink } of targets) assertSame(world, sink, pipeline.warnings);
}

/** The target has the source's collections, and of each its partitions, rows and aliases. */
export function assertSame(world: World, target: ExactRowSink, warnings: readonly string[]): void {
  const wanted = world.live.map((thing) => {
    const { dbName, name, aliases, partitions, schema, properties } = thing.collection;
    const columns = schema.fields.map((field) => field.name);
    return [
      `${dbName}/${name}`,
      { ...content([...world.rowsOf(thing)], partitions.map((one) => one.name), aliases), columns, properties },
    ] as const;
  });
  const found = [...target.collections].map(([key, { actual }]) => {
    const [db, name] = key.split("/") as [string, string];
    const rows = [...target.rowsOf({ db, name })].map(([place, all]) =>
      [place, new Map([...all].map(([its, row]) => [its, BigInt(row.value as never)]))] as const
    );
    const { schema, properties } = actual;
    const columns = schema.fields.map((field) => field.name);
    return [key, { ...content(rows as never, actual.partitions, actual.aliases), columns, properties }] as const;
  });
  const text = (all: typeof wanted | typeof found) => Object.fromEntries([...all].sort(([a], [b]) => a < b ? -1 : 1));
  assert.deepEqual(
    text(found),
    text(wanted),
    [...world.said, ...target.done, ...warnings].join("\n"),
  );
}

function content(
  rows: readonly (readonly [string, Map<bigint, bigint>])[],
  partitions: readonly string[],
  aliases: readonly string[],
) {
  const of = new Map(rows);
  return {
    aliases: [...aliases].sort(),
    partitions: Object.fromEntries(
      [...partitions].sort().map((
        name,
      ) => [name, [...of.get(name) ?? []].map(([k, v]) => `${k}=${v}`).sort().join(" ")]),
    ),
  };
}
