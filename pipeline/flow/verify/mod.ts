/** The target against the source's files and log. */
export type { Difference } from "./compare.ts";
export type { Repaired } from "./repair.ts";
export { type CollectionVerdict, type VerifyOptions, type VerifyReport, verifyRun } from "./verify.ts";
