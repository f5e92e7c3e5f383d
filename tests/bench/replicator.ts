/** Tidemark and milvus-cdc as processes that can be started, stopped and started again where they were. */
import { TidemarkSetup } from "../integration/pipeline/tidemark_process.ts";
import { clean, note, type Rig, until, withRig } from "./rig.ts";

export interface Replicator extends AsyncDisposable {
  readonly label: string;
  /** Resolves as soon as the process is there. */
  start(): Promise<{ readonly pid: number }>;
  /** Resolves when it carries what is written from now on. */
  ready(): Promise<void>;
  /** In order, as an operator would. */
  stop(): Promise<void>;
}

/** Exit status of a run that SIGTERM ended in order. */
const STOPPED = 143;

/** Tidemark with its default settings; `extra` as in a configuration file. */
export async function tidemark(
  rig: Rig,
  include: readonly string[],
  extra: Record<string, unknown> = {},
): Promise<Replicator> {
  const setup = await TidemarkSetup.make({
    env: rig.env,
    include,
    // It is started before its collections are there.
    transforms: { select: { include, allow_empty: true } },
    extra,
  });
  let running: ReturnType<TidemarkSetup["start"]> | undefined;
  let began = "";
  return {
    label: "Tidemark",
    start: () => {
      began = new Date().toISOString();
      const started = running = setup.start(["run"]);
      started.exit.then(({ code, stderr }) => {
        if (code !== 0 && code !== STOPPED) note(`tidemark ended with ${code}: ${stderr}`);
      });
      return Promise.resolve(started);
    },
    ready: () =>
      until("Tidemark reaching the log's end", 60, async () => {
        const status = await setup.status();
        return status !== undefined && status.phase === "tail" && status.at > began;
      }, 20),
    stop: async () => void await running?.stop(),
    [Symbol.asyncDispose]: () => setup[Symbol.asyncDispose](),
  };
}

export interface CdcSettings {
  readonly label: string;
  readonly packMs: number;
  readonly packCount: number;
  readonly tickMs: number;
}

export const CDC_SETTINGS: readonly CdcSettings[] = [
  { label: "milvus-cdc, defaults", packMs: 5000, packCount: 10, tickMs: 500 },
  { label: "milvus-cdc, tuned (packer 100 ms)", packMs: 100, packCount: 1, tickMs: 100 },
];

/** The binary of milvus-cdc; undefined: it is left out of the figures. */
export function cdcBinary(): string | undefined {
  return Deno.env.get("MILVUS_CDC") || undefined;
}

/**
 * Runs `work` while the target accepts milvus-cdc, which needs `common.ttMsgEnabled: false` there; the target is restarted
 * before and after.
 */
export async function withCdcTarget(rig: Rig, work: () => Promise<void>): Promise<void> {
  const set = async (enabled: boolean) => {
    await rig.stack.configure("target", { "common.ttMsgEnabled": enabled });
    await rig.stack.stop("target", { graceMs: 20_000 });
    await rig.stack.start("target");
    await rig.target.call("wait_ready");
  };
  note("restarting the target for milvus-cdc");
  await set(false);
  try {
    await work();
  } finally {
    await set(true);
  }
}

/** milvus-cdc with a task for every collection, its positions in the stack's etcd. */
export async function milvusCdc(rig: Rig, binary: string, settings: CdcSettings): Promise<Replicator> {
  const folder = await Deno.makeTempDir({ prefix: "tidemark_bench_cdc_" });
  const port = freePort();
  await Deno.mkdir(`${folder}/configs`);
  const values: Record<string, string> = {
    ...rig.env,
    PORT: String(port),
    STORE: `bench-cdc-${crypto.randomUUID().slice(0, 8)}`,
    TICK_MS: String(settings.tickMs),
    PACK_MS: String(settings.packMs),
    PACK_COUNT: String(settings.packCount),
  };
  const template = await Deno.readTextFile(new URL("milvus_cdc.yaml", import.meta.url));
  const text = template.replace(/\$\{(\w+)\}/g, (form, key) => values[key] ?? form);
  await Deno.writeTextFile(`${folder}/configs/cdc.yaml`, text);
  const url = `http://127.0.0.1:${port}/cdc`;
  let child: Deno.ChildProcess | undefined;
  let created = false;

  const stop = async () => {
    const ending = child;
    child = undefined;
    if (ending === undefined) return;
    ending.kill("SIGTERM");
    const late = setTimeout(() => ending.kill("SIGKILL"), 10_000);
    await ending.status;
    clearTimeout(late);
  };
  return {
    label: settings.label,
    start: () => {
      child = new Deno.Command("sh", {
        args: ["-c", 'cd "$1" && exec "$2" >>cdc.log 2>&1', "sh", folder, binary],
        stdin: "null",
      }).spawn();
      return Promise.resolve(child);
    },
    ready: async () => {
      const ask = async (type: string, data: unknown): Promise<{ code?: number; message?: string }> => {
        const body = JSON.stringify({ request_type: type, request_data: data });
        const answer = await fetch(url, { method: "POST", body, signal: AbortSignal.timeout(30_000) });
        return await answer.json();
      };
      await until("milvus-cdc answering", 60, () => ask("list", {}).then(() => true, () => false));
      if (created) return;
      const answer = await ask("create", {
        milvus_connect_param: { uri: rig.env.TARGET_URI, token: "root:Milvus", connect_timeout: 10 },
        collection_infos: [{ name: "*" }],
      });
      if (answer.code !== 200) throw new Error(`milvus-cdc refused the task: ${JSON.stringify(answer)}`);
      created = true;
    },
    stop,
    [Symbol.asyncDispose]: async () => {
      await stop();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

function freePort(): number {
  using listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  return listener.addr.port;
}

/** Calls `measure` with Tidemark and, where the other program is there, with each of its settings, on an empty `prefix`. */
export async function eachReplicator(
  prefix: string,
  measure: (rig: Rig, replicator: Replicator) => Promise<void>,
): Promise<void> {
  await withRig(async (rig) => {
    await clean(rig, prefix);
    {
      await using replicator = await tidemark(rig, [`default.${prefix}*`]);
      await measure(rig, replicator);
    }
    await clean(rig, prefix);
    const binary = cdcBinary();
    if (binary === undefined) return;
    await withCdcTarget(rig, async () => {
      for (const settings of CDC_SETTINGS) {
        await using replicator = await milvusCdc(rig, binary, settings);
        await measure(rig, replicator);
        await clean(rig, prefix);
      }
    });
  });
}
