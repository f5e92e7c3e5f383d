/**
 * Catch-up: rows are written while the replicator is stopped; it is started, and the clock runs from the start of its
 * process until the target counts them all. With `MILVUS_CDC=<binary>` milvus-cdc does the same on the same servers.
 *
 *     [MILVUS_CDC=<binary>] deno run -A tests/bench/catch_up.ts [--rows 200000] [--small]
 */
import { numberArgument } from "./arguments.ts";
import { countRows } from "./probe.ts";
import { eachReplicator, type Replicator } from "./replicator.ts";
import { insert, makeCollection, note, type Rig, untilLoaded, usageOf, VECTOR_BYTES } from "./rig.ts";
import { fixed, printFigure, thousands } from "./table.ts";

const PREFIX = "bench_catch_up";

async function catchUp(rig: Rig, replicator: Replicator, rows: number): Promise<string[]> {
  const name = `${PREFIX}_${crypto.randomUUID().slice(0, 8)}`;
  await replicator.start();
  await replicator.ready();
  await makeCollection(rig.source, name);
  await untilLoaded(rig.target, name);
  await replicator.stop();

  // What a start without work costs, to be told apart from the work.
  const idle = await replicator.start();
  await replicator.ready();
  const startUp = usageOf(idle.pid).cpu;
  await replicator.stop();

  note(`${replicator.label}: writing ${rows} rows`);
  await insert(rig.source, name, 0, rows);
  const counted = countRows(rig.env, name, rows);
  const began = Date.now();
  const { pid } = await replicator.start();
  const { first, all } = await counted;
  const seconds = (all - began) / 1000;
  const { cpu, peak } = usageOf(pid);
  await replicator.stop();
  note(`${replicator.label}: ${fixed(seconds)} s`);
  return [
    replicator.label,
    fixed(seconds, 1),
    fixed((first - began) / 1000, 1),
    thousands(rows / seconds),
    fixed(rows * VECTOR_BYTES / 1e6 / seconds, 1),
    fixed(cpu),
    fixed(startUp),
    fixed((cpu - startUp) / rows * 1e6, 1),
    fixed(peak, 0),
  ];
}

if (import.meta.main) {
  const rows = numberArgument("rows", 200_000, 20_000);
  const results: string[][] = [];
  await eachReplicator(PREFIX, async (rig, replicator) => {
    results.push(await catchUp(rig, replicator, rows));
  });
  printFigure({
    title: `Catch-up of ${rows} rows`,
    command: "deno task bench catch_up",
    head: [
      "",
      "s",
      "first rows after",
      "rows/s",
      "MB/s",
      "CPU s",
      "of it start-up",
      "CPU s per million rows",
      "peak RSS MiB",
    ],
    rows: results,
    notes: [
      "From the start of the process until the target counts all rows; MB/s counts the vectors only.",
      "CPU per million rows is without the start-up, which is measured by a start with nothing to do.",
    ],
  });
}
