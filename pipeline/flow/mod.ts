/** The run: from components to a copy that is kept current. */
export * from "./dependencies.ts";
export {
  BACKUP_CRASH_POINTS,
  CRASH_POINTS,
  type CrashPoint,
  type CrashPoints,
  formatRunState,
  isFinished,
  noCrashPoints,
  parseRunState,
  type RunState,
  type SinkState,
} from "./state/mod.ts";
export { checkFiles } from "./base/mod.ts";
export { type Plan, type PlannedCollection, planRun, type RunHandle, startRun } from "./run/mod.ts";
export { replayDeadLetters, type ReplayReport } from "./refusals/mod.ts";
export type { LoadChoice } from "./imports/mod.ts";
export { type CollectionVerdict, type VerifyOptions, type VerifyReport, verifyRun } from "./verify/mod.ts";
