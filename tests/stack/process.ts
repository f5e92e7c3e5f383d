/**
 * Processes that outlive the one that started them, known by pid and start time: a pid that the system has given to
 * somebody else is never signalled.
 */
import { eventually } from "./eventually.ts";

/** Identity of a process: pid and its start time in clock ticks since boot (`/proc/<pid>/stat`, field 22). */
export interface ProcessId {
  pid: number;
  ticks: string;
}

export interface LaunchOptions {
  command: string;
  args: readonly string[];
  env: Record<string, string>;
  cwd: string;
  /** Takes stdout and stderr, appended. */
  log: string;
}

/** Starts a process in a session of its own, so that it does not get the terminal's Ctrl-C. */
export async function launch(options: LaunchOptions): Promise<ProcessId> {
  const script = 'log=$1; shift; setsid "$@" >>"$log" 2>&1 </dev/null & echo $!';
  const output = await new Deno.Command("sh", {
    args: ["-c", script, "sh", options.log, options.command, ...options.args],
    cwd: options.cwd,
    env: options.env,
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).output();
  const pid = parseInt(new TextDecoder().decode(output.stdout), 10);
  return { pid, ticks: startTicks(pid) ?? "" };
}

/** The process with this very identity runs (a zombie does not). */
export function isAlive(id: ProcessId | undefined): boolean {
  return id !== undefined && id.ticks !== "" && startTicks(id.pid) === id.ticks;
}

/** The identity of the calling process. */
export function ownProcess(): ProcessId {
  return { pid: Deno.pid, ticks: startTicks(Deno.pid) ?? "" };
}

/** Signals the process and its group. Does nothing when it is gone. */
export function signalProcess(id: ProcessId, signal: Deno.Signal): void {
  if (!isAlive(id)) return;
  try {
    Deno.kill(-id.pid, signal);
  } catch {
    if (isAlive(id)) Deno.kill(id.pid, signal);
  }
}

/** Ends a process: SIGTERM, and SIGKILL after `graceMs` (0: SIGKILL at once). Returns when it is gone. */
export async function endProcess(id: ProcessId, graceMs: number): Promise<void> {
  if (graceMs > 0) {
    signalProcess(id, "SIGTERM");
    signalProcess(id, "SIGCONT");
    if (await isGone(id, graceMs)) return;
  }
  signalProcess(id, "SIGKILL");
  await eventually(`process ${id.pid} is gone`, () => !isAlive(id), { everyMs: 30 });
}

async function isGone(id: ProcessId, limitMs: number): Promise<boolean> {
  const end = performance.now() + limitMs;
  while (isAlive(id)) {
    if (performance.now() > end) return false;
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  return true;
}

function startTicks(pid: number): string | undefined {
  let stat: string;
  try {
    stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  } catch {
    return undefined;
  }
  // The name in parentheses may hold anything, so fields are counted after its end: the first one is the state.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  // A zombie with other threads left is still at work: its first thread has ended, its sockets are open.
  const ended = fields[0] === "X" || (fields[0] === "Z" && fields[17] === "1");
  return ended ? undefined : fields[19];
}
