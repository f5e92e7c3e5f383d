/** Random work on a cluster of generation 2, its files included. */
import fc from "fast-check";
import * as lives from "./lives.ts";
import type { WrittenWorld } from "./written.ts";

export type WorkStep = (servers: WrittenWorld) => void;

const happens = fc.oneof(
  { weight: 8, arbitrary: lives.writes },
  { weight: 2, arbitrary: lives.deliveries },
  { weight: 2, arbitrary: lives.transactions },
  ...[lives.partitions, lives.collections, lives.aliases, lives.alterations, lives.truncations, lives.nodes]
    .map((arbitrary) => ({ weight: 1, arbitrary })),
).map((step): WorkStep => ({ world }) => step(world));

const upkeep: fc.Arbitrary<WorkStep> = fc.oneof(
  { weight: 2, arbitrary: fc.constant<WorkStep>(({ upkeep }) => upkeep.flush()) },
  {
    weight: 1,
    arbitrary: fc.nat(11).map((n): WorkStep => ({ world: { live }, upkeep }) => upkeep.compact(live[n % live.length]!)),
  },
  {
    weight: 1,
    arbitrary: fc.nat(11).map((n): WorkStep => ({ world: { live }, upkeep }) =>
      upkeep.compactDeletes(live[n % live.length]!)
    ),
  },
);

/** So many steps, by a seed. */
export function workOf(seed: number, numRuns: number): WorkStep[] {
  return fc.sample(fc.oneof({ weight: 5, arbitrary: happens }, upkeep), { seed, numRuns });
}
