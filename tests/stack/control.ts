import { lastLines } from "./command.ts";
import { type Component, isReady } from "./component.ts";
import { type MilvusSettings, setDotted } from "./components/milvus.ts";
import { parseEnvFile } from "./env.ts";
import { eventually } from "./eventually.ts";
import { patience } from "./patience.ts";
import { endProcess, isAlive, launch, signalProcess } from "./process.ts";
import type { ComponentName, Profile } from "./profile.ts";
import { readPid, readRecord, type StackRecord, writePid } from "./run_folder.ts";
import { StackError } from "./stack_error.ts";

/** Handles on the single processes of a running stack. */
export interface StackControl {
  readonly name: string;
  readonly profile: Profile;
  /** The run folder: data, `logs/`, `env`. */
  readonly dir: string;
  /** File of KEY=VALUE lines for `TIDEMARK_STACK_ENV`. */
  readonly envFile: string;
  readonly env: Record<string, string>;
  /** Whether the process of a component runs (a paused one does). */
  alive(name: ComponentName): boolean;
  /** Starts a component that does not run and waits until it answers. A Milvus answers before its loaded collections do. */
  start(name: ComponentName, signal?: AbortSignal): Promise<void>;
  /** SIGTERM, after `graceMs` (default 5000; more on a busy machine) SIGKILL; returns when the process is gone. Its data stays. */
  stop(name: ComponentName, options?: { graceMs?: number }): Promise<void>;
  /** SIGKILL; returns when the process is gone. */
  kill(name: ComponentName): Promise<void>;
  /** {@link kill} and {@link start}. */
  restart(name: ComponentName, signal?: AbortSignal): Promise<void>;
  /** SIGSTOP: the process keeps its connections and answers nothing. */
  pause(name: ComponentName): void;
  /** Ends a {@link pause}. */
  resume(name: ComponentName): void;
  /** Changes settings in a Milvus' milvus.yaml; they count from its next start. */
  configure(name: "source" | "target", settings: MilvusSettings): Promise<void>;
  /** The component's log file. */
  logFile(name: ComponentName): string;
}

/** Handles on the stack that an env file belongs to, from any process. `envFile` defaults to `TIDEMARK_STACK_ENV`. */
export async function attachStack(envFile?: string): Promise<StackControl> {
  const path = envFile ?? Deno.env.get("TIDEMARK_STACK_ENV");
  if (!path) throw new StackError("No test stack to attach to: TIDEMARK_STACK_ENV is not set");
  const env = parseEnvFile(await Deno.readTextFile(path));
  const dir = env.STACK_DIR;
  const record = dir === undefined ? undefined : await readRecord(dir);
  if (dir === undefined || record === undefined) {
    throw new StackError(`${path} is no env file of a stack that runs: STACK_DIR is missing or names no run folder`);
  }
  return stackControl(dir, record, env);
}

/** The handles over a run folder. */
export function stackControl(dir: string, record: StackRecord, env: Record<string, string>): StackControl {
  const component = (name: ComponentName): Component => {
    const found = record.components.find((component) => component.name === name);
    if (found !== undefined) return found;
    const names = record.components.map((component) => component.name).join(", ");
    throw new StackError(`The stack ${record.name} has no component ${name}; it has ${names}`);
  };
  const running = (name: ComponentName) => {
    const id = readPid(dir, component(name).name);
    if (id === undefined || !isAlive(id)) throw new StackError(`${name} of the stack ${record.name} does not run`);
    return id;
  };
  const control: StackControl = {
    name: record.name,
    profile: record.profile,
    dir,
    envFile: `${dir}/env`,
    env,
    alive: (name) => isAlive(readPid(dir, component(name).name)),
    start: (name, signal) => startComponent(dir, component(name), signal),
    async stop(name, options = {}) {
      if (control.alive(name)) await endProcess(running(name), (options.graceMs ?? 5000) * patience());
    },
    async kill(name) {
      if (control.alive(name)) await endProcess(running(name), 0);
    },
    async restart(name, signal) {
      await control.kill(name);
      await control.start(name, signal);
    },
    pause: (name) => signalProcess(running(name), "SIGSTOP"),
    resume: (name) => signalProcess(running(name), "SIGCONT"),
    async configure(name, settings) {
      const path = `${component(name).cwd}/configs/milvus.yaml`;
      const all = JSON.parse(await Deno.readTextFile(path));
      for (const [key, value] of Object.entries(settings)) setDotted(all, key, value);
      await Deno.writeTextFile(path, JSON.stringify(all, null, 1));
    },
    logFile: (name) => component(name).log,
  };
  return control;
}

/** Launches a component unless it runs, and waits until it answers. Throws at once when the process ends. */
export async function startComponent(dir: string, component: Component, signal?: AbortSignal): Promise<void> {
  const { name, log } = component;
  const ended = () => !isAlive(readPid(dir, name));
  if (ended()) await writePid(dir, name, await launch(component));
  let ready = false;
  try {
    await eventually(`${name} answers`, async () => {
      ready = await isReady(component.ready);
      return ready || signal?.aborted === true || ended();
    });
  } catch (cause) {
    throw new StackError(
      `${name} did not answer. Its log is ${log}, the end:\n${await lastLines(log, 12)}`,
      { cause },
    );
  }
  if (ready) return;
  signal?.throwIfAborted();
  throw new StackError(`${name} ended while it started. Its log is ${log}, the end:\n${await lastLines(log, 12)}`);
}
