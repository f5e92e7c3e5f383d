import type { Component } from "./component.ts";
import { etcd } from "./components/etcd.ts";
import { kafka } from "./components/kafka.ts";
import { lite } from "./components/lite.ts";
import { milvus, type MilvusSettings } from "./components/milvus.ts";
import { s3 } from "./components/s3.ts";
import { kafkaArchiveOption } from "./kafka_archive.ts";
import { type StackControl, stackControl, startComponent } from "./control.ts";
import { install, type Software } from "./install.ts";
import { choosePorts, type Ports } from "./ports.ts";
import { launch, ownProcess } from "./process.ts";
import { type ComponentName, COMPONENTS, type Profile } from "./profile.ts";
import {
  aliveComponents,
  endOrphans,
  endStack,
  GUARD,
  listStacks,
  readRecord,
  runRoot,
  type StackRecord,
  writePid,
  writeRecord,
} from "./run_folder.ts";
import { StackError } from "./stack_error.ts";

export interface StackOptions {
  /** Stacks of different names run side by side. Default: the profile and this process' id. */
  name?: string;
  /** First of 40 ports in a row. Default: free ones are found. */
  basePort?: number;
  /** What to leave out, such as `["lite"]`. */
  without?: readonly ComponentName[];
  /** What {@link StackControl.start} begins when somebody wants it, such as `["lite"]`. */
  later?: readonly ComponentName[];
  /** Servers run as a production's do, not for a quick start. */
  isMeasured?: boolean;
  /** Settings of the source's milvus.yaml over the stack's own, with dotted keys. */
  source?: MilvusSettings;
  /** The same for the target. */
  target?: MilvusSettings;
  /** The stack goes on when this process ends. Default false: a guard process ends it then, even after a SIGKILL. */
  keep?: boolean;
  log?: (line: string) => void;
  /** Stops the start; what was started is ended. */
  signal?: AbortSignal;
}

/** A stack that this process started. Disposing it ends every process and removes the data. */
export interface Stack extends StackControl, AsyncDisposable {
  /** Ends every process and removes the run folder; `keepLogs` leaves `logs/` in it. */
  down(options?: { keepLogs?: boolean }): Promise<void>;
}

/**
 * Installs what is missing and starts the processes of a profile. When anything fails, everything that was started is
 * ended and the logs stay in the run folder.
 */
export async function startStack(profile: Profile, options: StackOptions = {}): Promise<Stack> {
  const log = options.log ?? (() => {});
  const name = options.name ?? `${profile}-${Deno.pid}`;
  if (!/^[A-Za-z0-9_.-]+$/.test(name)) {
    throw new StackError(`"${name}" is no name for a stack: use letters, digits, - and _`);
  }
  for (const orphan of await endOrphans()) log(`ended the stack ${orphan}, whose owner is gone`);
  const dir = `${runRoot()}/${name}`;
  const previous = await readRecord(dir);
  if (previous !== undefined && aliveComponents(dir, previous).length > 0) {
    throw new StackError(`The stack ${name} runs already in ${dir}. Stop it with: deno task stack down --name ${name}`);
  }
  const software = await install(profile, { log, signal: options.signal });
  await endStack(dir);
  await Deno.mkdir(`${dir}/logs`, { recursive: true });
  try {
    const { ports, record } = await reservePorts(dir, name, profile, options);
    const context: Context = { dir, ports, software, options, record, log, started: performance.now() };
    await startAll(profile, context);
    const env = stackEnvironment(profile, name, context);
    await Deno.writeTextFile(`${dir}/env`, Object.entries(env).map(([key, value]) => `${key}=${value}\n`).join(""));
    const down: Stack["down"] = (options) => endStack(dir, options);
    return {
      ...stackControl(dir, record, env),
      down,
      [Symbol.asyncDispose]: () => down(),
    };
  } catch (thrown) {
    await endStack(dir, { keepLogs: (await readRecord(dir)) !== undefined });
    throw thrown;
  }
}

interface Context {
  dir: string;
  ports: Ports;
  software: Software;
  options: StackOptions;
  /** Grows by each component that is launched. */
  record: StackRecord;
  log: (line: string) => void;
  /** `performance.now()` at the first launch. */
  started: number;
}

/** Chooses ports and writes the record that tells other stacks about them, and starts the guard. */
async function reservePorts(
  dir: string,
  name: string,
  profile: Profile,
  options: StackOptions,
): Promise<{ ports: Ports; record: StackRecord }> {
  using lock = await Deno.open(`${runRoot()}/ports.lock`, { create: true, write: true });
  await lock.lock(true);
  const taken = new Set((await listStacks()).map(({ record }) => record.basePort));
  const ports = choosePorts(taken, options.basePort);
  const record: StackRecord = { name, profile, basePort: ports.base, components: [] };
  if (!options.keep) record.owner = ownProcess();
  writeRecord(dir, record);
  if (record.owner !== undefined) {
    const args = [`${import.meta.dirname}/guard.sh`, String(record.owner.pid), record.owner.ticks, dir];
    await writePid(dir, GUARD, await launch({ command: "sh", args, env: {}, cwd: "/", log: "/dev/null" }));
  }
  return { ports, record };
}

/** Each component starts as soon as what it needs answers. */
async function startAll(profile: Profile, context: Context): Promise<void> {
  const failed = new AbortController();
  const { dir, log, options, record } = context;
  const signal = options.signal === undefined ? failed.signal : AbortSignal.any([failed.signal, options.signal]);
  const running = new Map<ComponentName, Promise<void>>();
  const start = async (name: ComponentName): Promise<void> => {
    await Promise.all((NEEDS[profile][name] ?? []).map((needed) => running.get(needed)));
    signal.throwIfAborted();
    await Deno.mkdir(`${dir}/${name}`, { recursive: true });
    const component = await describe(name, profile, context);
    record.components.push(component);
    writeRecord(dir, record);
    if (options.later?.includes(name)) return;
    await startComponent(dir, component, signal);
    log(`${name} is ready (${((performance.now() - context.started) / 1000).toFixed(1)} s)`);
  };
  for (const name of COMPONENTS[profile]) {
    if (!options.without?.includes(name)) {
      running.set(name, start(name).catch((thrown) => (failed.abort(thrown), Promise.reject(thrown))));
    }
  }
  const outcomes = await Promise.allSettled(running.values());
  if (outcomes.some((outcome) => outcome.status === "rejected")) throw failed.signal.reason;
}

const NEEDS: Record<Profile, Partial<Record<ComponentName, readonly ComponentName[]>>> = {
  full: { source: ["etcd", "kafka", "s3"], target: ["etcd", "s3"] },
  demo: { source: ["kafka"] },
};

const ROOT = { source: "by-dev-src", target: "by-dev-dst" };
const BUCKET = { source: "a-bucket", target: "b-bucket" };
const S3_KEY = "minioadmin";

async function describe(name: ComponentName, profile: Profile, context: Context): Promise<Component> {
  const { ports, software } = context;
  const dir = `${context.dir}/${name}`;
  const log = `${context.dir}/logs/${name}.log`;
  switch (name) {
    case "etcd":
      return etcd({ dir, log, port: ports.etcd, peerPort: ports.etcdPeer });
    case "kafka":
      return await kafka({
        ...{ dir, log, classpath: software.kafkaClasspath },
        ...{ port: ports.kafka, controllerPort: ports.kafkaController },
        ...{ java: [kafkaArchiveOption()], isMeasured: context.options.isMeasured === true },
      });
    case "s3":
      return await s3({
        dir,
        log,
        versitygw: software.versitygw,
        port: ports.s3,
        accessKey: S3_KEY,
        secretKey: S3_KEY,
      });
    case "lite":
      return lite({ dir, log, python: software.litePython, port: ports.lite });
    case "source":
    case "target": {
      const etcdPort = name === "source" ? ports.sourceEtcd : ports.targetEtcd;
      return await milvus({
        ...{ name, dir, log, software: software.milvus, port: ports[name], rootPath: ROOT[name] },
        metadata: profile === "full"
          ? { kind: "etcd", endpoint: `127.0.0.1:${ports.etcd}` }
          : { kind: "embedded", clientPort: etcdPort, peerPort: etcdPort + 1 },
        storage: profile === "full"
          ? { kind: "s3", port: ports.s3, bucket: BUCKET[name], accessKey: S3_KEY, secretKey: S3_KEY }
          : { kind: "local" },
        // The target's queue is its own affair: rocksmq spares the broker half of its work.
        queue: name === "source" ? { kind: "kafka", brokers: `127.0.0.1:${ports.kafka}` } : { kind: "rocksmq" },
        settings: context.options[name] ?? {},
      });
    }
  }
}

/** What tests and scripts read by `stackEnv()`. */
function stackEnvironment(profile: Profile, name: string, context: Context): Record<string, string> {
  const { dir, ports, software } = context;
  const address = (port: number) => `127.0.0.1:${port}`;
  const http = (port: number) => `http://${address(port)}`;
  const full = profile === "full";
  return {
    STACK_NAME: name,
    STACK_PROFILE: profile,
    STACK_DIR: dir,
    BASE_PORT: String(ports.base),
    KAFKA_BROKERS: address(ports.kafka),
    KAFKA_CLASSPATH: software.kafkaClasspath,
    ETCD_ENDPOINT: address(full ? ports.etcd : ports.sourceEtcd),
    SOURCE_ETCD: address(full ? ports.etcd : ports.sourceEtcd),
    TARGET_ETCD: address(full ? ports.etcd : ports.targetEtcd),
    SOURCE_URI: http(ports.source),
    SOURCE_ROOT: ROOT.source,
    SOURCE_MANAGEMENT: http(ports.source + 9),
    TARGET_URI: http(ports.target),
    TARGET_ROOT: ROOT.target,
    TARGET_MANAGEMENT: http(ports.target + 9),
    ...(full
      ? {
        S3_ENDPOINT: http(ports.s3),
        S3_ACCESS_KEY: S3_KEY,
        S3_SECRET_KEY: S3_KEY,
        S3_ROOT_PATH: "files",
        SOURCE_BUCKET: BUCKET.source,
        TARGET_BUCKET: BUCKET.target,
        MILVUS_LITE_URI: http(ports.lite),
        LITE_PYTHON: software.litePython,
      }
      : { SOURCE_FILES: `${dir}/source/local`, TARGET_FILES: `${dir}/target/local` }),
    PYTHON: software.python,
  };
}
