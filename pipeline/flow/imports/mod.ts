/** Bulk imports: of the target, for a base; of the source, in its tail. */
export { importSegments } from "./base.ts";
export { beginAnew, chooseBulk, leaveImports } from "./choice.ts";
export { foreseeLoad, type LoadChoice } from "./gate.ts";
export type { ImportJob, ImportProgress } from "./job.ts";
export { type AppliedTo, forgottenImports, lostImport, unexplainedImports } from "./forgotten.ts";
export { loadImport } from "./load.ts";
export { importTimes, type SourceImport } from "./source_import.ts";
export type { FoundSegment } from "./plan.ts";
export { ImportTrouble } from "./trouble.ts";
