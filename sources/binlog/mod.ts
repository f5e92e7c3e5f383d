/** Reads and validates the source's binlog files: insert logs, delta logs, the listing, the pause of garbage collection. */
export * from "./delta.ts";
export * from "./delta_cell.ts";
export * from "./envelope.ts";
export * from "./gc.ts";
export type { Locate } from "./group_reader.ts";
export * from "./lister.ts";
export * from "./path.ts";
export * from "./segment.ts";
export * from "./shared_reading.ts";
export * from "./source.ts";
export * from "./spec.ts";
