/**
 * Lag: single rows, from the source's acknowledgement until a query by key sees them on the target, beside the time that
 * the source itself takes. With `MILVUS_CDC=<binary>` for milvus-cdc too.
 *
 *     [MILVUS_CDC=<binary>] deno run -A tests/bench/lag.ts [--count 60] [--small]
 */
import { numberArgument } from "./arguments.ts";
import { measureLag, untilCounted } from "./probe.ts";
import { eachReplicator, type Replicator } from "./replicator.ts";
import { insert, makeCollection, note, type Rig, untilLoaded } from "./rig.ts";
import { fixed, printFigure, quantile } from "./table.ts";

const PREFIX = "bench_lag";
const SETTLED = 1000;

async function lag(rig: Rig, replicator: Replicator, count: number): Promise<string[][]> {
  const name = `${PREFIX}_${crypto.randomUUID().slice(0, 8)}`;
  await replicator.start();
  await replicator.ready();
  await makeCollection(rig.source, name);
  await untilLoaded(rig.target, name);
  await insert(rig.source, name, 0, SETTLED);
  await untilCounted(rig.env, name, SETTLED);
  note(`${replicator.label}: ${count} single rows`);
  const { source, target } = await measureLag(rig.env, name, 1_000_000, count);
  await replicator.stop();
  const cells = (values: readonly number[]) => [0.5, 0.95, 1].map((q) => fixed(quantile(values, q), 3));
  const above = quantile(target, 0.5) - quantile(source, 0.5);
  return [
    [replicator.label, ...cells(target), fixed(above, 3)],
    [`the source itself, beside ${replicator.label}`, ...cells(source), ""],
  ];
}

if (import.meta.main) {
  const count = numberArgument("count", 60, 10);
  const results: string[][] = [];
  await eachReplicator(PREFIX, async (rig, replicator) => {
    results.push(...await lag(rig, replicator, count));
  });
  printFigure({
    title: `Lag of one row, ${count} rows`,
    command: "deno task bench lag",
    head: ["", "p50 s", "p95 s", "max s", "p50 above the source's own"],
    rows: results,
    notes: ["From the source's acknowledgement until a query by key at Eventually returns the row, asked every 5 ms."],
  });
}
