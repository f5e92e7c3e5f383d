/**
 * Files that failed in a run of everything run once more, alone, when the rest is through. What passes then counts as passed
 * and is named as unsteady in the last lines: a fault of the test or of what it tests, which somebody has to find.
 */
import type { Counts } from "./counts.ts";
import { type Failure, type Failures, readFailures, summaryOf } from "./failures.ts";

/** Where more files failed it is not by chance. */
const MOST_FILES = 4;
/** Random work with kills: what it has found once is there, also when the next seed passes. */
const RANDOM = /^tests\/crash\/|oracle/;
const COUNTEREXAMPLE = /^(?:error: )?(?:Error: )?Property failed after|^Counterexample: /m;

/** The test files of a failure that a second run may speak for; none where it proves nothing. */
export function filesToRunAgain({ name, output }: Pick<Failure, "name" | "output">): string[] {
  if (COUNTEREXAMPLE.test(output)) return [];
  const named = [name, ...readFailures(output).filter((line) => !line.startsWith(" "))]
    .map((line) => /(?:^|[\s/(])(tests\/\S+_test\.ts)/.exec(line)?.[1]);
  const files = [...new Set(named.filter((file) => file !== undefined))];
  return files.some((file) => RANDOM.test(file)) ? [] : files;
}

export interface SecondRun {
  /** What it adds to the sum of the first run. */
  readonly counts: Counts;
  /** Lines that name what is unsteady. */
  readonly unsteady: readonly string[];
}

/** Runs the files of what is noted as failed; what fails again stays noted. */
export async function secondRun(
  failures: Failures,
  run: (files: readonly string[]) => Promise<Counts>,
): Promise<SecondRun> {
  const counts: Counts = { passed: 0, failed: 0 };
  const unsteady: string[] = [];
  const first = failures.take();
  const few = new Set(first.flatMap(filesToRunAgain)).size <= MOST_FILES;
  for (const failure of first) {
    const files = few ? filesToRunAgain(failure) : [];
    const again = files.length === 0 ? undefined : await run(files);
    if (again === undefined || again.failed > 0 || again.passed === 0) {
      failures.note(failure.name, failure.counts, failure);
      continue;
    }
    counts.passed += failure.counts.failed;
    counts.failed -= failure.counts.failed;
    unsteady.push(
      ...summaryOf("UNSTEADY", { ...failure, reason: `passed when it ran again; at first it ${failure.reason}` }),
    );
  }
  return { counts, unsteady };
}
