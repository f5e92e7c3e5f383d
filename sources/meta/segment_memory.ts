/**
 * What a snapshot has read of segments and their files, for the next one to begin with. There are as many of these keys as there
 * are fields times segments, and from one snapshot to the next hardly any of them changes.
 */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { EtcdClient, EtcdKv, EtcdPage } from "../../stores/mod.ts";
import { type MetaRoots, SEGMENT_FILE_PREFIXES } from "./keys.ts";
import type { SegmentKeys } from "./segment_keys.ts";
import type { SnapshotReader } from "./snapshot.ts";

/** Keys at one revision. */
export interface RememberedSegments {
  readonly history: KeyHistory;
  readonly revision: bigint;
  readonly segments: SegmentKeys;
  /** How many keys there are below each prefix. */
  readonly counts: ReadonlyMap<string, bigint>;
}

/** Which etcd was read, and the key among all that were read that was written last. */
export interface KeyHistory {
  readonly clusterId: string;
  readonly raftTerm: string;
  readonly newest: EtcdKv | undefined;
}

/** A reader of keys that sees which of them was written last. */
export class WitnessedKeys implements Pick<EtcdClient, "range"> {
  readonly #etcd: Pick<EtcdClient, "range">;
  #history: KeyHistory = { clusterId: "", raftTerm: "", newest: undefined };

  constructor(etcd: Pick<EtcdClient, "range">) {
    this.#etcd = etcd;
  }

  get history(): KeyHistory {
    return this.#history;
  }

  async *range(...[prefix, options, signal]: Parameters<EtcdClient["range"]>): AsyncGenerator<EtcdPage> {
    for await (const page of this.#etcd.range(prefix, options, signal)) {
      const { clusterId, raftTerm, kvs } = page;
      let { newest } = this.#history;
      for (const kv of kvs) if (newest === undefined || kv.modRevision > newest.modRevision) newest = kv;
      this.#history = { clusterId, raftTerm, newest };
      yield page;
    }
  }

  /** What was read before, and is not read again, counts, too. */
  recall({ newest }: KeyHistory): void {
    const own = this.#history.newest;
    if (newest !== undefined && (own === undefined || newest.modRevision > own.modRevision)) {
      this.#history = { ...this.#history, newest };
    }
  }
}

/**
 * True where `known` is surely the past of what is read now at `revision`. A cluster keeps its id when it is started with a copy
 * of its data directory, or with a snapshot of it; its revisions then go back, and pass the old ones again with other keys. That
 * needs a restart, which raises the term unless the copy is of before another restart; and at the old revision it has another
 * key as the last written one, or had the same, whose changes since then are asked for. Where etcd has compacted the old
 * revision away, nobody can say it.
 */
export async function isPastOf(
  known: Pick<RememberedSegments, "history" | "revision">,
  { clusterId, raftTerm, revision }: Pick<EtcdPage, "clusterId" | "raftTerm" | "revision">,
  etcd: Pick<EtcdClient, "range">,
  signal: AbortSignal,
): Promise<boolean> {
  const { newest, ...of } = known.history;
  if (of.clusterId !== clusterId || of.raftTerm !== raftTerm || known.revision > revision || newest === undefined) {
    return false;
  }
  try {
    for await (const { kvs } of etcd.range(newest.key, { revision: known.revision, limit: 1 }, signal)) {
      const [then] = kvs;
      return then?.key === newest.key && then.modRevision === newest.modRevision && then.version === newest.version &&
        then.value.length === newest.value.length && then.value.every((byte, at) => byte === newest.value[at]);
    }
  } catch (error) {
    if (!(error instanceof TidemarkError) || error.code !== "position_lost") throw error;
  }
  return false;
}

/**
 * Adds the keys of segments at `revision` to `reader`: those that have changed since `known`, whose segments the reader has,
 * where the number of keys shows that none was deleted in between, else all. Returns the numbers. `known` must be the past of
 * what is read ({@link isPastOf}), and is of no use afterwards, whatever happens.
 */
export async function readSegmentKeys(
  etcd: Pick<EtcdClient, "range">,
  { roots, revision, known }: {
    readonly roots: Pick<MetaRoots, "metaRoot">;
    readonly revision: bigint;
    readonly known: Pick<RememberedSegments, "history" | "counts"> | undefined;
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
  { history: { newest } }: Pick<RememberedSegments, "history">,
  was: bigint,
  revision: bigint,
  signal: AbortSignal,
): Promise<{ readonly kvs: readonly EtcdKv[]; readonly count: bigint } | undefined> {
  const since = newest!.modRevision;
  for await (const { kvs, count, more } of etcd.range(path, { revision, changedAfter: since }, signal)) {
    // A key that was deleted and made again counts as new, and is one too many then: all is read.
    const made = kvs.filter(({ createRevision }) => createRevision > since).length;
    return more || count !== was + BigInt(made) ? undefined : { kvs, count };
  }
  return undefined;
}
