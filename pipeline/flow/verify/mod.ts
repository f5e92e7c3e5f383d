/** The target against the source's files and log. */
export { type CollectionVerdict, type VerifyOptions, type VerifyReport, verifyRun } from "./verify.ts";
