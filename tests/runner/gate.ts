import { type Counts, readCounts } from "./counts.ts";
import { Failures } from "./failures.ts";
import { runStep, type Step, type StepOutcome } from "./step.ts";
import { sourceFiles, unitTests } from "./suites.ts";

/** The steps of `deno task ok` before the unit tests. Example configs are linted by a unit test. */
export function gateSteps(): Step[] {
  return [
    { name: "format", command: ["deno", "fmt", "--check", "--quiet"], limitSecs: 900 },
    { name: "lint", command: ["deno", "lint", "--quiet"], limitSecs: 900 },
    { name: "types", command: ["deno", "check", "--doc", "--quiet", ...sourceFiles()], limitSecs: 900 },
    { name: "schema", command: ["deno", "run", "-A", "main.ts", "schema", "--check"], limitSecs: 300 },
  ];
}

/** The step that runs tests that need no servers. They share nothing, so files run in parallel. */
function unitStep(files: readonly string[], filter?: string): Step {
  return {
    name: "unit tests",
    command: [
      ...["deno", "test", "-A", "--no-check", "--parallel", "--reporter=dot"],
      ...(filter === undefined ? [] : ["--filter", filter]),
      ...files,
    ],
    limitSecs: 1200,
  };
}

/** Runs the gate, prints a line per step, and returns how many tests ran. Failed steps count as failed tests. */
export async function runGate(failures = new Failures(), signal?: AbortSignal, filter?: string): Promise<Counts> {
  const total: Counts = { passed: 0, failed: 0 };
  for (const step of gateSteps()) {
    const outcome = await runStep(step, signal);
    report(step, outcome);
    if (!outcome.ok) {
      total.failed++;
      failures.note(step.name, { passed: 0, failed: 1 }, outcome);
    }
    if (signal?.aborted) return total;
  }
  const counts = await runUnitTests(unitTests(), failures, signal, filter);
  return { passed: total.passed + counts.passed, failed: total.failed + counts.failed };
}

/** Runs test files that need no servers; the layer test is among them. */
export async function runUnitTests(
  files: readonly string[],
  failures: Failures,
  signal?: AbortSignal,
  filter?: string,
): Promise<Counts> {
  const step = unitStep(files, filter);
  const outcome = await runStep(step, signal);
  const counts = readCounts(outcome.output, outcome.ok);
  report(step, outcome, `${counts.passed} passed, ${counts.failed} failed`);
  if (!outcome.ok) failures.note(step.name, counts, outcome);
  return counts;
}

/** One line for a step, and its output where it failed. */
export function report(step: Step, outcome: StepOutcome, detail = ""): void {
  const mark = outcome.ok ? "ok" : "FAILED";
  const text = [`${mark.padEnd(7)}${step.name.padEnd(22)}${outcome.seconds.toFixed(1).padStart(7)} s`, detail];
  console.log(text.filter((part) => part !== "").join("  "));
  if (outcome.ok) return;
  console.log(`The step "${step.name}" ${outcome.reason}: ${shown(step.command)}`);
  // A test that passed is a dot, each on a line of its own.
  if (!step.live) console.log(outcome.output.replace(/^\.\n/gm, "").trimEnd().replace(/^/gm, "  "));
}

function shown(command: readonly string[]): string {
  const text = command.join(" ");
  return text.length > 160 ? `${text.slice(0, 157)}...` : text;
}
