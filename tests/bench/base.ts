/**
 * Base copy of flushed rows: one `run --once` into an empty target.
 *
 *     deno run -A tests/bench/base.ts [--rows 200000] [--million] [--small]
 */
import { TidemarkSetup } from "../integration/pipeline/tidemark_process.ts";
import { hasArgument, numberArgument } from "./arguments.ts";
import { clean, insert, makeCollection, note, type Rig, until, VECTOR_BYTES, watchUsage, withRig } from "./rig.ts";
import { fixed, printFigure, thousands } from "./table.ts";

const PREFIX = "bench_base";

interface Once {
  readonly seconds: number;
  readonly cpu: number;
  readonly peak: number;
}

async function once(rig: Rig, include: string): Promise<Once> {
  await using setup = await TidemarkSetup.make({
    env: rig.env,
    include: [include],
    // What starting costs is measured with nothing to do.
    transforms: { select: { include: [include], allow_empty: true } },
  });
  const began = performance.now();
  const running = setup.start(["run", "--once"]);
  const watch = watchUsage(running.pid);
  const report = await running.exit;
  const seconds = (performance.now() - began) / 1000;
  const { cpu, peak } = watch.stop();
  if (report.code !== 0) throw new Error(`run --once ended with ${report.code}: ${report.stderr}`);
  return { seconds, cpu, peak };
}

async function base(rig: Rig, rows: number): Promise<string[]> {
  const name = `${PREFIX}_${crypto.randomUUID().slice(0, 8)}`;
  await makeCollection(rig.source, name, false);
  note(`writing and flushing ${rows} rows`);
  await insert(rig.source, name, 0, rows);
  await rig.source.call("flush", { name });
  const idle = await once(rig, `default.${PREFIX}_none`);
  const full = await once(rig, `default.${name}`);
  note(`copied in ${fixed(full.seconds)} s`);
  await rig.target.call("load_collection", { name });
  await until("counting the copy", 60, async () => await rig.target.call("count", { name }) === rows);
  const seconds = full.seconds - idle.seconds;
  return [
    thousands(rows),
    fixed(full.seconds),
    fixed(idle.seconds),
    thousands(rows / seconds),
    fixed(rows * VECTOR_BYTES / 1e6 / seconds, 1),
    fixed((full.cpu - idle.cpu) / rows * 1e6, 1),
    fixed(full.peak, 0),
  ];
}

if (import.meta.main) {
  const sizes = [numberArgument("rows", 200_000, 20_000), ...(hasArgument("million") ? [1_000_000] : [])];
  const results: string[][] = [];
  await withRig(async (rig) => {
    for (const rows of sizes) {
      await clean(rig, PREFIX);
      results.push(await base(rig, rows));
    }
    await clean(rig, PREFIX);
  });
  printFigure({
    title: "Base copy",
    command: `deno task bench base${hasArgument("million") ? " --million" : ""}`,
    head: ["rows", "s", "of it start and end", "rows/s", "MB/s", "CPU s per million rows", "peak RSS MiB"],
    rows: results,
    notes: [
      "`run --once` of one flushed collection into an empty target. A run with nothing to copy gives what start and end " +
      "take; rates and CPU are without it. MB/s counts the vectors only.",
    ],
  });
}
