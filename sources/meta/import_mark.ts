/** What tells a segment that a bulk import filled from one that took its rows off the log, also when its job is forgotten. */
import { SegmentState } from "../../pipeline/proto/gen/common_pb.ts";
import { isL0 } from "./segment_class.ts";
import type { SegmentFiles } from "./segment_files.ts";
import type { SegmentRecord } from "./segment_record.ts";

/** A segment of an import takes no rows of clients, so it never expires (2.4 and later). */
const NEVER = 2n ** 64n - 1n;
/** 0 and 1 stand where a writer knew no time. */
const FIRST_TIME = 2n;

/**
 * Segments that compactions or sorts made of it are not marked: their lineage leads to it. In 2.2 and 2.3 all rows of an import
 * have one timestamp and its segment's start position has the same, where that of any other segment is the tick before its
 * first row. From 2.6 on the streaming node marks the segments that it fills.
 */
export function isImported(info: SegmentRecord, { binlogs }: Pick<SegmentFiles, "binlogs">): boolean {
  if (info.compactionFrom.length > 0 || info.createdByCompaction || info.isCreatedByStreaming || isL0(info)) {
    return false;
  }
  if (info.isImporting || info.state === SegmentState.Importing || info.lastExpireTime === NEVER) return true;
  const start = info.startPosition?.ts ?? 0n;
  const times = binlogs.flatMap(({ files }) => files.map(({ tsFrom }) => tsFrom));
  return times.length > 0 && times.every((ts) => ts >= FIRST_TIME && ts <= start);
}
