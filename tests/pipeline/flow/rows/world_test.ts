/** Partitions, names, aliases and truncations of a source, with kills at each phase and at each request. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { createMemoryStore } from "../../../../stores/mod.ts";
import {
  aliases,
  alterations,
  collections,
  copyOf,
  deliveries,
  end,
  lived,
  partitions,
  truncations,
} from "../../../fakes/world/lives.ts";
import { World } from "../../../fakes/world/world.ts";

Deno.test("run brings partitions that are dropped and made again under their names, wherever it is killed", async () => {
  await lived([partitions], { seed: 1454284277, numRuns: 24, generation: 1, begun: false });
});

Deno.test("run brings collections, partitions and aliases whose names change hands, wherever it is killed", async () => {
  await lived([collections, partitions, aliases, alterations, truncations, deliveries, deliveries], { numRuns: 25 });
});

Deno.test("run brings what two targets have of a log that goes from generation 1 to 2 and to more channels", async () => {
  const upgrade = fc.constant((world: World) => void (world.generation = 2));
  const more = fc.constant((world: World) => world.grow(`p_${world.pchannels.length}`));
  await lived([collections, partitions, deliveries, upgrade, more], { numRuns: 15, generation: 1, targets: 2 });
});

Deno.test("run brings what targets refused for whole lives, one of them or all, with everything held", async () => {
  const changes = [collections, partitions, aliases, alterations, truncations, deliveries, deliveries];
  await lived(changes, { numRuns: 10, targets: 2, refusing: true });
});

Deno.test("run does not make a partition again that it has dropped, though the metadata still names it", async () => {
  const world = new World(["p_0", "p_1"]);
  world.generation = 2;
  const a = world.create("default", "a", "p_0", "p_1");
  world.partition(a, "x");
  const copy = copyOf(world, 1);
  await copy.pipeline.once();
  world.dropPartition(a, "x", true);
  // All but the metadata.
  world.pending.shift()!();
  await copy.pipeline.once();
  world.partition(a, "y");
  await copy.pipeline.once();
  await end(copy, world);
});

Deno.test("run passes a truncation whose collection a run before it has dropped, and died before it could note it", async () => {
  const world = new World(["p_0", "p_1"]);
  world.generation = 2;
  const a = world.create("default", "a", "p_0", "p_1");
  world.create("default", "anchor", "p_0", "p_1");
  const copy = copyOf(world, 1);
  await copy.pipeline.once();
  world.truncate(a);
  // What has not reached all of its channels waits for the next run.
  await copy.pipeline.once();
  while (world.pending.length > 0) world.pending.shift()!();
  world.drop(a, true);
  while (world.pending.length > 0) world.pending.shift()!();
  copy.targets[0]!.sink.collections.delete("default/a");
  await end(copy, world);
});

Deno.test("run does not copy a collection in the middle of a truncation that stands still, and copies it behind it", async () => {
  const world = new World(["p_0", "p_1"], { store: createMemoryStore() });
  world.generation = 2;
  const a = world.create("default", "a", "p_0", "p_1");
  world.create("default", "b", "p_0", "p_1");
  const copy = copyOf(world, 1);
  world.insert(a, "_default", [1n, 2n, 3n, 4n, 5n, 6n].map((key) => [key, key] as const));
  world.tick();
  world.flush();
  // The checkpoint of the first channel lies behind its copy; the second has none yet.
  world.truncate(a);
  world.tick();
  world.flush();
  let asked = 0;
  // The half minute for which the run waits by itself is over at once.
  copy.pipeline.override = { now: () => Date.now() + 31_000 * asked++ };
  const { blocked } = await copy.pipeline.once();
  assert.deepEqual(blocked.map(({ collection, reason }) => [collection, reason]), [
    ["default.a", "Waits until TruncateCollection has reached every channel of its collection"],
  ]);
  copy.pipeline.override = {};
  while (world.pending.length > 0) world.pending.shift()!();
  world.insert(a, "_default", [[9n, 9n]]);
  world.tick();
  await end(copy, world);
});
