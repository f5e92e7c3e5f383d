/** Where Milvus keeps what in etcd. Keys below are relative to the meta root, without a slash in front. */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { PositionForms } from "../../pipeline/model/mod.ts";

/** One key of etcd with its value. */
export interface MetaRecord {
  readonly key: string;
  readonly value: Uint8Array;
  /** Of the cluster's etcd; undefined where the records are a file's. */
  readonly createRevision?: bigint;
  readonly modRevision?: bigint;
}

export interface MetaRoots {
  /** `etcd.rootPath` + `/` + `etcd.metaSubPath`, for example `by-dev/meta`. */
  readonly metaRoot: string;
  /** `etcd.rootPath` + `/` + `etcd.kvSubPath`, for example `by-dev/kv`: the allocators of ids and timestamps. */
  readonly kvRoot: string;
  /** Of the queue whose places the metadata names. Default: Kafka's. */
  readonly positions?: PositionForms;
}

/** What the catalog is made of, and the imports; what a watch follows. */
export const CATALOG_PREFIXES = [
  "root-coord/",
  "field-index/",
  "querycoord-collection-loadinfo/",
  "querycoord-partition-loadinfo/",
  "querycoord-replica/",
  "importtask/",
  "datacoord-meta/import-job/",
  "datacoord-meta/import-task/",
] as const;

/** Segments and their files. Prefixes end in a slash: `datacoord-meta/s` without one would bring stats-task and snapshot along. */
export const SEGMENT_FILE_PREFIXES = [
  "datacoord-meta/s/",
  "datacoord-meta/binlog/",
  "datacoord-meta/deltalog/",
  "datacoord-meta/predicate-deltalog/",
  "datacoord-meta/statslog/",
  "datacoord-meta/bm25log/",
] as const;

/** What a snapshot needs besides the catalog and the segments. */
export const CLUSTER_PREFIXES = [
  "datacoord-meta/channel-cp/",
  "datacoord-meta/channel-removal/",
  "session/",
  "streamingcoord-meta/",
] as const;

/** Files of indexes; only `inspect` shows them. */
export const INDEX_FILE_PREFIXES = ["segment-index/"] as const;

/** Below the kv root: the saved upper bound of the cluster's clock, 8 bytes big endian, unix nanoseconds. */
export const CLOCK_KEYS = ["gid/timestamp", "tso/timestamp"] as const;

/**
 * Up to 2.6.14 a delete of a root-coord key writes these three bytes instead of removing the key; upgraded clusters can
 * still show them.
 */
const TOMBSTONE = [0xe2, 0x9b, 0xbc] as const;

export function isTombstone(value: Uint8Array): boolean {
  return value.length === 3 && TOMBSTONE.every((byte, at) => value[at] === byte);
}

/** Marks a key that is there but deleted. */
export const DELETED = Symbol("deleted");
export type Stored<T> = T | typeof DELETED;

/** The parts of a key behind `prefix`. */
export function partsOf(key: string, prefix: string): string[] {
  return key.slice(prefix.length).split("/");
}

/** An id as a part of a key. Throws `damaged`. */
export function idOf(part: string | undefined, key: string): bigint {
  if (part === undefined || !/^-?\d{1,20}$/.test(part)) {
    throw damagedKey(
      key,
      `expected a number, found ${part === undefined ? "nothing" : JSON.stringify(part)} in the key`,
    );
  }
  return BigInt(part);
}

/** Bytes that cannot be what their key says. */
export function damagedKey(key: string, why: string, cause?: unknown): TidemarkError {
  return new TidemarkError("damaged", `The etcd key ${key} does not hold what Milvus keeps there: ${why}`, {
    hint: "Is this key written by something else than Milvus, or by a release newer than 3.0? " +
      "`inspect meta` shows what can be read; etcdctl get shows the bytes.",
    ...(cause === undefined ? {} : { cause }),
  });
}
