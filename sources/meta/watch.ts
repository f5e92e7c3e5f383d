/** Catalog changes as etcd reports them. */
import { TidemarkError } from "../../pipeline/errors.ts";
import { type CatalogChange, mergeChanges } from "../../pipeline/model/mod.ts";
import type { EtcdClient } from "../../stores/mod.ts";
import { CatalogKeys } from "./catalog_keys.ts";
import { CATALOG_PREFIXES, type MetaRoots } from "./keys.ts";
import { CatalogMirror } from "./mirror.ts";

/**
 * Changes after `revision`. etcd is read whether or not the caller keeps up, so that it need not hold old revisions for us;
 * changes that pile up are merged into one. Throws `position_lost`, `authentication`, `damaged`, `aborted`.
 */
export async function* watchCatalog(
  etcd: EtcdClient,
  { metaRoot, positions }: MetaRoots,
  revision: bigint,
  signal: AbortSignal,
): AsyncGenerator<CatalogChange> {
  const mirror = new CatalogMirror(await readCatalogKeys(etcd, new CatalogKeys(positions), metaRoot, revision, signal));
  const stop = new AbortController();
  const pump = new Pump();
  const pumping = pump.run(
    etcd.watch(
      CATALOG_PREFIXES.map((prefix) => `${metaRoot}/${prefix}`),
      revision + 1n,
      AbortSignal.any([signal, stop.signal]),
    ),
    mirror,
    metaRoot,
  );
  try {
    while (true) yield await pump.take();
  } finally {
    stop.abort();
    await pumping;
  }
}

/** Between the watch and its consumer: holds at most one change. */
class Pump {
  #pending: CatalogChange | undefined;
  #failure: unknown;
  #wake = Promise.withResolvers<void>();

  /** Ends when `batches` end; never throws, the failure shows in {@link take}. */
  async run(
    batches: ReturnType<EtcdClient["watch"]>,
    mirror: CatalogMirror,
    metaRoot: string,
  ): Promise<void> {
    try {
      for await (const { revision, events } of batches) {
        const change = mirror.apply(
          revision,
          events.map(({ type, kv }) => ({
            key: kv.key.slice(metaRoot.length + 1),
            value: type === "delete" ? undefined : kv.value,
          })),
        );
        if (change === undefined) continue;
        this.#pending = this.#pending === undefined ? change : mergeChanges(this.#pending, change);
        this.#wake.resolve();
      }
      this.#failure = new TidemarkError("unexpected", "The watch on etcd ended without a reason");
    } catch (error) {
      this.#failure = error;
    }
    this.#wake.resolve();
  }

  /** What came before a failure is given out first. For one consumer. */
  async take(): Promise<CatalogChange> {
    while (true) {
      const change = this.#pending;
      this.#pending = undefined;
      if (change !== undefined) return change;
      if (this.#failure !== undefined) throw this.#failure;
      this.#wake = Promise.withResolvers<void>();
      await this.#wake.promise;
    }
  }
}

/** The catalog's keys at `revision`. Throws `position_lost` where etcd no longer has it. */
async function readCatalogKeys(
  etcd: EtcdClient,
  keys: CatalogKeys,
  metaRoot: string,
  revision: bigint,
  signal: AbortSignal,
): Promise<CatalogKeys> {
  for (const prefix of CATALOG_PREFIXES) {
    for await (const page of etcd.range(`${metaRoot}/${prefix}`, { revision }, signal)) {
      for (const { key, value } of page.kvs) keys.apply(key.slice(metaRoot.length + 1), value);
    }
  }
  return keys;
}
