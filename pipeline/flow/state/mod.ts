/** What a run remembers, shows, and where tests may kill it. */
export { Checkpointer } from "./checkpointer.ts";
export { BACKUP_CRASH_POINTS, CRASH_POINTS, type CrashPoint, type CrashPoints, noCrashPoints } from "./crash_points.ts";
export { isFinished } from "./finished.ts";
export { RunProgress } from "./progress.ts";
export { keyText, type RefusedRow, RefusedRows } from "./refused_rows.ts";
export { startPulse } from "./pulse.ts";
export {
  type BasesState,
  type CollectionState,
  type FilesState,
  type ImportUnit,
  newCollectionState,
  newRunState,
  newSinkState,
  ownCollectionState,
  parseRunState,
  type RunState,
  type SinkState,
  type VchannelState,
} from "./run_state.ts";
export { formatRunState } from "./run_state_text.ts";
