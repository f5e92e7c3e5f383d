/** The metadata source: catalog, segments and checkpoints of the source, and their changes. */
export * from "./etcd.ts";
export * from "./inspect.ts";
export type { MetaRecord, MetaRoots } from "./keys.ts";
export * from "./records.ts";
export { discoverClusters, type FoundCluster } from "./discover.ts";
export { decodeSnapshot, type MetaReading, type SnapshotOptions } from "./snapshot.ts";
export * from "./spec.ts";
export { findQueueInUse, type QueueEvidence, type QueueInUse, queueInUse } from "./queue_in_use.ts";
