/** One budget of memory for all segments that are read at once. */
import type { SegmentReadOptions } from "./segment.ts";

const MIB = 1024 ** 2;
/** Of all batches on their way: each is held about nine times over until the target has it, garbage included. */
const BATCHES_BYTES = 16 * MIB;
/** Of files that were fetched and not yet decoded. */
const FILES_BYTES = 64 * MIB;
/** A batch beyond it gains no speed; below it, requests cost more than their rows. */
const BATCH_MOST = 8 * MIB;
const BATCH_LEAST = MIB;

/** How one of `parallel` segments is read, so that memory does not grow with their number. */
export function sharedReading(parallel: number): SegmentReadOptions {
  return {
    batchBytes: Math.min(BATCH_MOST, Math.max(BATCH_LEAST, Math.floor(BATCHES_BYTES / parallel))),
    memoryBytes: Math.floor(FILES_BYTES / parallel),
  };
}
