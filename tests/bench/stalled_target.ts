/**
 * Memory of a run whose target does not answer while the log holds a backlog of gigabytes, and while it catches up.
 *
 *     deno run -A tests/bench/stalled_target.ts [--mib 2048] [--seconds 60] [--small]
 */
import { stalledFor } from "../integration/pipeline/stall.ts";
import { TidemarkSetup } from "../integration/pipeline/tidemark_process.ts";
import { numberArgument } from "./arguments.ts";
import { untilCounted } from "./probe.ts";
import { clean, note, type Rig, until, untilLoaded, usageOf, watchUsage, withRig } from "./rig.ts";
import { fixed, printFigure } from "./table.ts";

const PREFIX = "bench_stalled";
const MIB = 1024 ** 2;
/** Wide rows: the writer, not the log, decides how long it takes to fill a backlog. */
const DIM = 1024;
const ROW_BYTES = DIM * 4 + 32;

async function fill(rig: Rig, name: string, rows: number): Promise<void> {
  for (let start = 0; start < rows; start += 10_000) {
    const count = Math.min(10_000, rows - start);
    await rig.source.call("insert_generated", { name, start, count, batch: 500, plain: true });
    if (start % 50_000 === 0) note(`${start} of ${rows} rows written`);
  }
}

if (import.meta.main) {
  const mib = numberArgument("mib", 2048, 64);
  const seconds = numberArgument("seconds", 60, 10);
  await withRig(async (rig) => {
    await clean(rig, PREFIX);
    const name = `${PREFIX}_${crypto.randomUUID().slice(0, 8)}`;
    const rows = Math.ceil(mib * MIB / ROW_BYTES);
    await rig.source.call("create_collection", {
      name,
      shards: 2,
      fields: [{ name: "id", type: "Int64", primary: true }, { name: "vec", type: "FloatVector", dim: DIM }],
      indexes: [{ field: "vec", params: { index_type: "FLAT", metric_type: "L2" } }],
      load: true,
    });
    await using setup = await TidemarkSetup.make({ env: rig.env, include: [`default.${name}`] });
    const run = setup.start(["run"]);
    await until("Following the log", 60, async () => (await setup.status())?.phase === "tail");
    // It stands still while the backlog is made, then meets it with the target away.
    Deno.kill(run.pid, "SIGSTOP");
    await fill(rig, name, rows);
    note(`target stopped for ${seconds} s`);
    rig.stack.pause("target");
    let stalled;
    try {
      Deno.kill(run.pid, "SIGCONT");
      stalled = await stalledFor(seconds, setup, () => usageOf(run.pid).rss);
    } finally {
      rig.stack.resume("target");
    }
    const began = performance.now();
    const usage = watchUsage(run.pid);
    await untilLoaded(rig.target, name);
    await untilCounted(rig.env, name, rows);
    const took = (performance.now() - began) / 1000;
    const { peak } = usage.stop();
    await run.stop();
    await clean(rig, PREFIX);
    printFigure({
      title: `A backlog of ${mib} MiB on the log, the target stopped for ${seconds} s`,
      command: "deno task bench stalled_target",
      head: ["", "max"],
      rows: [
        ["RSS while the target is stopped, MiB", fixed(stalled.rss, 0)],
        ["bytes in flight, MiB (limit " + fixed(stalled.limit / MIB, 0) + ")", fixed(stalled.inFlight / MIB, 0)],
        ["RSS until it has caught up, MiB", fixed(peak, 0)],
        ["catching up, s", fixed(took, 0)],
      ],
      notes: [`${rows} rows of a key and a float vector of ${DIM} dimensions, two shards; default settings.`],
    });
    // A Milvus whose session in etcd ends meanwhile (after 30 s by default) does not go on: it exits.
  }, { "common.session.ttl": 2 * seconds + 60 });
}
