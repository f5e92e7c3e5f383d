/** Test files against real servers: several side by side, since much of a test's time is waiting for servers. */
import { bytecodeEnvironment } from "../stack/bytecode.ts";
import { type Stack, startStack } from "../stack/mod.ts";
import { type Counts, readCounts } from "./counts.ts";
import type { Failures } from "./failures.ts";
import { runStep, type Step } from "./step.ts";
import { hasOwnServers } from "./suites.ts";

export interface LaneOptions {
  /** Files in the order in which they begin: the long ones first. */
  readonly files: readonly string[];
  /** Number of stacks; each runs one file at a time, and one more runs beside them without a stack. */
  readonly stacks: number;
  readonly filter: string | undefined;
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
  /** Are told of what fails. */
  readonly failures: Failures;
  /** Leave the servers running at the end. */
  readonly keep: boolean;
  /** Show what the files print as it comes. */
  readonly live: boolean;
}

/** A file hangs that takes longer on a quiet machine. What it waited for it has said by then. */
const FILE_LIMIT_SECS = 900;

/**
 * Runs every file once and prints a line for each; the output of a file is shown where it failed. Files that start their own
 * servers run one after the other beside those on the stacks, and on what is left of a lane whose stack nobody needs any
 * more. After a failed file the next one gets fresh servers, and the logs of the old ones stay. Servers that do not start are
 * a failed test.
 */
export async function runLanes(options: LaneOptions): Promise<Counts> {
  const total: Counts = { passed: 0, failed: 0 };
  const alone = options.files.filter(hasOwnServers);
  const queue = options.files.filter((file) => !hasOwnServers(file));
  let starting = Promise.resolve();
  /** One after the other: servers that start side by side only take each other's time. */
  const started = (name: string): Promise<Stack> => {
    const stack = starting.then(() => start(options, name));
    starting = stack.then(() => {}, () => {});
    return stack;
  };
  const next = async (file: string, stack?: Stack): Promise<boolean> => {
    const counts = await runFile(file, stack, options);
    total.passed += counts.passed;
    total.failed += counts.failed;
    return counts.failed === 0;
  };
  const runAlone = async (): Promise<void> => {
    for (let file = alone.shift(); file !== undefined && !options.signal.aborted; file = alone.shift()) {
      await next(file);
    }
  };
  const runOnStack = async (lane: number): Promise<void> => {
    let stack: Stack | undefined;
    let starts = 0;
    try {
      while (queue.length > 0 && !options.signal.aborted) {
        stack ??= await started(`${lane}${starts++ === 0 ? "" : `-${starts}`}`);
        // Others may have taken the last one meanwhile.
        const file = queue.shift();
        if (file === undefined) break;
        if (await next(file, stack) || options.keep || options.signal.aborted) continue;
        options.log(`The servers' logs are in ${stack.dir}/logs`);
        const broken: Stack = stack;
        stack = undefined;
        await broken.down({ keepLogs: true });
      }
    } catch (thrown) {
      total.failed++;
      const output = thrown instanceof Error ? thrown.message : `${thrown}`;
      options.failures.note("the servers", { passed: 0, failed: 1 }, { output, reason: "do not start" });
      console.log(`FAILED the servers do not start: ${output}`);
    } finally {
      if (options.keep && stack !== undefined) {
        console.log(`The servers still run. A file on them again:`);
        console.log(`  TIDEMARK_STACK_ENV=${stack.envFile} deno test -A --no-check ${options.files[0]}`);
        console.log(`and their end: deno task stack down --name ${stack.name}`);
      } else await stack?.down();
    }
    await runAlone();
  };
  const lanes = Array.from({ length: Math.min(options.stacks, queue.length) }, (_, lane) => runOnStack(lane + 1));
  await Promise.all([runAlone(), ...lanes]);
  return total;
}

async function start({ keep, signal, log }: LaneOptions, name: string): Promise<Stack> {
  const began = performance.now();
  const stack = await startStack("full", {
    name: `test-${keep ? "kept" : Deno.pid}-${name}`,
    // Two files want it.
    later: ["lite"],
    ...{ keep, signal },
  });
  log(`servers of lane ${name} are up after ${((performance.now() - began) / 1000).toFixed(1)} s`);
  return stack;
}

async function runFile(file: string, stack: Stack | undefined, options: LaneOptions): Promise<Counts> {
  const { filter, live, signal } = options;
  const step: Step = {
    name: file,
    command: ["deno", "test", "-A", "--no-check", ...(filter === undefined ? [] : ["--filter", filter]), file],
    env: { ...bytecodeEnvironment(), ...(stack === undefined ? {} : { TIDEMARK_STACK_ENV: stack.envFile }) },
    limitSecs: FILE_LIMIT_SECS,
    live,
  };
  const outcome = await runStep(step, signal);
  const counts = readCounts(outcome.output, outcome.ok);
  // A filter leaves most files without a test.
  if (outcome.ok && counts.passed === 0) return counts;
  const mark = outcome.ok ? "ok" : "FAILED";
  const text = `${mark.padEnd(7)}${file.replace(/^tests\//, "").padEnd(52)}${outcome.seconds.toFixed(1).padStart(7)} s`;
  console.log(`${text}  ${counts.passed} passed, ${counts.failed} failed`);
  if (outcome.ok) return counts;
  options.failures.note(file, counts, outcome);
  console.log(`${file} ${outcome.reason}${live ? "" : `:\n${outcome.output.trimEnd().replace(/^/gm, "  ")}`}`);
  return counts;
}
