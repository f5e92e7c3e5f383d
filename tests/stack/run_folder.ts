import type { Component } from "./component.ts";
import type { ComponentName, Profile } from "./profile.ts";
import { endProcess, isAlive, type ProcessId } from "./process.ts";

/** What a run folder says about its stack, so that any process can stop it or start a part of it again. */
export interface StackRecord {
  name: string;
  profile: Profile;
  basePort: number;
  /** The stack goes with this process; without it, it runs until `down`. */
  owner?: ProcessId;
  components: Component[];
}

/** Below it, one folder per stack: `TIDEMARK_STACKS`, or a folder of this user in the system's temporary folder. */
export function runRoot(): string {
  return Deno.env.get("TIDEMARK_STACKS") || `${Deno.env.get("TMPDIR") || "/tmp"}/tidemark-stacks-${Deno.uid() ?? 0}`;
}

export async function readRecord(dir: string): Promise<StackRecord | undefined> {
  try {
    return JSON.parse(await Deno.readTextFile(`${dir}/stack.json`)) as StackRecord;
  } catch {
    return undefined;
  }
}

/** Replaces the record at once. Synchronous, so that components that start beside each other cannot interleave. */
export function writeRecord(dir: string, record: StackRecord): void {
  Deno.writeTextFileSync(`${dir}/stack.json.new`, JSON.stringify(record, null, 1));
  Deno.renameSync(`${dir}/stack.json.new`, `${dir}/stack.json`);
}

/** The recorded process of a component (or of the guard), running or not. */
export function readPid(dir: string, name: string): ProcessId | undefined {
  try {
    const [pid, ticks] = Deno.readTextFileSync(`${dir}/pids/${name}`).trim().split(" ");
    return pid === undefined || ticks === undefined ? undefined : { pid: parseInt(pid, 10), ticks };
  } catch {
    return undefined;
  }
}

export async function writePid(dir: string, name: string, id: ProcessId): Promise<void> {
  await Deno.mkdir(`${dir}/pids`, { recursive: true });
  await Deno.writeTextFile(`${dir}/pids/${name}`, `${id.pid} ${id.ticks}\n`);
}

/** Every stack that has a run folder, running or not. */
export async function listStacks(): Promise<{ dir: string; record: StackRecord }[]> {
  const found: { dir: string; record: StackRecord }[] = [];
  try {
    for await (const entry of Deno.readDir(runRoot())) {
      const dir = `${runRoot()}/${entry.name}`;
      const record = await readRecord(dir);
      if (record !== undefined) found.push({ dir, record });
    }
  } catch (thrown) {
    if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
  }
  return found.sort((a, b) => a.record.name.localeCompare(b.record.name));
}

export interface EndOptions {
  /** How long each process may take after SIGTERM. Default 1500 ms: the data is thrown away, so there is no hurry to save it. */
  graceMs?: number;
  /** Leaves the logs in the run folder. */
  keepLogs?: boolean;
}

/** Ends every recorded process of a run folder, all at once, and removes the folder. */
export async function endStack(dir: string, options: EndOptions = {}): Promise<void> {
  const guard = readPid(dir, GUARD);
  if (guard !== undefined) await endProcess(guard, 0);
  const names: string[] = [];
  try {
    for await (const entry of Deno.readDir(`${dir}/pids`)) names.push(entry.name);
  } catch (thrown) {
    if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
  }
  await Promise.all(names.map((name) => {
    const id = readPid(dir, name);
    return isAlive(id) ? endProcess(id!, options.graceMs ?? 1500) : undefined;
  }));
  await removeFolder(dir, options.keepLogs ? new Set(["logs", "stack.json"]) : new Set());
}

/** Ends what a killed test run left behind: stacks whose owner is gone. */
export async function endOrphans(): Promise<string[]> {
  const ended: string[] = [];
  for (const { dir, record } of await listStacks()) {
    if (record.owner === undefined || isAlive(record.owner)) continue;
    await endStack(dir);
    ended.push(record.name);
  }
  return ended;
}

/** Name under which the guard's pid is recorded. */
export const GUARD = "guard";

export function aliveComponents(dir: string, record: StackRecord): ComponentName[] {
  return record.components.map((component) => component.name).filter((name) => isAlive(readPid(dir, name)));
}

async function removeFolder(dir: string, keep: ReadonlySet<string>): Promise<void> {
  // A process in the middle of its last write can put a file back, so one retry.
  for (let attempt = 0;; attempt++) {
    try {
      for await (const entry of Deno.readDir(dir)) {
        if (!keep.has(entry.name)) await Deno.remove(`${dir}/${entry.name}`, { recursive: true });
      }
      if (keep.size === 0) await Deno.remove(dir, { recursive: true });
      return;
    } catch (thrown) {
      if (thrown instanceof Deno.errors.NotFound) return;
      if (attempt === 3) throw thrown;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}
