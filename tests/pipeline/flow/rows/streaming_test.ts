/** The log of streaming nodes: transactions, flushes and nodes that come and go, with kills at each phase and at each request. */
import {
  collections,
  deliveries,
  flushes,
  lived,
  nodes,
  partitions,
  transactions,
  truncations,
} from "../../../fakes/world/lives.ts";

Deno.test("run brings what transactions, flushes and changing nodes leave in the log, wherever it is killed", async () => {
  const changes = [collections, partitions, truncations, deliveries, deliveries];
  await lived([transactions, transactions, nodes, flushes, ...changes], { numRuns: 10 });
});
