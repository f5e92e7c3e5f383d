/** Imports of a source among changes and other imports, with kills at each phase and at each request. */
import { copyOf, deliveries, end, imports, lived, partitions, truncations } from "../../../fakes/world/lives.ts";
import { World } from "../../../fakes/world/world.ts";

Deno.test("run brings what imports brought among deletes, truncations and drops of partitions, wherever it is killed", async () => {
  await lived([imports, partitions, truncations, deliveries], { numRuns: 20, begun: true });
});

function worldWithA(): World {
  const world = new World(["p_0", "p_1"]);
  world.generation = 2;
  world.create("default", "a", "p_0", "p_1");
  return world;
}

Deno.test("run keeps the rows of the newer of two imports that bring the same keys, whichever is loaded first", async () => {
  const world = worldWithA();
  const a = world.find("default", "a")!;
  const copy = copyOf(world, 1);
  await copy.pipeline.once();
  world.import(a, "_default", [[1n, 1n], [2n, 1n], [3n, 1n]]);
  world.import(a, "_default", [[1n, 2n], [2n, 2n]]);
  world.complete(a, false, true);
  await copy.pipeline.once();
  await end(copy, world);
});

Deno.test("run does not wait for ever where an import counts before a truncation on one channel and behind it on another", async () => {
  const world = worldWithA();
  const a = world.find("default", "a")!;
  const b = world.create("default", "b", "p_1");
  const copy = copyOf(world, 1);
  await copy.pipeline.once();
  world.truncate(a);
  // Of the first channel alone.
  a.busy = false;
  world.import(a, "_default", [[4n, 4n]]);
  world.complete(a, false);
  a.busy = true;
  // The second channel is behind for long.
  for (let i = 0n; i < 100n; i++) world.insert(b, "_default", [[i, i]]);
  await end(copy, world);
});

Deno.test("run does not bring an import's rows back that a truncation has destroyed though the metadata still names them", async () => {
  const world = worldWithA();
  const a = world.find("default", "a")!;
  const copy = copyOf(world, 1);
  await copy.pipeline.once();
  world.import(a, "_default", [[1n, 1n], [2n, 1n], [3n, 1n]]);
  world.complete(a, false);
  world.truncate(a);
  world.pending.shift()!();
  await copy.pipeline.once();
  await end(copy, world);
});
