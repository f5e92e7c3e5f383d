/**
 * A copy without a queue over many segments: one is made on a real source and copied; then, with the source stopped, its keys in
 * etcd and its files are there again under as many other ids, and the state says that they were copied. What is measured is the
 * step of a run in which nothing has changed.
 *
 *     deno run -A tests/bench/files_step.ts [--segments 20000]
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { createComponents, flowDependencies, loadCheckedConfig } from "../../config/mod.ts";
import { noCrashPoints, startRun } from "../../pipeline/flow/mod.ts";
import { formatJson, parseJson } from "../../pipeline/json.ts";
import { SegmentInfoSchema } from "../../pipeline/proto/gen/data_coord_pb.ts";
import { connectEtcd, type EtcdClient } from "../../stores/mod.ts";
import { stackSources, TidemarkSetup } from "../integration/pipeline/tidemark_process.ts";
import { PyMilvus, startStack } from "../stack/mod.ts";
import { numberArgument } from "./arguments.ts";
import { insert, makeCollection, note, until, usageOf } from "./rig.ts";
import { fixed, printFigure } from "./table.ts";

const STEPS = 4;
const NAME = "bench_files_step";
/** etcd takes 128 in one transaction. */
const AT_ONCE = 100;

interface Step {
  readonly seconds: number;
  readonly cpu: number;
}

/** The steps of a run in this process, until there are enough. */
async function follow(path: string): Promise<{ steps: Step[]; peak: number }> {
  const { config } = loadCheckedConfig([path]);
  await using components = createComponents(config, { program: "bench" });
  const deps = await flowDependencies(components, {
    report: {
      warn: (_, text) => note(text),
      info: note,
      ddl: () => {},
      blocked: (name, error) => note(`${name}: ${error}`),
    },
    now: Date.now,
    crash: noCrashPoints,
  });
  const stop = new AbortController();
  const never = new AbortController().signal;
  const steps: Step[] = [];
  let begun = { at: 0, cpu: 0 };
  const now = () => ({ at: performance.now(), cpu: usageOf(Deno.pid).cpu });
  const measured = {
    ...deps,
    meta: {
      ...deps.meta,
      snapshot: (signal: AbortSignal) => {
        begun = now();
        return deps.meta.snapshot(signal);
      },
      watch: deps.meta.watch.bind(deps.meta),
      lookup: deps.meta.lookup.bind(deps.meta),
    },
    // A step ends with it.
    crash: (point: string) => {
      if (point !== "between_ack_and_checkpoint") return;
      const { at, cpu } = now();
      steps.push({ seconds: (at - begun.at) / 1000, cpu: cpu - begun.cpu });
      if (steps.length > STEPS) stop.abort();
    },
  };
  await startRun(measured, { end: { kind: "follow" } }, stop.signal, never).result.catch((error) => {
    if (!stop.signal.aborted) throw error;
  });
  return { steps, peak: usageOf(Deno.pid).peak };
}

/** The one segment again, `count` times: its keys and its files. Returns their ids. */
async function multiply(etcd: EtcdClient, root: string, folder: string, count: number): Promise<bigint[]> {
  const prefix = `${root}/meta/datacoord-meta/`;
  const kvs = [];
  for await (const page of etcd.range(prefix)) kvs.push(...page.kvs);
  const key = kvs.find((kv) => kv.key.startsWith(`${prefix}s/`))!;
  const info = fromBinary(SegmentInfoSchema, key.value);
  const own = kvs.filter((kv) => kv.key.includes(`/${info.ID}`));
  const files: string[] = [];
  for (const kind of ["insert_log", "stats_log"]) {
    const segment = `${kind}/${info.collectionID}/${info.partitionID}/${info.ID}`;
    for await (const field of Deno.readDir(`${folder}/${segment}`)) {
      for await (const file of Deno.readDir(`${folder}/${segment}/${field.name}`)) {
        files.push(`${segment}/${field.name}/${file.name}`);
      }
    }
  }
  const ids = Array.from({ length: count }, (_, i) => info.ID + 1_000_000n + BigInt(i));
  let writes: { key: string; value: Uint8Array }[] = [];
  const flush = async () => {
    if (writes.length > 0) await etcd.transact([], writes);
    writes = [];
  };
  for (const id of ids) {
    for (const kv of own) {
      const value = kv === key ? toBinary(SegmentInfoSchema, create(SegmentInfoSchema, { ...info, ID: id })) : kv.value;
      writes.push({ key: kv.key.replace(`/${info.ID}`, `/${id}`), value });
      if (writes.length >= AT_ONCE) await flush();
    }
    for (const file of files) {
      const to = `${folder}/${file.replace(`/${info.ID}/`, `/${id}/`)}`;
      Deno.mkdirSync(to.slice(0, to.lastIndexOf("/")), { recursive: true });
      Deno.linkSync(`${folder}/${file}`, to);
    }
  }
  await flush();
  note(`${ids.length} segments of ${own.length} keys and ${files.length} files`);
  return ids;
}

async function figure(segments: number): Promise<void> {
  await using stack = await startStack("full", {
    without: ["kafka", "s3", "lite"],
    source: { "mq.type": "rocksmq", "common.storageType": "local" },
    target: { "common.storageType": "local" },
    isMeasured: true,
    log: note,
  });
  const env: Record<string, string> = { ...stack.env, SOURCE_FILES: `${stack.dir}/source/local` };
  await using setup = await TidemarkSetup.make({
    env,
    include: [`default.${NAME}`],
    extra: { sources: { ...stackSources(env), log: { type: "files", poll: "1s" } } },
  });
  {
    await using source = await PyMilvus.start(env.SOURCE_URI!, { python: env.PYTHON! });
    await makeCollection(source, NAME, false);
    await insert(source, NAME, 0, 10);
    await source.call("flush", { name: NAME });
  }
  const state = `${setup.folder}/state/test.state.json`;
  await until("The segment's copy", 300, async () => {
    await setup.once();
    return /"segments": \[\s*\d+/.test(await Deno.readTextFile(state));
  }, 2000);
  await stack.kill("source");
  await using etcd = connectEtcd({ endpoints: [env.ETCD_ENDPOINT!] });
  const ids = await multiply(etcd, env.SOURCE_ROOT!, env.SOURCE_FILES!, segments - 1);
  const kept = parseJson(await Deno.readTextFile(state), { bigint: "all" }) as unknown as {
    sinks: Record<string, { collections: { files: { segments: bigint[] } }[] }>;
  };
  kept.sinks.replica!.collections[0]!.files.segments.push(...ids);
  await Deno.writeTextFile(state, formatJson(kept as unknown as Parameters<typeof formatJson>[0]));
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", import.meta.filename!, "follow", setup.config],
    stdout: "piped",
    stderr: "inherit",
  }).output();
  if (!success) throw new Error("The run failed");
  const { steps, peak } = JSON.parse(new TextDecoder().decode(stdout)) as Awaited<ReturnType<typeof follow>>;
  printFigure({
    title: `A step over ${segments} unchanged segments`,
    command: "deno task bench files_step",
    head: ["", "s", "CPU s", "peak RSS MiB"],
    rows: steps.map(({ seconds, cpu }, i) => [`step ${i + 1}`, fixed(seconds), fixed(cpu), fixed(peak, 0)]),
    notes: [
      "From the reading of the metadata, of a real etcd, to the end of the step; files in a folder. The source is stopped, so no checkpoint moves and no file is asked for.",
    ],
  });
}

if (Deno.args[0] === "follow") console.log(JSON.stringify(await follow(Deno.args[1]!)));
else if (import.meta.main) await figure(numberArgument("segments", 20_000, 500));
