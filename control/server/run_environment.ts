/** How the processes of tasks are started: which program, with which environment, memory and state. */
import type { CheckedText, ServerFile } from "../../config/mod.ts";
import { hasOwnState } from "./own_state.ts";
import { startWorker, type Worker, type WorkerOptions } from "./worker.ts";

export interface StartOptions extends Pick<WorkerOptions, "command" | "onStatus" | "onDdl" | "onLog" | "stuckAfterMs"> {
  readonly checked: CheckedText;
}

export interface RunEnvironment {
  /** A variable that tasks may use. */
  readonly lookup: (name: string) => string | undefined;
  readonly start: (options: StartOptions) => Worker;
  /** The configuration that its process gets: with the server's own state where it names none. */
  readonly textOf: (checked: CheckedText) => string;
}

/** What every process needs of the environment, beside the variables that tasks may use. */
const ALWAYS = [
  "PATH",
  "HOME",
  "DENO_DIR",
  "TMPDIR",
  "TZ",
  "LANG",
  "NPM_CONFIG_REGISTRY",
  "SSL_CERT_FILE",
  "DENO_CERT",
];

export interface RunEnvironmentOptions {
  readonly file: ServerFile;
  readonly variable: (name: string) => string | undefined;
  /** Default: this program. */
  readonly program?: readonly string[];
}

export function runEnvironment(
  { file, variable, program = ownProgram(file.tasks.memory) }: RunEnvironmentOptions,
): RunEnvironment {
  const lookup = (name: string) => file.server.environment.includes(name) ? variable(name) : undefined;
  const environment: Record<string, string> = {};
  for (const name of [...ALWAYS, ...file.server.environment]) {
    const value = variable(name);
    if (value !== undefined) environment[name] = value;
  }
  const textOf = (checked: CheckedText): string =>
    JSON.stringify(
      hasOwnState(checked) ? checked.plain : { ...checked.plain as object, state: stateOf(file.state) },
      null,
      1,
    );
  return {
    lookup,
    textOf,
    start: ({ checked, ...rest }) =>
      startWorker({ ...rest, program, environment, config: textOf(checked), drainMs: file.tasks.drain }),
  };
}

function ownProgram(memory: number): string[] {
  const main = new URL("../../main.ts", import.meta.url).pathname;
  return [
    Deno.execPath(),
    "run",
    "-A",
    "--quiet",
    `--v8-flags=--max-old-space-size=${Math.ceil(memory / 1048576)}`,
    main,
  ];
}

/** The server's own state as a configuration says it: runs are kept beside the tasks, under their own names. */
export function stateOf(state: ServerFile["state"]): object {
  if (state.type === "file") return { ...state };
  const { lease, ...rest } = state;
  return { ...rest, lease: `${lease}ms` };
}
