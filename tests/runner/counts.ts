/** How many tests of a `deno test` run passed and failed. */
export interface Counts {
  passed: number;
  failed: number;
}

/**
 * Reads the counts from the summary line of `deno test`'s output, such as `ok | 12 passed (3 steps) | 0 failed (2s)`.
 * Unlike its JUnit report, that line counts a module that failed to load as well. A run without the line (it crashed), or
 * one that failed though no test did, counts as one failure.
 */
export function readCounts(output: string, ok: boolean): Counts {
  // deno-lint-ignore no-control-regex
  const plain = output.replace(/\x1b\[[0-9;]*m/g, "");
  const summary = [...plain.matchAll(/^(?:ok|FAILED) \| (\d+) passed.*?\| (\d+) failed/gm)].at(-1);
  if (summary === undefined) return { passed: 0, failed: 1 };
  const counts = { passed: parseInt(summary[1]!, 10), failed: parseInt(summary[2]!, 10) };
  return !ok && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
}
