/**
 * What following costs while little is written: resident memory and CPU over a minute of small inserts; and how long a
 * start takes until the log is followed.
 *
 *     deno run -A tests/bench/follow_memory.ts [--seconds 60] [--small]
 */
import { numberArgument } from "./arguments.ts";
import { untilCounted } from "./probe.ts";
import { tidemark } from "./replicator.ts";
import { clean, insert, makeCollection, note, type Rig, untilLoaded, usageOf, withRig } from "./rig.ts";
import { fixed, printFigure, quantile } from "./table.ts";

const PREFIX = "bench_follow";
/** Rows of one insert, and the pause behind it. */
const ROWS = 20;
const PAUSE_MS = 100;
const STARTS = 5;

async function startUp(rig: Rig): Promise<number[]> {
  const seconds: number[] = [];
  for (let i = 0; i < STARTS; i++) {
    await using replicator = await tidemark(rig, [`default.${PREFIX}_none`]);
    const began = performance.now();
    await replicator.start();
    await replicator.ready();
    seconds.push((performance.now() - began) / 1000);
    await replicator.stop();
  }
  return seconds;
}

async function follow(rig: Rig, seconds: number) {
  const name = `${PREFIX}_${crypto.randomUUID().slice(0, 8)}`;
  await using replicator = await tidemark(rig, [`default.${name}`]);
  await makeCollection(rig.source, name);
  const { pid } = await replicator.start();
  await replicator.ready();
  await untilLoaded(rig.target, name);
  note(`writing for ${seconds} s`);
  const before = usageOf(pid);
  const began = performance.now();
  const rss: number[] = [];
  let rows = 0;
  for (; performance.now() - began < seconds * 1000; rows += ROWS) {
    await insert(rig.source, name, rows, ROWS);
    rss.push(usageOf(pid).rss);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  await untilCounted(rig.env, name, rows);
  const took = (performance.now() - began) / 1000;
  const after = usageOf(pid);
  await replicator.stop();
  return { rows, rate: rows / took, rss, peak: after.peak, cpu: (after.cpu - before.cpu) / took };
}

if (import.meta.main) {
  const seconds = numberArgument("seconds", 60, 10);
  await withRig(async (rig) => {
    await clean(rig, PREFIX);
    const starts = await startUp(rig);
    const { rate, rss, peak, cpu } = await follow(rig, seconds);
    await clean(rig, PREFIX);
    printFigure({
      title: "Following",
      command: "deno task bench follow_memory",
      head: ["", "p50", "max"],
      rows: [
        [`RSS over ${seconds} s at ${fixed(rate, 0)} rows/s, MiB`, fixed(quantile(rss, 0.5), 0), fixed(peak, 0)],
        ["CPU of one processor, %", fixed(cpu * 100, 1), ""],
        ["start until it follows the log, s", fixed(quantile(starts, 0.5)), fixed(quantile(starts, 1))],
      ],
      notes: [`The start is of a configuration that selects nothing, ${STARTS} times, until its status says so.`],
    });
  });
}
