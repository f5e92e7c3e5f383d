/** One row sink through a run: what it needs as base, its side of the tail, what is changed on the target. */
export { isGone } from "./existing_target.ts";
export { foreseeDatabases, foreseeTarget, foreseeWhose } from "./foreseen.ts";
export { lane } from "./lane.ts";
export { RowSinks } from "./sinks.ts";
