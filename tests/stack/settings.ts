import type { MilvusSettings } from "./components/milvus.ts";

/**
 * A source that rewrites its files all the time: 40 kB insert buffers, segments of 1 MB, a sync every 8 s, and a
 * compaction for every third small segment or 20 kB of deletes. `deleteBufBytes` stays at its default: Milvus 2.3.5 loses
 * inserts when it is tiny.
 */
export const EAGER_COMPACTION: MilvusSettings = {
  "dataNode.segment.insertBufSize": 40_000,
  "dataNode.segment.syncPeriod": 8,
  "dataCoord.segment.maxSize": 1,
  "dataCoord.segment.maxIdleTime": 20,
  "dataCoord.segment.minSizeFromIdleToSealed": 0,
  "dataCoord.compaction.global.interval": 5,
  "dataCoord.compaction.check.interval": 2,
  "dataCoord.compaction.min.segment": 2,
  "dataCoord.compaction.single.ratio.threshold": 0.02,
  "dataCoord.compaction.single.deltalog.maxsize": 20_000,
  "dataCoord.compaction.single.deltalog.maxnum": 3,
};

/** Syncs every 2 s and looks for compactions every 12 s, with the default thresholds of deletes. */
export const FREQUENT_SYNC: MilvusSettings = {
  "dataNode.segment.insertBufSize": 200_000,
  "dataNode.segment.syncPeriod": 2,
  "dataCoord.segment.maxSize": 4,
  "dataCoord.compaction.global.interval": 12,
  "dataCoord.compaction.check.interval": 3,
  "dataCoord.compaction.min.segment": 2,
};
