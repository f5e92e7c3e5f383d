/** One archive sink through a run: its base, the log it keeps, what the catalog became. */
export { NothingBackedUp } from "./base.ts";
export { ArchiveLeg } from "./leg.ts";
export { ArchiveRun } from "./run.ts";
