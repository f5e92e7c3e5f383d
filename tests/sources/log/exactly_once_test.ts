/** A reader that is ended anywhere and goes on from its resume point, over the log of a world that repeats itself. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeFieldData } from "../../../pipeline/columns/mod.ts";
import type { LogEvent, ResumePoint } from "../../../pipeline/model/mod.ts";
import {
  deliveries,
  flushes,
  nodes,
  partitions,
  type Step,
  transactions,
  truncations,
  writes,
} from "../../fakes/world/lives.ts";
import { World } from "../../fakes/world/world.ts";

const PCHANNELS = ["p_0", "p_1"];

/** What an event does to keys, a line each; a change of structure is one line. */
function linesOf(event: LogEvent): string[] {
  const { ts, vchannel } = event;
  const shard = vchannel.slice(-1);
  switch (event.kind) {
    case "insert": {
      const [keys, values] = event.fieldsData.map((bytes) => {
        const { data } = decodeFieldData(bytes, event.rows);
        return data.kind === "int64" ? [...data.values] : [];
      });
      return keys!.map((key, i) => `${ts} ${event.partitionId} ${shard} ${key}=${values![i]}`);
    }
    case "delete":
      return [...event.keys.values].map((key) => `${ts} ${event.partitionId} ${shard} ${key} goes`);
    default:
      return [];
  }
}

for (const generation of [1, 2] as const) {
  Deno.test(`followPchannel tells of everything in a log of generation ${generation} once, wherever its reader is ended`, async () => {
    const step: fc.Arbitrary<Step> = generation === 1 ? writes : fc.oneof(
      { weight: 4, arbitrary: writes },
      { weight: 3, arbitrary: transactions },
      ...[partitions, truncations, deliveries, nodes, flushes].map((arbitrary) => ({ weight: 1, arbitrary })),
    );
    const parts = fc.array(fc.tuple(fc.array(step, { maxLength: 12 }), fc.nat(6), fc.nat(6)), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(parts, fc.nat(), async (parts, seed) => {
        const world = new World([...PCHANNELS], { seed });
        world.generation = generation;
        const thing = world.create("default", "a", ...PCHANNELS);
        const from = new Map<string, ResumePoint>(PCHANNELS.map((pchannel) => [pchannel, { offset: 0n, tick: 0n }]));
        const events: LogEvent[] = [];
        const read = async (most: readonly number[]) => {
          for (const [i, pchannel] of PCHANNELS.entries()) {
            let left = most[i]!;
            const request = { pchannel, from: from.get(pchannel)!, topicId: undefined, select: () => true };
            for await (const group of world.follow(request, new AbortController().signal)) {
              if (left-- === 0) break;
              events.push(...group.events);
              from.set(pchannel, group.resume);
              if (group.end !== undefined) break;
            }
          }
        };
        for (const [steps, ...most] of parts) {
          for (const take of steps) take(world);
          await read(most);
        }
        while (world.pending.length > 0) world.pending.shift()!();
        while (thing.transactions.size > 0) world.finish(thing, "commit");
        for (let i = 0; i < 5; i++) world.tick();
        await read([Infinity, Infinity]);
        const wanted = thing.deeds.flatMap(({ ts, partition, shard, key, value }) =>
          key === undefined ? [] : [`${ts} ${partition} ${shard} ${key}${value === undefined ? " goes" : `=${value}`}`]
        );
        assert.deepEqual(events.flatMap(linesOf).sort(), wanted.sort(), world.said.join("\n"));
        const changes = events.flatMap((event) =>
          event.kind === "ddl" ? [`${event.ts} ${event.vchannel} ${event.operation} ${event.pchannel}`] : []
        );
        assert.deepEqual([...new Set(changes)], changes);
      }),
      { numRuns: Number(Deno.env.get("LIVES") ?? 60) },
    );
  });
}
