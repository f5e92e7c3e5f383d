/**
 * What a snapshot has read of segments and their files, for the next one to begin with. There are as many of these keys as there
 * are fields times segments, and from one snapshot to the next hardly any of them changes.
 */
import type { EtcdClient, EtcdKv } from "../../stores/mod.ts";
import { type MetaRoots, SEGMENT_FILE_PREFIXES } from "./keys.ts";
import type { SegmentKeys } from "./segment_keys.ts";
import type { SnapshotReader } from "./snapshot.ts";

/** Keys at one revision. */
export interface RememberedSegments {
  readonly clusterId: string;
  readonly revision: bigint;
  readonly segments: SegmentKeys;
  /** How many keys there are below each prefix. */
  readonly counts: ReadonlyMap<string, bigint>;
}

/**
 * Adds the keys of segments at `revision` to `reader`: those that have changed since `known`, whose segments the reader has,
 * where the number of keys shows that none was deleted in between, else all. Returns the numbers. `known` is of no use
 * afterwards, whatever happens.
 */
export async function readSegmentKeys(
  etcd: Pick<EtcdClient, "range">,
  { roots, revision, known }: {
    readonly roots: Pick<MetaRoots, "metaRoot">;
    readonly revision: bigint;
    readonly known: Pick<RememberedSegments, "revision" | "counts"> | undefined;
  },
  reader: SnapshotReader,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, bigint>> {
  const counts = new Map<string, bigint>();
  for (const prefix of SEGMENT_FILE_PREFIXES) {
    const path = `${roots.metaRoot}/${prefix}`;
    const changed = known && await changedSince(etcd, path, known, known.counts.get(prefix)!, revision, signal);
    if (changed !== undefined) {
      changed.kvs.forEach((kv) => reader.add(kv));
      counts.set(prefix, changed.count);
      continue;
    }
    reader.segments.forget(prefix);
    let count = 0n;
    for await (const { kvs } of etcd.range(path, { revision }, signal)) {
      count += BigInt(kvs.length);
      kvs.forEach((kv) => reader.add(kv));
    }
    counts.set(prefix, count);
  }
  reader.segments.tidy();
  return counts;
}

/** Undefined where a key was deleted since, or so much has changed that it does not fit one page. */
async function changedSince(
  etcd: Pick<EtcdClient, "range">,
  path: string,
  { revision: since }: Pick<RememberedSegments, "revision">,
  was: bigint,
  revision: bigint,
  signal: AbortSignal,
): Promise<{ readonly kvs: readonly EtcdKv[]; readonly count: bigint } | undefined> {
  for await (const { kvs, count, more } of etcd.range(path, { revision, changedAfter: since }, signal)) {
    // A key that was deleted and made again counts as new, and is one too many then: all is read.
    const made = kvs.filter(({ createRevision }) => createRevision > since).length;
    return more || count !== was + BigInt(made) ? undefined : { kvs, count };
  }
  return undefined;
}
