/**
 * Named phases at which a test may kill the process. The flow calls {@link CrashPoints} at each; in production it does
 * nothing. A process-wide switch would be module state, so it is handed in.
 */
export const CRASH_POINTS = [
  "before_snapshot",
  "after_snapshot",
  "mid_segment",
  "between_segments",
  "before_first_batch",
  "after_first_batch",
  "between_write_and_ack",
  "between_ack_and_checkpoint",
  "inside_barrier",
  "inside_reconcile",
  "inside_rename",
  "inside_import",
  "import_prepared",
  "import_asked",
  "import_started",
  "import_completed",
  "imports_completed",
  "before_done",
] as const;

/** Those of backups: of the run, of the sink and of what removes backups. */
export const BACKUP_CRASH_POINTS = [
  "backup_segment",
  "archive_roll",
  "archive_rolled",
  "backup_meta",
  "backup_manifest",
  "backup_complete",
  "rebase_adopted",
  "prune_begun",
  "prune_removing",
] as const;

/** Those of a run without a log. */
export const STEP_CRASH_POINTS = ["inside_step"] as const;

/** Those of row sinks. */
export const ROW_SINK_CRASH_POINTS = ["between_delete_and_insert"] as const;

export type CrashPoint =
  | typeof CRASH_POINTS[number]
  | typeof BACKUP_CRASH_POINTS[number]
  | typeof STEP_CRASH_POINTS[number]
  | typeof ROW_SINK_CRASH_POINTS[number];

/** Called when the flow passes a named phase. */
export type CrashPoints = (point: CrashPoint) => void;

export const noCrashPoints: CrashPoints = () => {};
