import { watchUsage } from "./rig.ts";

export interface TimedCommand {
  /** `performance.now()` */
  readonly began: number;
  readonly seconds: number;
  /** Seconds of the processor. */
  readonly cpu: number;
  /** Resident memory at its peak, MiB. */
  readonly peak: number;
}

/** Runs a program to its end. Throws with the end of what it printed when it fails. */
export async function timedCommand(
  command: string,
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): Promise<TimedCommand> {
  const began = performance.now();
  const child = new Deno.Command(command, {
    args: [...args],
    cwd,
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const watch = watchUsage(child.pid, 5);
  const { code, stdout, stderr } = await child.output();
  const seconds = (performance.now() - began) / 1000;
  const { cpu, peak } = watch.stop();
  if (code === 0) return { began, seconds, cpu, peak };
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  throw new Error(`${command} ${args.join(" ")} ended with ${code}: ${said.slice(-2000)}`);
}
