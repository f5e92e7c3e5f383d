import { patience, PATIENCE_VARIABLE } from "../stack/patience.ts";

/** One step of a gate or of the test run: a program, its limit, its output. */
export interface Step {
  name: string;
  /** Program and arguments; `deno` is the running Deno. */
  command: readonly string[];
  env?: Record<string, string>;
  /** The step hangs when it takes longer on a quiet machine, in seconds. */
  limitSecs: number;
  /** Passes the output on as it comes; otherwise it is shown only when the step fails. */
  live?: boolean;
}

export interface StepOutcome {
  ok: boolean;
  /** stdout and stderr, in the order in which they came. */
  output: string;
  seconds: number;
  /** Why it failed, when it did. */
  reason?: string;
}

/** Runs a step to its end. Never throws for a step that fails. */
export async function runStep(step: Step, signal?: AbortSignal): Promise<StepOutcome> {
  const start = performance.now();
  const limit = new AbortController();
  const stop = signal === undefined ? limit.signal : AbortSignal.any([limit.signal, signal]);
  // How busy the machine is changes meanwhile: each second counts as what could be done in it.
  let spent = 0;
  let counted = start;
  const clock = setInterval(() => {
    const now = performance.now();
    spent += (now - counted) / 1000 / patience();
    counted = now;
    if (spent > step.limitSecs) limit.abort();
  }, 1000);
  const [program, ...args] = step.command;
  const child = new Deno.Command(program === "deno" ? Deno.execPath() : program!, {
    args,
    env: { NO_COLOR: "1", [PATIENCE_VARIABLE]: patience().toFixed(2), ...step.env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    // A group of its own: what it started in turn ends with it.
    detached: true,
  }).spawn();
  const end = (signal: Deno.Signal) => {
    try {
      Deno.kill(-child.pid, signal);
    } catch {
      // It has ended in between.
    }
  };
  const kill = () => {
    // Deno says which tests were pending.
    end("SIGINT");
    setTimeout(() => end("SIGTERM"), 2000);
    setTimeout(() => end("SIGKILL"), 7000);
  };
  stop.addEventListener("abort", kill, { once: true });
  if (stop.aborted) kill();
  const collected: string[] = [];
  const collect = async (stream: ReadableStream<Uint8Array>, to: typeof Deno.stdout) => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      collected.push(decoder.decode(chunk, { stream: true }));
      if (step.live) to.writeSync(chunk);
    }
  };
  await Promise.all([collect(child.stdout, Deno.stdout), collect(child.stderr, Deno.stderr)]);
  const status = await child.status;
  clearInterval(clock);
  stop.removeEventListener("abort", kill);
  const seconds = (performance.now() - start) / 1000;
  const output = collected.join("");
  if (status.success) return { ok: true, output, seconds };
  const reason = limit.signal.aborted
    ? `took longer than ${step.limitSecs} s of a quiet machine, ${seconds.toFixed(0)} s here, and was stopped`
    : signal?.aborted
    ? "was stopped"
    : status.signal !== null
    ? `was ended by ${status.signal}`
    : `ended with ${status.code}`;
  return { ok: false, output, seconds, reason };
}
