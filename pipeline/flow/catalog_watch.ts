/** Follows the source's metadata beside the log: what is made, altered or imported, and drops that no log will tell. */
import { toTidemarkError } from "../errors.ts";
import type { Catalog, CatalogChange, Collection, Snapshot } from "../model/mod.ts";
import type { Databases } from "./databases.ts";
import type { FlowDependencies } from "./dependencies.ts";
import type { RowTail } from "./row_tail.ts";

export interface CatalogWatchOptions {
  readonly deps: FlowDependencies;
  readonly snapshot: Snapshot;
  readonly tails: readonly RowTail[];
  readonly follow: (collections: readonly Collection[]) => void;
  readonly databases: readonly Databases[];
  readonly signal: AbortSignal;
}

/**
 * Milvus stops the ticks of a pchannel with its last collection, so the record of that collection's drop may never be
 * released. After this time without a live collection on the pchannel the drop is taken from the metadata.
 */
const SILENT_DROP_MS = 5000;
/** The record of a drop follows the metadata by a second at most (a loaded collection is released first); this is plenty. */
const RECORD_PASSED_MS = 15_000;
const SWEEP_MS = 1000;

export class CatalogWatch {
  readonly #o: CatalogWatchOptions;
  #catalog: Catalog;

  constructor(options: CatalogWatchOptions) {
    this.#o = options;
    this.#catalog = options.snapshot.catalog;
  }

  /** Ends with the signal; throws what is not to be waited out. */
  async run(): Promise<void> {
    const { deps, snapshot, tails, signal } = this.#o;
    const sweep = setInterval(() => {
      this.#sweep().catch((error) => deps.report.warn("sweep", toTidemarkError(error).message));
    }, SWEEP_MS);
    try {
      for (const tail of tails) tail.announceImports(snapshot.imports);
      await this.#apply({ ...everythingOf(snapshot), databasesChanged: false, importsCompleted: [] });
      let from = snapshot.revision;
      while (!signal.aborted) {
        try {
          for await (const change of deps.meta.watch(from, signal)) {
            from = change.revision;
            await this.#apply(change);
          }
          if (signal.aborted) return;
        } catch (error) {
          if (signal.aborted) return;
          if (toTidemarkError(error).code !== "position_lost") throw error;
          // etcd compacted the revision away: the difference comes from a whole reading.
          const fresh = await deps.meta.snapshot(signal);
          from = fresh.revision;
          await this.#apply(everythingOf(fresh));
        }
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      clearInterval(sweep);
    }
  }

  async #sweep(): Promise<void> {
    await this.dropSilent(SILENT_DROP_MS, RECORD_PASSED_MS);
    for (const one of this.#o.databases) await one.dropGone();
  }

  /** Drops on the target what the source dropped and whose record does not come. */
  async dropSilent(afterMs: number, passedMs: number): Promise<void> {
    const ticking = new Set(this.#catalog.collections.flatMap((collection) => collection.pchannels));
    for (const tail of this.#o.tails) await tail.dropSilent(ticking, afterMs, passedMs, this.#o.deps.now());
  }

  async #apply(change: CatalogChange): Promise<void> {
    this.#catalog = change.catalog;
    this.#o.follow(change.catalog.collections);
    if (change.databasesChanged) { for (const one of this.#o.databases) await one.reconcile(change.catalog); }
    for (const tail of this.#o.tails) await tail.catalogChanged(change);
  }
}

function everythingOf(snapshot: Snapshot): CatalogChange {
  return {
    revision: snapshot.revision,
    catalog: snapshot.catalog,
    changed: snapshot.catalog.collections.map((collection) => collection.id),
    gone: [],
    databasesChanged: true,
    rbacChanged: true,
    importsCompleted: snapshot.imports.filter((task) => task.state === "completed"),
  };
}
