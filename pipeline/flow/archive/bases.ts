/** How the bases of a backup sink went, one after the other: kept in its state, shown by `status`. */
import type { BasesState } from "../state/mod.ts";

export function goodBase(nowMs: number): BasesState {
  const at = new Date(nowMs).toISOString();
  return { triedAt: at, goodAt: at, failures: 0, error: "" };
}

/** The base before it still is what can be restored. */
export function failedBase(before: BasesState | undefined, error: string, nowMs: number): BasesState {
  const { goodAt = "", failures = 0 } = before ?? {};
  return { triedAt: new Date(nowMs).toISOString(), goodAt, failures: failures + 1, error };
}
