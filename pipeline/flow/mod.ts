/** The run: from components to a copy that is kept current. */
export * from "./dependencies.ts";
export { BACKUP_CRASH_POINTS, CRASH_POINTS, type CrashPoint, type CrashPoints, noCrashPoints } from "./crash_points.ts";
export { formatRunState, isFinished, parseRunState, type RunState, type SinkState } from "./run_state.ts";
export { type RunHandle, startRun } from "./run.ts";
export type { LoadChoice } from "./import_gate.ts";
export { type Plan, type PlannedCollection, planRun } from "./plan.ts";
export { type CollectionVerdict, type VerifyOptions, type VerifyReport, verifyRun } from "./verify.ts";
