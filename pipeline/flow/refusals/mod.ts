/** Rows that a target does not take: what becomes of them, and how they are tried again. */
export { keepRefused, keepRefusedDeletes, refusedWhole, type RefusedWrite, segmentOrigin } from "./keep.ts";
export { replayDeadLetters, type ReplayReport } from "./replay.ts";
export { retryHeld } from "./retry.ts";
