/** A snapshot from the records of etcd: pure, key by key, so that pages can be forgotten once they are taken in. */
import type { Collection, Snapshot } from "../../pipeline/model/mod.ts";
import { msOfHybrid } from "../../pipeline/model/mod.ts";
import type { AliasReading } from "./aliases.ts";
import { type CollectionReading, type DatabasesReading, readCatalog } from "./catalog.ts";
import { CatalogKeys } from "./catalog_keys.ts";
import { ChannelKeys } from "./channels.ts";
import { ClusterKeys, type StreamingReading } from "./cluster.ts";
import type { ImportReading } from "./readings.ts";
import { DamagedCollections } from "./damaged.ts";
import { IndexFileKeys } from "./index_files.ts";
import type { MetaRecord, MetaRoots } from "./keys.ts";
import { SegmentKeys } from "./segment_keys.ts";
import { readSegments, type SegmentReading } from "./segments.ts";
import { findTorn, type TornSign } from "./torn.ts";

/** A snapshot with everything that `inspect` shows and the consistency test found. */
export interface MetaReading extends Snapshot {
  readonly roots: MetaRoots;
  readonly imports: readonly ImportReading[];
  /** Of live and of other collections, by id. */
  readonly allSegments: readonly SegmentReading[];
  readonly databases: DatabasesReading;
  readonly collections: readonly CollectionReading[];
  readonly aliases: AliasReading;
  /** Collections that are under the old and the new key. */
  readonly doubledCollections: readonly bigint[];
  readonly indexFiles: IndexFileKeys;
  readonly streaming: StreamingReading | undefined;
  /** The cluster's clock as saved, some seconds ahead; unix ms. */
  readonly clockMs: number | undefined;
  readonly torn: readonly TornSign[];
  /** Collections, live or not, of which a key does not hold what Milvus keeps there: id -> which, and why. */
  readonly damaged: ReadonlyMap<bigint, string>;
}

export interface SnapshotOptions extends MetaRoots {
  readonly revision?: bigint;
  readonly clusterId?: string;
  /** Unix ms when the read began, by the reader's clock. Default: the newest time in the records. */
  readonly takenAtMs?: number;
}

/** Beyond this the saved clock is not that of a running cluster seen by a reader whose clock is about right. */
const CLOCK_TRUST_MS = 5 * 60_000;

export class SnapshotReader {
  readonly catalog: CatalogKeys;
  readonly segments: SegmentKeys;
  readonly #damaged = new DamagedCollections();
  readonly #channels: ChannelKeys;
  readonly #cluster = new ClusterKeys();
  readonly #indexFiles = new IndexFileKeys();
  readonly #metaRoot: string;
  readonly #kvRoot: string;

  /** `segments`: of an earlier snapshot, where only what has changed since is added. */
  constructor(readonly options: SnapshotOptions, segments?: SegmentKeys) {
    this.catalog = new CatalogKeys(options.positions);
    this.segments = segments ?? new SegmentKeys(this.catalog.positions);
    this.#channels = new ChannelKeys(this.catalog.positions);
    this.#metaRoot = `${options.metaRoot}/`;
    this.#kvRoot = `${options.kvRoot}/`;
  }

  /**
   * Takes one record, in any order; keys that are not needed are left alone. Throws `damaged` for what concerns more than one
   * collection.
   */
  add({ key, value, createRevision, modRevision }: MetaRecord): void {
    if (key.startsWith(this.#metaRoot)) {
      const name = key.slice(this.#metaRoot.length);
      if (name.startsWith("datacoord-meta/") && !name.startsWith("datacoord-meta/import-")) {
        this.#damaged.guard(name, () => this.segments.apply(name, value));
        this.#damaged.guard(name, () => this.#channels.apply(name, value, modRevision));
      } else {
        this.catalog.apply(name, value);
        this.#cluster.apply(name, value, createRevision);
        this.#indexFiles.apply(name, value);
      }
    } else if (key.startsWith(this.#kvRoot)) {
      this.#cluster.applyClock(key.slice(this.#kvRoot.length), value);
    }
  }

  /** Throws `damaged`. */
  finish(): MetaReading {
    const { databases, aliases, collections, catalog } = readCatalog(this.catalog);
    const allSegments = readSegments(this.segments, collections, this.#damaged.note);
    const live = new Map<bigint, Collection>(catalog.collections.map((collection) => [collection.id, collection]));
    const channels = this.#channels.read(collections, this.#cluster.streaming);
    const clockMs = this.#cluster.clockMs;
    const takenAtMs = this.options.takenAtMs ?? Math.max(
      clockMs ?? 0,
      ...[...channels.checkpoints.values()].map(({ ts }) => msOfHybrid(ts)),
    );
    // dropped_at is by the cluster's clock, so recency is measured by it where it is known.
    const nowMs = clockMs !== undefined && Math.abs(clockMs - takenAtMs) < CLOCK_TRUST_MS ? clockMs : takenAtMs;
    const damaged = new Map([
      ...catalog.collections.flatMap(({ id, damaged }) => damaged === undefined ? [] : [[id, damaged] as const]),
      ...this.#damaged.reasons,
    ]);
    const beyond = byPredicate(allSegments, live);
    const { v1, v2 } = { v1: this.catalog.collectionsV1, v2: this.catalog.collectionsV2 };
    return {
      revision: this.options.revision ?? 0n,
      clusterId: this.options.clusterId ?? "",
      catalog,
      segments: allSegments.filter((segment) => live.has(segment.collectionId)),
      checkpoints: channels.checkpoints,
      droppedChannels: channels.dropped,
      imports: this.catalog.imports.all(),
      unsettled: this.#cluster.unsettled,
      serverVersion: this.#cluster.serverVersion,
      takenAtMs,
      roots: { metaRoot: this.options.metaRoot, kvRoot: this.options.kvRoot },
      allSegments,
      databases,
      collections,
      aliases,
      doubledCollections: [...v1.keys()].filter((id) => v2.of(id).size > 0).sort((a, b) => a < b ? -1 : 1),
      indexFiles: this.#indexFiles,
      streaming: this.#cluster.streaming,
      clockMs,
      torn: findTorn(allSegments, live, nowMs),
      damaged,
      unusable: new Map([...beyond, ...[...damaged].filter(([id]) => live.has(id))]),
      followable: new Set([...beyond.keys()].filter((id) => !damaged.has(id))),
    };
  }
}

/** Live collections whose files hold deletes by predicate: rows of theirs are in the files that the source does not show. */
function byPredicate(segments: readonly SegmentReading[], live: ReadonlyMap<bigint, Collection>): Map<bigint, string> {
  const found = new Map<bigint, string>();
  for (const { id, collectionId, class: kind, predicates } of segments) {
    if (!predicates || kind === "none" || !live.has(collectionId)) continue;
    found.set(
      collectionId,
      `Segment ${id} holds deletes by predicate, which are not read: a copy of the files would have rows that the source ` +
        "deleted. It can be copied once the source has compacted them away",
    );
  }
  return found;
}

/** All at once. Throws `damaged`. */
export function decodeSnapshot(records: Iterable<MetaRecord>, options: SnapshotOptions): MetaReading {
  const reader = new SnapshotReader(options);
  for (const record of records) reader.add(record);
  return reader.finish();
}
