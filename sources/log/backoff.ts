/** Waiting between attempts. */

const FIRST_MS = 300;
const LAST_MS = 2000;

/** Milliseconds to wait after the `failures`-th failure (from 0): 0.3 s growing to 2 s, a quarter of it jitter. */
export function backoffDelay(failures: number, random: () => number): number {
  const base = Math.min(LAST_MS, FIRST_MS * 1.6 ** Math.min(failures, 16));
  return Math.max(FIRST_MS, Math.min(LAST_MS, base * (0.875 + random() * 0.25)));
}
