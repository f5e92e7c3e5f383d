/** What of a target's definition never stands in the way of rows. */
import type { DdlKind } from "./sink.ts";

/** Rows can be written whatever becomes of these: where the target refuses one, it is tried again beside the rows. */
export const BESIDE_ROWS: ReadonlySet<DdlKind> = new Set([
  "load",
  "release",
  "create_index",
  "drop_index",
  "alter_index",
]);

/** What is loaded on a target: what the source has loaded, or nothing, or what the target can. */
export type LoadMode = "source" | "never" | "best_effort";
