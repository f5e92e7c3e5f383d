/** Everything around a command: configuration, redaction, log, signals; and what becomes of its errors. */
import {
  type Components,
  configError,
  createComponents,
  loadConfig,
  type LoadedConfig,
  maskedConfig,
} from "../config/mod.ts";
import { EXIT, TidemarkError, toTidemarkError } from "../pipeline/errors.ts";
import { formatJson } from "../pipeline/json.ts";
import type { CommandContext } from "./context.ts";
import { type Level, openLog } from "./log.ts";
import { crashPointsFrom } from "./crash_hook.ts";
import { LiveBlock } from "./progress.ts";
import { describeError, errorObject } from "./report_error.ts";
import { listenForSignals } from "./signals.ts";
import { supervised } from "./supervised.ts";
import { redacted, type Terminal } from "./terminal.ts";
import { VERSION } from "./version.ts";

/** The options that every command has. */
export interface SharedOptions {
  readonly config?: readonly string[];
  readonly json?: boolean;
  readonly logLevel?: Level;
  readonly logJson?: boolean;
  /** See `supervised.ts`. */
  readonly supervised?: boolean;
}

export type Command = (context: CommandContext, loaded: () => LoadedConfig) => number | Promise<number>;

/** Runs a command and returns the exit status; the one place where its errors are printed. */
export async function runSession(process: Terminal, options: SharedOptions, command: Command): Promise<number> {
  const server = options.supervised === true ? await supervised(process, Deno.stdin.readable) : undefined;
  const raw = server?.terminal ?? process;
  const lines = server !== undefined;
  let redact = (text: string) => text;
  const terminal = redacted(raw, () => redact);
  const json = options.json === true || lines;
  using signals = listenForSignals(terminal);
  const screen = new LiveBlock(terminal);
  let components: Components | undefined;
  let loaded: LoadedConfig | undefined;
  const load = (): LoadedConfig => {
    if (loaded !== undefined) return loaded;
    const files = server === undefined ? options.config ?? [] : ["task"];
    if (files.length === 0) {
      throw new TidemarkError("usage", "No configuration: expected --config FILE", {
        hint: "tidemark run --config pipeline.yaml; config/examples/ has some to start from.",
      });
    }
    loaded = loadConfig(files, {
      environment: terminal.env,
      ...(server === undefined
        ? {}
        : { readText: (path) => path === "task" ? server.config : Deno.readTextFileSync(path) }),
    });
    redact = loaded.redact;
    return loaded;
  };
  const config = () => {
    const { config, problems, redact } = load();
    if (config === undefined) throw configError(problems, redact);
    return config;
  };
  let status: number;
  try {
    await using log = await openLog({
      level: options.logLevel ?? "info",
      json: options.logJson === true || lines,
      write: (line) => {
        screen.clear();
        terminal.err(line);
      },
    });
    const context: CommandContext = {
      terminal,
      screen,
      log,
      json,
      lines,
      files: options.config ?? [],
      stop: signals.stop,
      kill: signals.kill,
      config,
      shown: () => ({ config: (maskedConfig(load()) ?? {}) as Record<string, unknown>, redact: load().redact }),
      components: () =>
        components ??= createComponents(config(), {
          program: `tidemark ${VERSION}`,
          passed: crashPointsFrom(terminal.env("TIDEMARK_CRASH_AT")),
          onWaiting: (component, reason) =>
            reason === undefined ? log.info(`${component} goes on`) : log.warning(`${component} waits: ${reason}`),
          onRetry: (component, error) => log.debug(`${component} tries again: ${error.message}`),
        }),
    };
    // Not in a `finally`: what fails at the end must not hide why the command failed.
    await using _opened = { [Symbol.asyncDispose]: async () => await components?.[Symbol.asyncDispose]() };
    status = await command(context, load);
  } catch (thrown) {
    screen.end();
    status = report(thrown, terminal, { json, lines }, signals.exitCode);
  }
  return signals.exitCode !== undefined && (status === EXIT.ok || status === EXIT.partial) ? signals.exitCode : status;
}

function report(
  thrown: unknown,
  terminal: Terminal,
  { json, lines }: { readonly json: boolean; readonly lines: boolean },
  signalled: number | undefined,
): number {
  const error = toTidemarkError(thrown);
  // Whoever pressed Ctrl-C knows why it ended.
  if (error.code === "aborted" && signalled !== undefined) return signalled;
  if (json) terminal.out(formatJson(errorObject(error), lines ? undefined : 2) + "\n");
  terminal.err(describeError(thrown, { stack: (terminal.env("TIDEMARK_DEBUG") ?? "") !== "" }));
  return error.exitCode;
}
