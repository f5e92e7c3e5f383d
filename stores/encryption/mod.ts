/** Encryption of backups on this side, in age's format. Its library is loaded with the first key. */
export * from "./guarded_backups.ts";
export * from "./locked_error.ts";
export * from "./note.ts";
export * from "./open.ts";
export * from "./spec.ts";
export * from "./sums.ts";
