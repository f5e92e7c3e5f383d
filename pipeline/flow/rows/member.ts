/** One row sink in the tail of a run: its lanes, what the metadata says to it, and drops that no log will tell. */
import { toTidemarkError } from "../../errors.ts";
import type { Catalog, CatalogChange, ImportTask, Snapshot, TickGroup } from "../../model/mod.ts";
import type { Databases } from "./databases.ts";
import { pause } from "../../pause.ts";
import { RowTail } from "./tail.ts";
import type { RowTailOptions } from "./tail_options.ts";
import type { TailConsumer, TailMember } from "../tail/mod.ts";

export interface RowMemberOptions extends Omit<RowTailOptions, "acknowledged"> {
  readonly databases: Databases;
  readonly snapshot: Snapshot;
}

/**
 * Milvus stops the ticks of a pchannel with its last collection, so the record of that collection's drop may never be
 * released. After this time without a live collection on the pchannel the drop is taken from the metadata.
 */
const SILENT_DROP_MS = 5000;
/** The record of a drop follows the metadata by a second at most (a loaded collection is released first); this is plenty. */
const RECORD_PASSED_MS = 15_000;
const SWEEP_MS = 1000;

export class RowMember implements TailMember {
  readonly #o: RowMemberOptions;
  #catalog: Catalog;
  #tail: RowTail | undefined;
  /** Imports that completed so far. */
  readonly #imports = new Map<bigint, ImportTask>();
  /** Collections that the stream before passed over. */
  #passedOver: readonly bigint[] = [];
  #joined: readonly bigint[] = [];

  constructor(options: RowMemberOptions) {
    this.#o = options;
    this.#catalog = options.snapshot.catalog;
    for (const task of options.snapshot.imports) if (task.state === "completed") this.#imports.set(task.id, task);
  }

  consume(acknowledged: (group: TickGroup) => void): TailConsumer {
    const { later } = this.#o.targets;
    this.#joined = this.#passedOver.filter((id) => !later.has(id));
    this.#passedOver = [...later];
    return this.#tail = new RowTail({ ...this.#o, acknowledged });
  }

  vchannelsOf(id: bigint): readonly string[] | undefined {
    const { state, targets } = this.#o;
    return state.collections.get(id)?.vchannels ?? targets.live(id)?.vchannels;
  }

  readonly begun = async (everything: CatalogChange): Promise<void> => {
    this.#tail!.catalog.announceImports(this.#o.snapshot.imports);
    await this.changed(everything);
  };

  /** What became of those that joined while they were passed over. */
  async rejoined(): Promise<void> {
    const { catalog } = this.#tail!;
    catalog.announceImports([...this.#imports.values()]);
    await catalog.changed({
      revision: 0n,
      catalog: this.#catalog,
      changed: this.#joined,
      gone: [],
      databasesChanged: false,
      rbacChanged: false,
      importsCompleted: [],
    });
  }

  async changed(change: CatalogChange): Promise<void> {
    this.#catalog = change.catalog;
    for (const task of change.importsCompleted) this.#imports.set(task.id, task);
    if (change.databasesChanged) await this.#o.databases.reconcile(change.catalog);
    await this.#tail!.catalog.changed(change);
  }

  async beside(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await pause(SWEEP_MS, signal);
        await this.dropSilent(SILENT_DROP_MS, RECORD_PASSED_MS);
        await this.#o.databases.dropGone();
      } catch (error) {
        if (!signal.aborted) this.#o.deps.report.warn("sweep", toTidemarkError(error).message);
      }
    }
  }

  /** Drops on the target what the source dropped and whose record does not come. */
  async dropSilent(afterMs: number, passedMs: number): Promise<void> {
    const ticking = new Set(this.#catalog.collections.flatMap((collection) => collection.pchannels));
    await this.#tail!.catalog.dropSilent(ticking, afterMs, passedMs, this.#o.deps.now());
  }

  /** The run ends with 'once' or 'until': what is gone from the metadata by now was dropped before. */
  async finish(passedMs: number): Promise<void> {
    await this.#tail!.catalog.importRest([...this.#imports.values()]);
    await this.dropSilent(0, passedMs);
    await this.#o.databases.dropGone();
  }

  /** What is acknowledged is on the target. */
  settle(): Promise<void> {
    return Promise.resolve();
  }
}
