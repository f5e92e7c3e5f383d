/** One archive sink through a run: its base, the log it keeps, what the catalog became. */
export { ArchiveLeg } from "./leg.ts";
export { ArchiveRun } from "./run.ts";
