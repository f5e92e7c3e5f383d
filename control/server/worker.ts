/** One child process that runs a command of Tidemark for a task; what it says, how it ended. See `../supervised.ts`. */
import { formatJson, type Json, parseJson } from "../../pipeline/json.ts";

export interface WorkerOptions {
  /** Program and arguments before the command's own. */
  readonly program: readonly string[];
  /** Such as `["run"]` or `["verify", "--counts"]`. */
  readonly command: readonly string[];
  /** Text of the configuration. */
  readonly config: string;
  /** The whole environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** How long it may finish after it was told to stop, ms. */
  readonly drainMs: number;
  /** Ended when it has said nothing for so long, ms; undefined: it need not say anything. */
  readonly stuckAfterMs?: number;
  readonly onStatus?: (status: Json) => void;
  readonly onDdl?: (ddl: Json) => void;
  readonly onLog: (line: LogLine) => void;
}

export interface LogLine {
  readonly time: string;
  readonly level: string;
  readonly message: string;
}

export interface WorkerEnd {
  /** Exit status; of a process that a signal ended, 128 + its number. */
  readonly code: number;
  readonly signal: string | undefined;
  /** This server ended it because it said nothing. */
  readonly stuck: boolean;
  readonly result: Json | undefined;
  readonly error: { readonly code: string; readonly message: string; readonly hint: string | undefined } | undefined;
}

export interface Worker {
  readonly pid: number;
  readonly end: Promise<WorkerEnd>;
  /** Drains; ended by force after `drainMs`. */
  stop(): void;
  kill(): void;
}

/** Longer lines of a child that writes what it should not are cut. */
const LONGEST_LINE = 64 * 1024 * 1024;

export function startWorker(options: WorkerOptions): Worker {
  const [program, ...before] = options.program;
  const child = new Deno.Command(program!, {
    args: [...before, ...options.command, "--supervised"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    clearEnv: true,
    env: { ...options.environment },
  }).spawn();
  let over = false;
  let stuck = false;
  let result: Json | undefined;
  let error: WorkerEnd["error"];
  let drain: ReturnType<typeof setTimeout> | undefined;
  let silence: ReturnType<typeof setTimeout> | undefined;
  const kill = () => {
    if (!over) child.kill("SIGKILL");
  };
  const heard = () => {
    clearTimeout(silence);
    if (options.stuckAfterMs === undefined || over) return;
    silence = setTimeout(() => {
      stuck = true;
      kill();
    }, options.stuckAfterMs);
  };
  const stdin = child.stdin.getWriter();
  // What ends before it has read its configuration says so by its exit.
  const given = stdin.write(new TextEncoder().encode(JSON.stringify(options.config) + "\n")).catch(() => {});
  heard();

  const out = eachLine(child.stdout, (line) => {
    heard();
    const said = asRecord(line);
    if (said === undefined) return options.onLog(logLine(line));
    if (said.status !== undefined) options.onStatus?.(said.status);
    else if (said.ddl !== undefined) options.onDdl?.(said.ddl);
    else if (said.result !== undefined) result = said.result;
    else if (said.error !== undefined) error = errorOf(said.error);
  });
  const err = eachLine(child.stderr, (line) => options.onLog(logLine(line)));
  const end = (async (): Promise<WorkerEnd> => {
    const [status] = await Promise.all([child.status, out, err]);
    over = true;
    clearTimeout(drain);
    clearTimeout(silence);
    await given;
    await stdin.close().catch(() => {});
    return { code: status.code, signal: status.signal ?? undefined, stuck, result, error };
  })();
  return {
    pid: child.pid,
    end,
    stop: () => {
      if (over || drain !== undefined) return;
      given.then(() => stdin.close()).catch(() => {});
      drain = setTimeout(kill, options.drainMs);
    },
    kill,
  };
}

async function eachLine(stream: ReadableStream<Uint8Array>, take: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest: string[] = [];
  let length = 0;
  for await (const bytes of stream) {
    const text = decoder.decode(bytes, { stream: true });
    const lines = text.split("\n");
    for (let at = 0; at < lines.length; at++) {
      const part = lines[at]!;
      if (length < LONGEST_LINE) rest.push(part);
      length += part.length;
      if (at === lines.length - 1) break;
      const line = rest.join("");
      rest = [];
      length = 0;
      if (line !== "") take(line);
    }
  }
  if (rest.join("") !== "") take(rest.join(""));
}

function asRecord(line: string): { [key: string]: Json } | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    return parseJson(line) as { [key: string]: Json };
  } catch {
    return undefined;
  }
}

function logLine(line: string): LogLine {
  const { time, level, message, ...fields } = asRecord(line) ?? {};
  if (typeof message !== "string") return { time: "", level: "error", message: line };
  const more = Object.entries(fields).map(([key, value]) => ` ${key}=${formatJson(value)}`).join("");
  return { time: String(time ?? ""), level: String(level ?? "info"), message: message + more };
}

function errorOf(json: Json): WorkerEnd["error"] {
  const { code, message, hint } = json as { [key: string]: Json };
  return { code: String(code), message: String(message), hint: typeof hint === "string" ? hint : undefined };
}
