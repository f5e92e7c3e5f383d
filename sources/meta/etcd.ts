/** The metadata source that reads the source's etcd. */
import { rest } from "../../pipeline/pause.ts";
import type { TidemarkError } from "../../pipeline/errors.ts";
import type {
  CatalogChange,
  CheckLine,
  CollectionLookup,
  MetaSource,
  PositionForms,
  Queue,
} from "../../pipeline/model/mod.ts";
import { connectEtcd, type EtcdClient, etcdOptions } from "../../stores/mod.ts";
import { checkEtcd } from "./check.ts";
import { sourceClock } from "./clock.ts";
import {
  CATALOG_PREFIXES,
  CLOCK_KEYS,
  CLUSTER_PREFIXES,
  INDEX_FILE_PREFIXES,
  type MetaRecord,
  type MetaRoots,
} from "./keys.ts";
import { lookupCollection } from "./lookup.ts";
import { emptyCatalog } from "./roots.ts";
import { isPastOf, readSegmentKeys, type RememberedSegments, WitnessedKeys } from "./segment_memory.ts";
import { Settling } from "./settling.ts";
import { type MetaReading, SnapshotReader } from "./snapshot.ts";
import type { EtcdMetaConfig } from "./spec.ts";
import { watchCatalog } from "./watch.ts";

export interface EtcdMetaDependencies {
  /** Of the queue that carries the source's log. Default: Kafka's. */
  readonly positions?: PositionForms;
  /** Which `check` compares with the one that the source uses. Default: it does not. */
  readonly logQueue?: Queue | undefined;
  /** Keep what a snapshot has read of segments for the next one: for whoever takes one every few seconds. Default: no. */
  readonly remembers?: boolean;
  /** Unix ms. */
  readonly now?: () => number;
  readonly random?: () => number;
  /** Resolves after `ms` or when the signal fires. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Told of waits for etcd and of torn reads that are repeated. */
  readonly onRetry?: (error: TidemarkError, delayMs: number) => void;
  /** Told once that etcd does not answer, and once (undefined) that it does again. */
  readonly onState?: (error: TidemarkError | undefined) => void;
}

/** A {@link MetaSource} whose snapshots show more: what `inspect` prints. */
export interface EtcdMetaSource extends MetaSource, AsyncDisposable {
  snapshot(signal: AbortSignal): Promise<MetaReading>;
  /** As `snapshot`, with the files of indexes, and also where the read is torn: `torn` says how. */
  inspect(signal: AbortSignal): Promise<MetaReading>;
}

/** Throws `config` where a file that the config names cannot be read; connects when first used. */
export async function openEtcdMeta(
  config: EtcdMetaConfig,
  dependencies: EtcdMetaDependencies = {},
): Promise<EtcdMetaSource> {
  const { now = Date.now, random = Math.random, sleep = rest, onRetry = () => {}, onState, positions } = dependencies;
  const etcd = connectEtcd({
    ...await etcdOptions(config),
    pageSize: config.page_size,
    random,
    onRetry,
    onState,
    // An outage in the middle of a run is waited out; a wrong address is said at once.
    persistent: true,
  });
  const roots: MetaRoots = {
    metaRoot: `${config.root_path}/${config.meta_sub_path}`,
    kvRoot: `${config.root_path}/${config.kv_sub_path}`,
    ...(positions === undefined ? {} : { positions }),
  };
  const memory: ReadOptions["memory"] = dependencies.remembers ? { segments: undefined } : undefined;
  const settling = new Settling({ endpoint: () => etcd.endpoint, random, sleep, onRetry });
  return {
    snapshot: (signal: AbortSignal): Promise<MetaReading> =>
      settling.read(() => readOnce(etcd, roots, memory === undefined ? {} : { memory }, now, signal), signal),
    inspect: (signal) => readOnce(etcd, roots, { more: INDEX_FILE_PREFIXES }, now, signal),
    watch: (revision: bigint, signal: AbortSignal): AsyncIterable<CatalogChange> =>
      watchCatalog(etcd, roots, revision, signal),
    lookup: (id: bigint, signal: AbortSignal): Promise<CollectionLookup> => lookupCollection(etcd, roots, id, signal),
    clockMs: (signal: AbortSignal): Promise<number | undefined> => sourceClock(etcd, roots, signal),
    check: (signal: AbortSignal): Promise<CheckLine[]> =>
      checkEtcd(etcd, roots, now, signal, [config.root_path, dependencies.logQueue]),
    close: () => etcd.close(),
    [Symbol.asyncDispose]: () => etcd.close(),
  };
}

interface ReadOptions {
  /** Further keys below the meta root. */
  readonly more?: readonly string[];
  /** What an earlier read remembers, and where this one leaves it. */
  readonly memory?: { segments: RememberedSegments | undefined };
}

/** Everything at one revision: that of the first page. A page is forgotten once its keys are taken in. */
async function readOnce(
  etcd: EtcdClient,
  roots: MetaRoots,
  { more = [], memory }: ReadOptions,
  now: () => number,
  signal: AbortSignal,
): Promise<MetaReading> {
  const catalog: MetaRecord[] = [];
  const takenAtMs = now();
  const keys = new WitnessedKeys(etcd);
  let [revision, clusterId, raftTerm] = [0n, "", ""];
  for await (const page of keys.range(`${roots.metaRoot}/${CATALOG_PREFIXES[0]}`, {}, signal)) {
    ({ revision, clusterId, raftTerm } = page);
    catalog.push(...page.kvs);
  }
  // Whoever reads beside this one, or after it where it fails, reads all.
  const before = memory?.segments;
  if (memory !== undefined) memory.segments = undefined;
  const isPast = before !== undefined && await isPastOf(before, { revision, clusterId, raftTerm }, etcd, signal);
  const known = isPast ? before : undefined;
  if (known !== undefined) keys.recall(known.history);
  const reader = new SnapshotReader({ ...roots, takenAtMs, revision, clusterId }, known?.segments);
  catalog.forEach((record) => reader.add(record));
  if (reader.catalog.rootCoordKeys === 0) throw await emptyCatalog(etcd, roots, signal);
  const counts = await readSegmentKeys(keys, { roots, revision, known }, reader, signal);
  const rest = [...CATALOG_PREFIXES.slice(1), ...CLUSTER_PREFIXES, ...more].map((prefix) =>
    `${roots.metaRoot}/${prefix}`
  )
    .concat(CLOCK_KEYS.map((key) => `${roots.kvRoot}/${key}`));
  for (const prefix of rest) {
    for await (const page of keys.range(prefix, { revision }, signal)) page.kvs.forEach((kv) => reader.add(kv));
  }
  const reading = reader.finish();
  // What is damaged is said by each reading, and not remembered; nor what was read before and after an election.
  if (memory !== undefined && reading.damaged.size === 0 && keys.history.raftTerm === raftTerm) {
    memory.segments = { history: keys.history, revision, segments: reader.segments, counts };
  }
  return reading;
}
