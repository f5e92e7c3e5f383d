/** Everything a run needs of the source's metadata, read at one etcd revision. */
import type { Catalog, Collection } from "./catalog.ts";
import type { HybridTs } from "./hybrid.ts";
import type { Position } from "./position.ts";
import type { Segment, StoredPosition } from "./segment.ts";

/** An import (bulk insert) as metadata knows it. Its rows never pass through the log. */
export interface ImportTask {
  readonly id: bigint;
  readonly collectionId: bigint;
  readonly state: "pending" | "failed" | "persisted" | "completed" | "other";
  readonly segmentIds: readonly bigint[];
  readonly rows: bigint;
}

/** A change that destroys rows and that the source is still sending to the channels of a collection. */
export interface UnsettledChange {
  readonly broadcastId: bigint;
  readonly collectionId: bigint;
  /** Of its type, as the log names it. */
  readonly typeName: string;
}

export interface Snapshot {
  /** The etcd revision at which everything was read. */
  readonly revision: bigint;
  /** Identity of the etcd cluster, decimal; a state file of another cluster is refused. */
  readonly clusterId: string;
  readonly catalog: Catalog;
  /** All segments of live collections, Dropped ones included. */
  readonly segments: readonly Segment[];
  /** vchannel -> channel-cp. A dropped channel's marker (ts 2^64-1) is not in here but in `droppedChannels`. */
  readonly checkpoints: ReadonlyMap<string, StoredPosition>;
  readonly droppedChannels: readonly string[];
  readonly imports: readonly ImportTask[];
  /** Some channels may have passed it, others not: a copy does not begin in the middle of it. Undefined: there is none. */
  readonly unsettled?: readonly UnsettledChange[];
  /**
   * Live collections of which something cannot be read from this metadata, which stayed so when it was read again:
   * id -> a sentence that says why and what helps. What the snapshot holds of them is not whole.
   */
  readonly unusable?: ReadonlyMap<bigint, string>;
  /** Those of them whose segments are all here and can be read: it is the files that do not tell all. The log does. */
  readonly followable?: ReadonlySet<bigint>;
  /** Server version of a registered session, empty where unknown, for example `2.3.5`. */
  readonly serverVersion: string;
  /** Unix ms when the read began, by the reader's clock. */
  readonly takenAtMs: number;
}

/** A change of the source's catalog after a snapshot. */
export interface CatalogChange {
  readonly revision: bigint;
  /** The whole catalog after the change. */
  readonly catalog: Catalog;
  /** Collections whose definition, partitions, indexes, aliases, load state or properties changed, new ones included. */
  readonly changed: readonly bigint[];
  /** Collections that are no longer live. */
  readonly gone: readonly bigint[];
  readonly databasesChanged: boolean;
  readonly rbacChanged: boolean;
  /** Imports that became `completed` by this change. */
  readonly importsCompleted: readonly ImportTask[];
  /** Imports that moved on by this change without being `completed`; undefined: none. */
  readonly importsUnderWay?: readonly ImportTask[];
  /** Everything was read anew: imports that came and went since the change before are not in it. */
  readonly reread?: boolean;
}

/**
 * Two changes in a row as one: the newer catalog, and what either of them changed.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { type CatalogChange, mergeChanges } from "./snapshot.ts";
 *
 * const change: CatalogChange = {
 *   revision: 4n,
 *   catalog: { databases: [], collections: [], rbac: { users: [], roles: [], grants: [], privilegeGroups: [] }, notLive: [] },
 *   changed: [100n, 101n],
 *   gone: [],
 *   databasesChanged: false,
 *   rbacChanged: false,
 *   importsCompleted: [],
 * };
 * const merged = mergeChanges(change, { ...change, revision: 5n, changed: [102n], gone: [101n], rbacChanged: true });
 * assert.deepEqual([merged.revision, merged.changed, merged.gone], [5n, [100n, 102n], [101n]]);
 * assert.ok(merged.rbacChanged);
 * ```
 */
export function mergeChanges(older: CatalogChange, newer: CatalogChange): CatalogChange {
  const gone = new Set([...older.gone, ...newer.gone]);
  const changed = new Set(
    [...older.changed, ...newer.changed].filter((id) => !gone.has(id) || newer.changed.includes(id)),
  );
  for (const id of changed) gone.delete(id);
  return {
    revision: newer.revision,
    catalog: newer.catalog,
    changed: [...changed],
    gone: [...gone],
    databasesChanged: older.databasesChanged || newer.databasesChanged,
    rbacChanged: older.rbacChanged || newer.rbacChanged,
    importsCompleted: [...older.importsCompleted, ...newer.importsCompleted],
    importsUnderWay: [...older.importsUnderWay ?? [], ...newer.importsUnderWay ?? []],
    reread: older.reread === true || newer.reread === true,
  };
}

/** What is known of one collection id when the log mentions it. */
export type CollectionLookup =
  /** `revision`: of the metadata that says so; undefined where it does not change. */
  | { readonly state: "live"; readonly collection: Collection; readonly revision?: bigint }
  /** Creating: ask again; dropping: its metadata is still there but it is doomed. */
  | { readonly state: "creating" | "dropping"; readonly name: string; readonly dbId: bigint }
  /** `droppedAt`: it was there at the moment that a backup is restored to, and nobody saw what it was. */
  | { readonly state: "unknown"; readonly droppedAt?: HybridTs };

/** The cut of one vchannel: base rows have ts <= `ts`, the tail starts at `offset` (inclusive) and takes ts > `ts`. */
export interface Cut {
  readonly vchannel: string;
  readonly pchannel: string;
  readonly collectionId: bigint;
  readonly offset: Position;
  readonly ts: HybridTs;
}
