/**
 * `deno task test`: the gate (`deno task ok`), then the suites against real servers. The last line is
 * `N passed, N failed`; the exit code is 0 only when something passed and nothing failed.
 */
import { type Options, parseArguments, USAGE } from "./runner/arguments.ts";
import type { Counts } from "./runner/counts.ts";
import { Failures } from "./runner/failures.ts";
import { runGate, runUnitTests } from "./runner/gate.ts";
import { idleShare, processorTimes } from "./runner/idle.ts";
import { capacity, laneCount } from "./runner/lane_count.ts";
import { runLanes } from "./runner/lanes.ts";
import { secondRun } from "./runner/second_run.ts";
import { hasOwnServers, needsStack, suiteTests } from "./runner/suites.ts";
import { install } from "./stack/mod.ts";
import { patience } from "./stack/patience.ts";

/** Every part of the run must be over by then: CI ends it after 90 minutes. Elsewhere a slow machine may take longer. */
const WHOLE_RUN_MINUTES = 87;

/** What a run found beside its counts. */
interface Found {
  readonly failures: Failures;
  /** Lines that name what passed at the second time only. */
  readonly unsteady: string[];
}

async function run(options: Options, { failures, unsteady }: Found, signal: AbortSignal): Promise<Counts> {
  const total: Counts = { passed: 0, failed: 0 };
  const add = (counts: Counts) => {
    total.passed += counts.passed;
    total.failed += counts.failed;
  };
  const log = (line: string) => console.log(`       ${line}`);
  const { filter, keep } = options;
  const named = options.files !== undefined;
  const onStack = options.unit ? [] : suiteTests(options.suites, options.files);
  // Before the run itself is what the machine is busy with.
  const stacks = options.stacks ?? (named ? 1 : laneCount(await capacity()));
  const sets = onStack.length > 1 ? `, ${stacks} ${stacks === 1 ? "set" : "sets"} of servers` : "";
  log(`limits are ${patience().toFixed(1)} times those of a quiet machine${sets}`);
  // The servers are fetched and built while the gate runs; only who awaits `installed` sees its failure.
  const installed = onStack.length === 0 ? Promise.resolve() : install("full", { signal, log }).then(() => {});
  installed.catch(() => {});
  if (options.gate) add(await runGate(failures, signal, filter));
  const units = (options.files ?? []).filter((file) => !needsStack(file));
  if (units.length > 0) add(await runUnitTests(units, failures, signal, filter));
  if (onStack.length === 0 || signal.aborted) return total;
  try {
    await installed;
  } catch (thrown) {
    console.log(`FAILED the servers cannot be installed: ${thrown instanceof Error ? thrown.message : thrown}`);
    return { ...total, failed: total.failed + 1 };
  }
  const lanes = { stacks, filter, keep, live: named, signal, log };
  const before = processorTimes();
  add(await runLanes({ ...lanes, files: onStack, failures }));
  const idle = idleShare(before, processorTimes());
  if (!named && idle !== undefined) log(`meanwhile the machine was idle for ${(idle * 100).toFixed(0)} % of the time`);
  if (!named && filter === undefined && !signal.aborted) {
    const again = await secondRun(failures, (files) => {
      log(`Once more: ${files.join(", ")}`);
      return needsStack(files[0]!)
        ? runLanes({ ...lanes, files, stacks: 1, failures: new Failures() })
        : runUnitTests(files, new Failures(), signal);
    });
    add(again.counts);
    unsteady.push(...again.unsteady);
  }
  if (onStack.some((file) => !hasOwnServers(file)) && named && !keep) {
    log("On servers that stay: deno task test --keep FILE; that prints how to run it on them again");
  }
  return total;
}

async function main(): Promise<number> {
  const options = parseArguments(Deno.args);
  if (typeof options === "string") {
    console.error(`${options}\n\n${USAGE}`);
    return 2;
  }
  const start = performance.now();
  const stopped = new AbortController();
  const stop = () => stopped.abort(new Error("Interrupted"));
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, stop);
  const minutes = WHOLE_RUN_MINUTES * (Deno.env.has("CI") ? 1 : patience());
  const limit = setTimeout(
    () => stopped.abort(new Error(`The whole run took longer than ${minutes.toFixed(0)} minutes`)),
    minutes * 60_000,
  );
  const found: Found = { failures: new Failures(), unsteady: [] };
  let counts: Counts = { passed: 0, failed: 0 };
  try {
    counts = await run(options, found, stopped.signal);
    if (stopped.signal.aborted) counts.failed++;
  } catch (thrown) {
    counts.failed++;
    console.log(thrown instanceof Error ? thrown.stack : thrown);
  }
  clearTimeout(limit);
  if (stopped.signal.aborted) console.log(`Stopped: ${(stopped.signal.reason as Error).message}`);
  if (counts.passed === 0 && counts.failed === 0) console.log("No test ran");
  for (const line of [...found.unsteady, ...found.failures.summary()]) console.log(line);
  console.log(`${((performance.now() - start) / 1000).toFixed(0)} s in all`);
  console.log(`${counts.passed} passed, ${counts.failed} failed`);
  return counts.failed === 0 && counts.passed > 0 ? 0 : 1;
}

Deno.exit(await main());
