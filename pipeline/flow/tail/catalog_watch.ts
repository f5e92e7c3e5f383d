/** One watch of the source's metadata beside the log, for all sinks: a slow one holds up no other. */
import { toTidemarkError } from "../../errors.ts";
import { type CatalogChange, type Collection, mergeChanges, type MetaSource, type Snapshot } from "../../model/mod.ts";
import { abortable } from "../../abortable.ts";

export interface CatalogWatchOptions {
  readonly meta: Pick<MetaSource, "snapshot" | "watch">;
  /** What is known already. */
  readonly snapshot: Snapshot;
  /** Called at once with the collections after each change. */
  readonly follow: (collections: readonly Collection[]) => void;
  readonly signal: AbortSignal;
}

/** Holds at most one change for one sink. */
interface Mailbox {
  pending: CatalogChange | undefined;
  wake: PromiseWithResolvers<void>;
}

export class CatalogWatch {
  readonly #o: CatalogWatchOptions;
  readonly #boxes = new Set<Mailbox>();
  /** Everything since the snapshot. */
  #sum: CatalogChange;

  constructor(options: CatalogWatchOptions) {
    this.#o = options;
    this.#sum = { ...everythingOf(options.snapshot), databasesChanged: false, importsCompleted: [], reread: false };
  }

  /** Reads the changes until the signal fires; throws what is not to be waited out. */
  async run(): Promise<void> {
    const { meta, signal } = this.#o;
    try {
      while (!signal.aborted) {
        try {
          for await (const change of meta.watch(this.#sum.revision, signal)) this.#take(change);
        } catch (error) {
          if (signal.aborted || toTidemarkError(error).code !== "position_lost") throw error;
          // etcd compacted the revision away: the difference comes from a whole reading.
          this.#take(everythingOf(await meta.snapshot(signal)));
        }
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /**
   * Gives each change from now on to `changed`, one after the other; what piles up meanwhile comes as one. `begun` first
   * gets the catalog as it is now, with all that changed since the snapshot. Until the signal fires; throws what they throw.
   */
  async tell(changed: (change: CatalogChange) => Promise<void>, begun?: typeof changed): Promise<void> {
    const { signal } = this.#o;
    const box: Mailbox = { pending: undefined, wake: Promise.withResolvers() };
    this.#boxes.add(box);
    try {
      const { catalog } = this.#sum;
      await begun?.({ ...this.#sum, changed: catalog.collections.map(({ id }) => id) });
      while (!signal.aborted) {
        const change = box.pending;
        box.pending = undefined;
        if (change !== undefined) {
          await changed(change);
          continue;
        }
        await abortable(box.wake.promise, signal);
        box.wake = Promise.withResolvers();
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      this.#boxes.delete(box);
    }
  }

  #take(change: CatalogChange): void {
    this.#sum = mergeChanges(this.#sum, change);
    this.#o.follow(change.catalog.collections);
    for (const box of this.#boxes) {
      box.pending = box.pending === undefined ? change : mergeChanges(box.pending, change);
      box.wake.resolve();
    }
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
    importsUnderWay: snapshot.imports.filter((task) => task.state !== "completed"),
    reread: true,
  };
}
