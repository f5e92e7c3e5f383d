/**
 * `deno task test`: the gate (`deno task ok`), then the suites against real servers. The last line is
 * `N passed, N failed`; the exit code is 0 only when something passed and nothing failed.
 */
import type { Counts } from "./runner/counts.ts";
import { runGate } from "./runner/gate.ts";
import { runLanes } from "./runner/lanes.ts";
import { STACK_SUITES, suiteTests } from "./runner/suites.ts";
import { install } from "./stack/mod.ts";

/** Every part of the run must be over by then. */
const WHOLE_RUN_MINUTES = 80;
/** A stack takes about 1.2 GiB and a tenth of a processor; a test file on it mostly waits. */
const STACKS = 4;

const USAGE = `Runs every test: the gate, then the suites against real servers.

  deno task test [--unit] [--filter TEXT] [--keep] [--suite integration|crash] [--stacks N]

  --unit           only what needs no servers
  --filter TEXT    only tests whose name contains TEXT (or matches /regex/)
  --suite NAME     only this suite, without the gate
  --stacks N       test files side by side, each on servers of its own (default ${STACKS})
  --keep           leave the servers running, and print how to use them
`;

interface Options {
  unit: boolean;
  keep: boolean;
  filter: string | undefined;
  suites: readonly (typeof STACK_SUITES[number])[];
  gate: boolean;
  stacks: number;
}

function parse(args: readonly string[]): Options {
  const options: Options = {
    unit: false,
    keep: false,
    filter: undefined,
    suites: STACK_SUITES,
    gate: true,
    stacks: STACKS,
  };
  const rest = [...args];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (arg === "--unit") options.unit = true;
    else if (arg === "--keep") options.keep = true;
    else if (arg === "--filter" && rest.length > 0) options.filter = rest.shift();
    else if (arg === "--stacks" && /^[1-9]$/.test(rest[0] ?? "")) options.stacks = parseInt(rest.shift()!, 10);
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
  try {
    await installed;
  } catch (thrown) {
    console.log(`FAILED the servers cannot be installed: ${thrown instanceof Error ? thrown.message : thrown}`);
    return { ...total, failed: total.failed + 1 };
  }
  const { stacks, filter, keep } = options;
  add(await runLanes({ files: suiteTests(options.suites), stacks, filter, keep, signal, log }));
  return total;
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
