/** The base of one collection: its live rows, and what deletes them. */
export { copyBase, readDeltaFiles } from "./copy.ts";
export { type DeleteDemand, type LogDeletes, readLogDeletes, unreadableDeletes } from "./deletes.ts";
export type { BaseJob, BaseRows } from "./job.ts";
export { Slots } from "./slots.ts";
export { checkFiles, refuseWrongRoot } from "./wrong_root.ts";
