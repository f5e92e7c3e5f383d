import { StackError } from "./stack_error.ts";

export interface CommandOptions {
  /** What the command is for, used in the error: "Installing Kafka". */
  purpose: string;
  /** File that takes stdout and stderr. */
  log: string;
  /** How to get the program when it is missing. */
  missing: string;
  cwd?: string;
  env?: Record<string, string>;
  signal?: AbortSignal;
}

/** Runs a program to its end, output to a log file. Throws {@link StackError} with the log's last lines when it fails. */
export async function runCommand(command: string, args: readonly string[], options: CommandOptions): Promise<void> {
  options.signal?.throwIfAborted();
  let output: Deno.CommandOutput;
  try {
    output = await new Deno.Command("sh", {
      args: ["-c", 'log=$1; shift; exec "$@" >>"$log" 2>&1 </dev/null', "sh", options.log, command, ...args],
      cwd: options.cwd,
      env: options.env,
      signal: options.signal,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).output();
  } catch (cause) {
    throw new StackError(`${options.purpose} failed: cannot run sh: ${cause instanceof Error ? cause.message : cause}`);
  }
  if (output.success) return;
  options.signal?.throwIfAborted();
  if (output.code === 127) {
    throw new StackError(`${options.purpose} failed: the program ${command} is not there. ${options.missing}`);
  }
  throw new StackError(
    `${options.purpose} failed: \`${[command, ...args].join(" ")}\` ended with ${output.code}. ` +
      `The whole output is in ${options.log}, its end:\n${await lastLines(options.log, 12)}`,
  );
}

/** The end of a log file, for error messages. */
export async function lastLines(path: string, count: number): Promise<string> {
  try {
    const lines = (await Deno.readTextFile(path)).trimEnd().split("\n").slice(-count);
    return lines.map((line) => `  ${line.slice(0, 400)}`).join("\n");
  } catch {
    return "  (no output)";
  }
}
