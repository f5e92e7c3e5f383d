/** A flushed segment with what a test does not care about filled in. */
import type { Segment } from "../../pipeline/model/mod.ts";

export function segmentOf(changes: Partial<Segment> & Pick<Segment, "id" | "collectionId" | "partitionId">): Segment {
  return {
    vchannel: "",
    state: "flushed",
    level: 0,
    rows: 0n,
    startPosition: undefined,
    dmlPosition: undefined,
    storageVersion: 0n,
    manifestPath: "",
    commitTimestamp: 0n,
    isImporting: false,
    isFake: false,
    isInvisible: false,
    createdByCompaction: false,
    compactionFrom: [],
    compacted: false,
    droppedAt: 0n,
    binlogs: [],
    deltalogs: [],
    statslogs: [],
    class: "rows",
    classReason: "flushed",
    ...changes,
  };
}
