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
import { CATALOG_PREFIXES, CLOCK_KEYS, INDEX_FILE_PREFIXES, type MetaRoots, SEGMENT_PREFIXES } from "./keys.ts";
import { lookupCollection } from "./lookup.ts";
import { emptyCatalog } from "./roots.ts";
import { Settling } from "./settling.ts";
import { type MetaReading, SnapshotReader } from "./snapshot.ts";
import type { EtcdMetaConfig } from "./spec.ts";
import { watchCatalog } from "./watch.ts";

export interface EtcdMetaDependencies {
  /** Of the queue that carries the source's log. Default: Kafka's. */
  readonly positions?: PositionForms;
  /** Which `check` compares with the one that the source uses. Default: it does not. */
  readonly logQueue?: Queue | undefined;
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
  const settling = new Settling({ endpoint: () => etcd.endpoint, random, sleep, onRetry });
  return {
    snapshot: (signal: AbortSignal): Promise<MetaReading> =>
      settling.read(() => readOnce(etcd, roots, [], now, signal), signal),
    inspect: (signal) => readOnce(etcd, roots, INDEX_FILE_PREFIXES, now, signal),
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

/** Everything at one revision: that of the first page. A page is forgotten once its keys are taken in. */
async function readOnce(
  etcd: EtcdClient,
  roots: MetaRoots,
  more: readonly string[],
  now: () => number,
  signal: AbortSignal,
): Promise<MetaReading> {
  const first = `${roots.metaRoot}/${CATALOG_PREFIXES[0]}`;
  const rest = [...CATALOG_PREFIXES.slice(1), ...SEGMENT_PREFIXES, ...more].map((prefix) =>
    `${roots.metaRoot}/${prefix}`
  )
    .concat(CLOCK_KEYS.map((key) => `${roots.kvRoot}/${key}`));
  const takenAtMs = now();
  let reader: SnapshotReader | undefined;
  for await (const { revision, clusterId, kvs } of etcd.range(first, {}, signal)) {
    reader ??= new SnapshotReader({ ...roots, takenAtMs, revision, clusterId });
    kvs.forEach((kv) => reader!.add(kv));
  }
  if (reader === undefined || reader.catalog.rootCoordKeys === 0) throw await emptyCatalog(etcd, roots, signal);
  const revision = reader.options.revision!;
  for (const prefix of rest) {
    for await (const page of etcd.range(prefix, { revision }, signal)) page.kvs.forEach((kv) => reader.add(kv));
  }
  return reader.finish();
}
