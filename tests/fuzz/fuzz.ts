/** Runs a fuzzing target in a process of its own and tells what it found: crashes, hangs, memory beyond a bound. */

export interface FuzzResult {
  readonly target: string;
  /** Inputs that were tried. */
  readonly inputs: number;
  /** Sentences; the number in each makes it again: `deno run -A tests/fuzz/child.ts TARGET NUMBER 1`. */
  readonly finds: readonly string[];
  /** Largest resident set, MiB. */
  readonly peakMiB: number;
}

export interface FuzzOptions {
  readonly first: number;
  readonly count: number;
  /** One input that takes longer hangs. */
  readonly hangMs: number;
  /** Resident set, MiB. */
  readonly memoryMiB: number;
  readonly signal?: AbortSignal;
}

/**
 * Inputs of a process. Deno's zlib keeps some twenty kilobytes of every stream that fails, for good (2.9.6): many broken inputs in
 * one process would look like one that takes memory. In the product the first batch that cannot be decompressed ends the run.
 */
const PER_PROCESS = 20_000;

const CHILD = new URL("./child.ts", import.meta.url).pathname;

export async function fuzz(target: string, options: FuzzOptions): Promise<FuzzResult> {
  const finds: string[] = [];
  let next = options.first;
  let peak = 0;
  while (next < options.first + options.count && options.signal?.aborted !== true && finds.length < 10) {
    const count = Math.min(PER_PROCESS, options.first + options.count - next);
    const ended = await oneProcess(target, next, { ...options, count });
    finds.push(...ended.finds);
    peak = Math.max(peak, ended.peak);
    next = ended.next;
  }
  return { target, inputs: next - options.first, finds, peakMiB: Math.round(peak / 2 ** 20) };
}

async function oneProcess(
  target: string,
  first: number,
  { count, hangMs, memoryMiB, signal }: FuzzOptions,
): Promise<{ readonly finds: string[]; readonly next: number; readonly peak: number }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-check",
      `--v8-flags=--max-old-space-size=${memoryMiB}`,
      CHILD,
      target,
      `${first}`,
      `${count}`,
    ],
    stdin: "null",
    stdout: "piped",
    // Why it could not begin, for instance.
    stderr: "inherit",
  }).spawn();
  const finds: string[] = [];
  let at = first;
  let peak = 0;
  let done = false;
  let why: string | undefined;
  const kill = (reason: string | undefined) => {
    why = reason;
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
  };
  const arm = () => setTimeout(() => kill("hangs"), hangMs);
  let timer = arm();
  const stop = () => kill(undefined);
  signal?.addEventListener("abort", stop, { once: true });
  let rest = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    clearTimeout(timer);
    timer = arm();
    const lines = (rest + chunk).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      const [word, number, ...more] = line.split(" ");
      if (word === "FOUND") finds.push(`${target} ${number}: ${more.join(" ")}`);
      else {
        at = parseInt(number!, 10);
        peak = Math.max(peak, parseInt(more[0]!, 10));
        done ||= word === "DONE";
      }
    }
    if (peak > memoryMiB * 2 ** 20) kill(`holds ${Math.round(peak / 2 ** 20)} MiB`);
  }
  clearTimeout(timer);
  signal?.removeEventListener("abort", stop);
  const { code } = await child.status;
  if (!done && signal?.aborted !== true) {
    finds.push(`${target} ${at} or soon after: ${why ?? `its process ended with ${code}`}`);
  }
  // After a find it goes on behind what may have been under way; a run that was cut off counts what was said.
  return { finds, next: done || signal?.aborted === true ? at : at + 1000, peak };
}
