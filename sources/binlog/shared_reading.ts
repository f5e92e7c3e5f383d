/** One budget of memory for all segments that are read at once. */
import type { SegmentReadOptions } from "./segment.ts";

const MIB = 1024 ** 2;
/** Of all batches: each is there several times over on its way, as pages, columns and the request. */
const BATCHES_BYTES = 8 * MIB;
/** Of files that were fetched and not yet decoded. */
const FILES_BYTES = 32 * MIB;
/** Well below what a sink sends in one request: a batch beyond that is copied once more, to be split. */
const BATCH_MOST = 4 * MIB;
const BATCH_LEAST = MIB;

/** How one of `parallel` segments is read, so that memory does not grow with their number. */
export function sharedReading(parallel: number): SegmentReadOptions {
  return {
    batchBytes: Math.min(BATCH_MOST, Math.max(BATCH_LEAST, Math.floor(BATCHES_BYTES / parallel))),
    memoryBytes: Math.floor(FILES_BYTES / parallel),
  };
}
