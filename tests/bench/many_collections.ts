/**
 * The same rows in one collection and in many: base copy by a first `run --once`, then as many rows again by a second one,
 * from the log.
 *
 *     deno run -A tests/bench/many_collections.ts [--collections 200] [--each 100] [--small]
 */
import { TidemarkSetup } from "../integration/pipeline/tidemark_process.ts";
import { numberArgument } from "./arguments.ts";
import { clean, insert, makeCollection, note, type Rig, watchUsage, withRig } from "./rig.ts";
import { fixed, printFigure } from "./table.ts";

const PREFIX = "bench_many";
/** Calls to the source at once while the collections are made. */
const AT_ONCE = 4;

async function each(names: readonly string[], work: (name: string) => Promise<unknown>): Promise<void> {
  const left = names.values();
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (const name of left) await work(name);
  }));
}

async function timed(setup: TidemarkSetup): Promise<{ seconds: number; cpu: number; peak: number }> {
  const began = performance.now();
  const running = setup.start(["run", "--once"]);
  const watch = watchUsage(running.pid);
  const report = await running.exit;
  const seconds = (performance.now() - began) / 1000;
  if (report.code !== 0) throw new Error(`run --once ended with ${report.code}: ${report.stderr}`);
  return { seconds, ...watch.stop() };
}

async function copy(rig: Rig, count: number, rows: number): Promise<string[]> {
  const names = Array.from({ length: count }, (_, i) => `${PREFIX}_${i}`);
  note(`making ${count} collections of ${rows} rows`);
  await each(names, async (name) => {
    await makeCollection(rig.source, name, false);
    await insert(rig.source, name, 0, rows);
    await rig.source.call("flush", { name });
  });
  await using setup = await TidemarkSetup.make({ env: rig.env, include: [`default.${PREFIX}_*`] });
  note("base copy");
  const base = await timed(setup);
  await each(names, (name) => insert(rig.source, name, rows, rows));
  note("tail");
  const tail = await timed(setup);
  return [
    `${count} x ${rows} rows`,
    fixed(base.seconds),
    fixed(base.cpu),
    fixed(tail.seconds),
    fixed(tail.cpu),
    fixed(Math.max(base.peak, tail.peak), 0),
  ];
}

if (import.meta.main) {
  const count = numberArgument("collections", 200, 20);
  const rows = numberArgument("each", 100, 100);
  const results: string[][] = [];
  await withRig(async (rig) => {
    for (const [collections, of] of [[1, count * rows], [count, rows]] as const) {
      await clean(rig, PREFIX);
      results.push(await copy(rig, collections, of));
    }
    await clean(rig, PREFIX);
  });
  printFigure({
    title: "One collection and many",
    command: "deno task bench many_collections",
    head: ["", "base s", "CPU s", "tail s", "CPU s", "peak RSS MiB"],
    rows: results,
    notes: [
      "Two `run --once`, the first copies flushed rows, the second as many from the log; start and end included.",
    ],
  });
}
