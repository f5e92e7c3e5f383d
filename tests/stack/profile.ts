/**
 * `full`: etcd, Kafka, an S3 server, source and target Milvus on them, milvus-lite.
 * `demo`: Kafka, a source Milvus with its embedded etcd and local files, a target Milvus on its own.
 */
export type Profile = "full" | "demo";

export const PROFILES: readonly Profile[] = ["full", "demo"];

/** A process of the stack. */
export type ComponentName = "etcd" | "kafka" | "s3" | "source" | "target" | "lite";

/** What each profile runs, in the order in which it is started. */
export const COMPONENTS: Record<Profile, readonly ComponentName[]> = {
  full: ["etcd", "kafka", "s3", "lite", "source", "target"],
  demo: ["kafka", "target", "source"],
};
