/** Backups as a source: list, show, verify, prune, and reading one as if it were a running Milvus. */
export * from "./archive.ts";
export * from "./binlogs.ts";
export * from "./continuity.ts";
export * from "./history.ts";
export * from "./list.ts";
export * from "./open.ts";
export * from "./prune.ts";
export * from "./read.ts";
export * from "./restorable.ts";
export * from "./show.ts";
export * from "./snapshot.ts";
export * from "./verify.ts";
export * from "./verify_report.ts";
export { whereBackupsAre } from "./where.ts";
