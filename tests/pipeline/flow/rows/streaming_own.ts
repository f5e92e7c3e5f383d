/** Random work whose log is made by Milvus' own builders, which are built first: no suite that runs by itself includes it. */
import {
  collections,
  deliveries,
  flushes,
  imports,
  lived,
  nodes,
  partitions,
  transactions,
  truncations,
} from "../../../fakes/world/lives.ts";
import { installStreaming } from "../../../stack/streaming/install.ts";
import { StreamingProgram } from "../../../stack/streaming/program.ts";

const STREAMING = [transactions, transactions, nodes, flushes, partitions, truncations, deliveries, deliveries];

Deno.test("run brings what a log of Milvus' own builders holds, wherever it is killed", async () => {
  await using program = new StreamingProgram(await installStreaming(console.log));
  await lived([...STREAMING, collections], { numRuns: 40, build: program.build });
  await lived([...STREAMING, imports], { numRuns: 40, begun: true, build: program.build });
});
