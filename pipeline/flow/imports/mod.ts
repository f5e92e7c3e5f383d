/** Bulk imports: of the target, for a base; of the source, in its tail. */
export { importSegments } from "./base.ts";
export { beginAnew, chooseBulk, leaveImports } from "./choice.ts";
export { foreseeLoad, type LoadChoice } from "./gate.ts";
export type { ImportJob, ImportProgress } from "./job.ts";
export { loadImport } from "./load.ts";
export type { FoundSegment } from "./plan.ts";
export { ImportTrouble } from "./trouble.ts";
