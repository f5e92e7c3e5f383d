/** Conducts a run: lease, state, snapshot, cut, base, tail; and foresees one. */
export { type Plan, type PlannedCollection, planRun } from "./plan.ts";
export { type RunHandle, startRun } from "./run.ts";
