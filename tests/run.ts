/**
 * `deno task test`: the gate (`deno task ok`), then the suites against real servers. The last line is
 * `N passed, N failed`; the exit code is 0 only when something passed and nothing failed.
 */
import type { Counts } from "./runner/counts.ts";
import { readCounts } from "./runner/counts.ts";
import { report, runGate } from "./runner/gate.ts";
import { runStep, type Step } from "./runner/step.ts";
import { LONG_TESTS, STACK_SUITES, suiteTests } from "./runner/suites.ts";
import { install, type Stack, startStack } from "./stack/mod.ts";

const USAGE = `Runs every test: the gate, then the suites against real servers.

  deno task test [--unit] [--filter TEXT] [--keep] [--suite integration|conformance|crash]

  --unit           only what needs no servers
  --filter TEXT    only tests whose name contains TEXT (or matches /regex/)
  --suite NAME     only this suite, without the gate
  --keep           leave the servers running, and print how to use them
`;

/** Every part of the run must be over by then. */
const WHOLE_RUN_MINUTES = 80;
const SUITE_LIMIT_SECS: Record<typeof STACK_SUITES[number], number> = {
  integration: 3600,
  conformance: 600,
  crash: 1200,
};

interface Options {
  unit: boolean;
  keep: boolean;
  filter: string | undefined;
  suites: readonly (typeof STACK_SUITES[number])[];
  gate: boolean;
}

function parse(args: readonly string[]): Options {
  const options: Options = { unit: false, keep: false, filter: undefined, suites: STACK_SUITES, gate: true };
  const rest = [...args];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (arg === "--unit") options.unit = true;
    else if (arg === "--keep") options.keep = true;
    else if (arg === "--filter" && rest.length > 0) options.filter = rest.shift();
    else if (arg === "--suite" && STACK_SUITES.some((suite) => suite === rest[0])) {
      options.suites = [rest.shift() as typeof STACK_SUITES[number]];
      options.gate = false;
    } else {
      console.error(`Unknown argument ${arg}\n\n${USAGE}`);
      Deno.exit(2);
    }
  }
  return options;
}

async function run(options: Options, signal: AbortSignal): Promise<Counts> {
  const total: Counts = { passed: 0, failed: 0 };
  const add = (counts: Counts) => {
    total.passed += counts.passed;
    total.failed += counts.failed;
  };
  const log = (line: string) => console.log(`       ${line}`);
  // The servers are fetched and built while the gate runs; only who awaits `installed` sees its failure.
  const installed = options.unit ? Promise.resolve() : install("full", { signal, log }).then(() => {});
  installed.catch(() => {});
  if (options.gate) add(await runGate(signal, options.filter));
  if (options.unit || signal.aborted) return total;
  const start = performance.now();
  let stack: Stack;
  try {
    await installed;
    stack = await startStack("full", { keep: options.keep, signal, log, ...(options.keep ? { name: "test" } : {}) });
  } catch (thrown) {
    console.log(`FAILED the servers do not start: ${thrown instanceof Error ? thrown.message : thrown}`);
    return { ...total, failed: total.failed + 1 };
  }
  console.log(`ok     ${"servers".padEnd(22)}${((performance.now() - start) / 1000).toFixed(1).padStart(7)} s`);
  if (Deno.env.get("TIDEMARK_LONG") !== "1") console.log(`Left out without TIDEMARK_LONG=1: ${LONG_TESTS.join(", ")}`);
  let failedSuites = 0;
  try {
    for (const suite of options.suites) {
      const files = suiteTests(suite);
      if (files.length === 0 || signal.aborted) continue;
      const counts = await runSuite(suite, files, stack.envFile, options, signal);
      failedSuites += counts.failed;
      add(counts);
    }
    return total;
  } finally {
    if (options.keep) console.log(`The servers still run: export TIDEMARK_STACK_ENV=${stack.envFile}`);
    else await stack.down({ keepLogs: failedSuites > 0 });
    if (!options.keep && failedSuites > 0) console.log(`The servers' logs are in ${stack.dir}/logs`);
  }
}

/** Files run one after the other: they stop and start servers that all of them use. */
async function runSuite(
  suite: typeof STACK_SUITES[number],
  files: readonly string[],
  envFile: string,
  options: Options,
  signal: AbortSignal,
): Promise<Counts> {
  const step: Step = {
    name: suite,
    command: [
      ...["deno", "test", "-A", "--no-check"],
      ...(options.filter === undefined ? [] : ["--filter", options.filter]),
      ...files,
    ],
    env: { TIDEMARK_STACK_ENV: envFile },
    limitSecs: SUITE_LIMIT_SECS[suite],
    live: true,
  };
  const outcome = await runStep(step, signal);
  const counts = readCounts(outcome.output, outcome.ok);
  report(step, outcome, `${counts.passed} passed, ${counts.failed} failed`);
  return counts;
}

async function main(): Promise<number> {
  const options = parse(Deno.args);
  const start = performance.now();
  const stopped = new AbortController();
  const stop = () => stopped.abort(new Error("Interrupted"));
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, stop);
  const limit = setTimeout(
    () => stopped.abort(new Error(`The whole run took longer than ${WHOLE_RUN_MINUTES} minutes`)),
    WHOLE_RUN_MINUTES * 60_000,
  );
  let counts: Counts = { passed: 0, failed: 0 };
  try {
    counts = await run(options, stopped.signal);
    if (stopped.signal.aborted) counts.failed++;
  } catch (thrown) {
    counts.failed++;
    console.log(thrown instanceof Error ? thrown.stack : thrown);
  }
  clearTimeout(limit);
  if (stopped.signal.aborted) console.log(`Stopped: ${(stopped.signal.reason as Error).message}`);
  if (counts.passed === 0 && counts.failed === 0) console.log("No test ran");
  console.log(`${((performance.now() - start) / 1000).toFixed(0)} s in all`);
  console.log(`${counts.passed} passed, ${counts.failed} failed`);
  return counts.failed === 0 && counts.passed > 0 ? 0 : 1;
}

Deno.exit(await main());
