/**
 * The deletes that a segment's own named delta logs do not hold, though they happened: the source's metadata forgets some.
 * They come from the log, and from the bucket's delta files where the log no longer reaches back far enough.
 */
import {
  type BinlogSource,
  type Collection,
  type DeleteMark,
  type HybridTs,
  type LogFile,
  partitionKey,
  primaryKey,
  type Segment,
  type Snapshot,
} from "../../model/mod.ts";
import { keysOfColumn } from "../../columns/mod.ts";
import { deleteHorizon, earliestRowTs, latestTs } from "../../transforms/mod.ts";
import type { DeleteDemand, LogDeletes, Slots } from "../base/mod.ts";
import type { Cut } from "../../model/mod.ts";

type Key = bigint | string;
/** Partition id (-1: all) -> key -> timestamps of its deletes. */
type Index = Map<bigint, Map<Key, HybridTs[]>>;

/**
 * What must be read of the log: up to the last moment that a file of the vchannel holds, so that whoever reads whole files
 * and knows no cut finds the deletes of what it reads.
 */
export function forgottenDemands(
  snapshot: Snapshot,
  collection: Collection,
  cuts: readonly Cut[],
): DeleteDemand[] {
  const horizons = deleteHorizon(snapshot, collection);
  return cuts.map((cut) => {
    let ts = cut.ts;
    for (const segment of snapshot.segments) {
      if (segment.vchannel !== cut.vchannel) continue;
      const latest = latestTs(segment);
      if (latest > ts) ts = latest;
    }
    return { cut: { ...cut, ts }, horizon: horizons.get(cut.vchannel) };
  });
}

export interface ForgottenDeletesOptions {
  readonly binlogs: BinlogSource;
  readonly collection: Collection;
  /** Every segment of the collection that metadata knows, Dropped ones included. */
  readonly segments: readonly Segment[];
  readonly logDeletes: LogDeletes;
  readonly deltaFiles: readonly LogFile[];
}

/** Of one collection. Memory: the deleted keys. */
export class ForgottenDeletes {
  readonly #o: ForgottenDeletesOptions;
  readonly #indexes = new Map<string, Index>();
  #files: Promise<Map<string, DeleteMark[]>> | undefined;

  constructor(options: ForgottenDeletesOptions) {
    this.#o = options;
  }

  /** Reads the segment's keys, where there is a delete that may be of one of them. */
  async of(segment: Segment, slots: Slots, signal: AbortSignal): Promise<DeleteMark[]> {
    const index = await this.#index(segment.vchannel, signal);
    const key = primaryKey(this.#o.collection.schema);
    if (index.size === 0 || key === undefined) return [];
    const oldest = earliestRowTs(segment);
    const scopes = this.#scopes(index, segment.partitionId);
    if (!scopes.some((scope) => hasLater(scope, oldest))) return [];
    return await slots.run(async () => {
      const values: Key[] = [];
      const timestamps: HybridTs[] = [];
      let varchar = false;
      const { binlogs, collection } = this.#o;
      for await (const batch of binlogs.rows(segment, collection.schema, [key.fieldID], signal)) {
        const column = batch.columns.find((item) => item.fieldId === key.fieldID);
        if (column === undefined) continue;
        const keys = keysOfColumn(column);
        varchar = keys.kind === "varchar";
        for (const value of keys.values) {
          for (const scope of scopes) {
            for (const ts of scope.get(value) ?? []) {
              if (ts <= oldest) continue;
              values.push(value);
              timestamps.push(ts);
            }
          }
        }
      }
      if (values.length === 0) return [];
      const known = await this.#named(segment, signal);
      const left = values.map((_, i) => i).filter((i) => !known.has(`${timestamps[i]}/${values[i]}`));
      if (left.length === 0) return [];
      const kept = left.map((i) => values[i]!);
      return [{
        partitionId: segment.partitionId,
        keys: varchar
          ? { kind: "varchar", values: kept as string[] }
          : { kind: "int64", values: BigInt64Array.from(kept as bigint[]) },
        timestamps: BigUint64Array.from(left.map((i) => timestamps[i]!)),
      }];
    });
  }

  #scopes(index: Index, partitionId: bigint): Map<Key, HybridTs[]>[] {
    // Deletes of a collection with a partition key need not name the partition that the key hashes to.
    if (partitionKey(this.#o.collection.schema) !== undefined) return [...index.values()];
    return [index.get(-1n), index.get(partitionId)].filter((scope) => scope !== undefined);
  }

  async #index(vchannel: string, signal: AbortSignal): Promise<Index> {
    const found = this.#indexes.get(vchannel);
    if (found !== undefined) return found;
    const { logDeletes } = this.#o;
    const index: Index = new Map();
    for (const mark of logDeletes.marks.get(vchannel) ?? []) add(index, mark);
    if (logDeletes.beyondLog.includes(vchannel)) {
      this.#files ??= this.#readFiles(signal);
      for (const mark of (await this.#files).get(vchannel) ?? []) add(index, mark);
    }
    this.#indexes.set(vchannel, index);
    return index;
  }

  /** All delta files by vchannel, named or not: every delete in one of them really happened. */
  async #readFiles(signal: AbortSignal): Promise<Map<string, DeleteMark[]>> {
    const { binlogs, collection, segments, deltaFiles } = this.#o;
    const channelOf = new Map(segments.map((segment) => [segment.id, segment.vchannel]));
    const marks = new Map<string, DeleteMark[]>();
    for (const file of deltaFiles) {
      const channel = channelOf.get(BigInt(/\/(\d+)\/(?:_delta\/)?\d+$/.exec(file.path)?.[1] ?? -1));
      // A key lives in one vchannel, so deletes of a forgotten segment do no harm in the others.
      const channels = channel === undefined ? collection.vchannels : [channel];
      for await (const mark of binlogs.deletes(file, signal)) {
        for (const vchannel of channels) {
          const list = marks.get(vchannel);
          if (list === undefined) marks.set(vchannel, [mark]);
          else list.push(mark);
        }
      }
    }
    return marks;
  }

  async #named(segment: Segment, signal: AbortSignal): Promise<Set<string>> {
    const known = new Set<string>();
    for (const { files } of segment.deltalogs) {
      for (const file of files) {
        for await (const { keys, timestamps } of this.#o.binlogs.deletes(file, signal)) {
          for (let i = 0; i < timestamps.length; i++) known.add(`${timestamps[i]}/${keys.values[i]}`);
        }
      }
    }
    return known;
  }
}

function add(index: Index, { partitionId, keys, timestamps }: DeleteMark): void {
  let scope = index.get(partitionId);
  if (scope === undefined) index.set(partitionId, scope = new Map());
  for (let i = 0; i < timestamps.length; i++) {
    const key = keys.values[i]!;
    const list = scope.get(key);
    if (list === undefined) scope.set(key, [timestamps[i]!]);
    else if (!list.includes(timestamps[i]!)) list.push(timestamps[i]!);
  }
}

function hasLater(scope: ReadonlyMap<Key, readonly HybridTs[]>, than: HybridTs): boolean {
  for (const list of scope.values()) if (list.some((ts) => ts > than)) return true;
  return false;
}
