/** What every figure needs: servers, a collection of the usual rows, and what a process has used so far. */
import { attachStack, type MilvusSettings, PyMilvus, type StackControl, startStack } from "../stack/mod.ts";

/** Source and target of a stack, driven from outside. */
export interface Rig {
  readonly stack: StackControl;
  readonly env: Record<string, string>;
  readonly source: PyMilvus;
  readonly target: PyMilvus;
}

/** Floats of a vector; with key, text and JSON a row is about 560 bytes on the log. */
export const DIM = 128;
/** Bytes of a row that count in MB/s: the vector's alone. */
export const VECTOR_BYTES = DIM * 4;

const FIELDS = [
  { name: "id", type: "Int64", primary: true },
  { name: "tag", type: "VarChar", max_length: 64 },
  { name: "doc", type: "JSON" },
  { name: "vec", type: "FloatVector", dim: DIM },
];
const INDEXES = [{ field: "vec", name: "vec", params: { index_type: "FLAT", metric_type: "L2" } }];

/**
 * Runs `work` against the stack that `TIDEMARK_STACK_ENV` names, or one of its own that is stopped afterwards. `target`: what
 * the milvus.yaml of its own says beside the usual.
 */
export async function withRig(work: (rig: Rig) => Promise<void>, target: MilvusSettings = {}): Promise<void> {
  if (Deno.env.get("TIDEMARK_STACK_ENV")) return await measure(await attachStack(), work);
  await using stack = await startStack("full", { without: ["lite"], isMeasured: true, target, log: note });
  await measure(stack, work);
}

async function measure(stack: StackControl, work: (rig: Rig) => Promise<void>): Promise<void> {
  const { env } = stack;
  await using source = await PyMilvus.start(env.SOURCE_URI!, { python: env.PYTHON! });
  await using target = await PyMilvus.start(env.TARGET_URI!, { python: env.PYTHON! });
  await work({ stack, env, source, target });
}

/** A new collection of the usual rows, one shard. */
export async function makeCollection(server: PyMilvus, name: string, load = true): Promise<void> {
  await server.call("create_collection", { name, fields: FIELDS, indexes: INDEXES, load });
}

/** Inserts rows number `start` and on. */
export async function insert(server: PyMilvus, name: string, start: number, count: number): Promise<void> {
  await server.call("insert_generated", { name, start, count, batch: 5000, plain: true });
}

/** Drops every collection of `prefix` on both sides. */
export async function clean(rig: Rig, prefix: string): Promise<void> {
  await Promise.all([rig.source, rig.target].map((server) => server.call("truncate_names", { prefix })));
}

/** Polls until `test` says true; throws after `seconds`. */
export async function until(
  what: string,
  seconds: number,
  test: () => Promise<boolean> | boolean,
  everyMs = 50,
): Promise<void> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    if (await test()) return;
    if (performance.now() > end) throw new Error(`${what} took longer than ${seconds} s`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

/** Resolves when the target has the collection loaded. Replicators make it by themselves. */
export async function untilLoaded(target: PyMilvus, name: string, seconds = 120): Promise<void> {
  await until(`Loading ${name} on the target`, seconds, async () => {
    try {
      return await target.call("load_state", { name }) === "Loaded";
    } catch {
      return false;
    }
  });
}

/** What a process has used up to now. */
export interface Usage {
  /** User and system time, seconds. */
  readonly cpu: number;
  /** Resident memory now and at its peak, MiB. */
  readonly rss: number;
  readonly peak: number;
}

/** Clock ticks a second of `/proc`; 100 on every Linux that Deno runs on. */
const TICKS = 100;

export function usageOf(pid: number): Usage {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  const mib = (key: string) => parseInt(status.match(new RegExp(`^${key}:\\s+(\\d+)`, "m"))![1]!, 10) / 1024;
  return {
    cpu: (parseInt(fields[11]!, 10) + parseInt(fields[12]!, 10)) / TICKS,
    rss: mib("VmRSS"),
    peak: mib("VmHWM"),
  };
}

/** Samples a process until it ends; the last sample is what it used. */
export function watchUsage(pid: number, everyMs = 20): { readonly last: Usage; stop(): Usage } {
  let last = usageOf(pid);
  const timer = setInterval(() => {
    try {
      last = usageOf(pid);
    } catch {
      clearInterval(timer);
    }
  }, everyMs);
  return {
    get last() {
      return last;
    },
    stop: () => {
      clearInterval(timer);
      return last;
    },
  };
}

/** Progress, to standard error: standard output is the table alone. */
export function note(line: string): void {
  console.error(`  ${line}`);
}
