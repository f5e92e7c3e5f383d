/** What an archive says of the source's catalog, which the log alone does not tell. */
import { toTidemarkError } from "../../errors.ts";
import {
  type BackupSession,
  type Catalog,
  type Collection,
  type HybridTs,
  qualifiedName,
  type ResumePoint,
  type Snapshot,
} from "../../model/mod.ts";
import type { FlowDependencies } from "../dependencies.ts";
import { dropsBehind, pchannelOf } from "../tail/mod.ts";
import type { SinkState } from "../state/mod.ts";

/** The record of a drop comes up to some seconds after the metadata has it. */
const TRIES = 30;

export interface DropSearch {
  readonly pchannels: ReadonlySet<string>;
  /** Where the archive of each pchannel goes on. */
  readonly points: () => Promise<ReadonlyMap<string, ResumePoint>>;
  readonly keep: (drops: ReadonlyMap<bigint, HybridTs>) => Promise<void>;
}

export class ArchiveNotes {
  readonly #deps: Pick<FlowDependencies, "log" | "describeRecord" | "report">;
  readonly #state: Pick<SinkState, "collections">;
  /** The source's, as it was seen last. */
  #catalog: Catalog | undefined;
  /** Each collection as it was seen last while its metadata could be read. */
  readonly #whole = new Map<bigint, Collection>();
  readonly #found = new Set<bigint>();
  /** Silent pchannel -> how often it was looked at in vain since it ticked. */
  readonly #tries = new Map<string, number>();

  constructor(
    deps: Pick<FlowDependencies, "log" | "describeRecord" | "report">,
    state: Pick<SinkState, "collections">,
  ) {
    this.#deps = deps;
    this.#state = state;
  }

  see(catalog: Catalog): void {
    this.#catalog = catalog;
    for (const collection of catalog.collections) {
      if (collection.damaged === undefined) this.#whole.set(collection.id, collection);
    }
    for (const pchannel of catalog.collections.flatMap(({ pchannels }) => pchannels)) this.#tries.delete(pchannel);
  }

  /** Those of `pchannels` that no longer tick, with a collection of which nobody knows when it was dropped. */
  #untold(pchannels: ReadonlySet<string>, { collections }: Catalog): Set<string> {
    const ticking = new Set(collections.flatMap((collection) => collection.pchannels));
    const live = new Set(collections.map(({ id }) => id));
    const gone = [...this.#state.collections.values()].filter(({ id }) => !live.has(id) && !this.#found.has(id));
    const silent = new Set(gone.flatMap(({ vchannels }) => vchannels.map(pchannelOf))).difference(ticking);
    return new Set([...silent].filter((name) => pchannels.has(name) && (this.#tries.get(name) ?? 0) < TRIES));
  }

  /**
   * Looks for drops in the log of those of `pchannels` that no longer tick, behind where their archive goes on: it does not take
   * these records over. Without the time of its drop, a collection would count as there until a note by our clock, with a log
   * that ended long before.
   */
  async findDrops({ pchannels, points, keep }: DropSearch, signal: AbortSignal): Promise<void> {
    const catalog = this.#catalog;
    if (catalog === undefined) return;
    const untold = this.#untold(pchannels, catalog);
    if (untold.size === 0) return;
    const live = new Set(catalog.collections.map(({ id }) => id));
    for (const [pchannel, point] of await points()) {
      if (!untold.has(pchannel)) continue;
      this.#tries.set(pchannel, (this.#tries.get(pchannel) ?? 0) + 1);
      try {
        const found = await dropsBehind(this.#deps, new Map([[pchannel, point]]), signal);
        const drops = [...found].filter(([id]) => !live.has(id));
        if (drops.length > 0) await keep(new Map(drops));
        for (const [id] of drops) this.#found.add(id);
      } catch (error) {
        // What the log has lost says nothing any more.
        if (signal.aborted || toTidemarkError(error).code !== "position_lost") throw error;
      }
    }
  }

  /**
   * Keeps the catalog of a revision: only what this archive has records of, so that it promises no more. What can no longer be
   * read is noted as it was.
   */
  async note(
    session: BackupSession,
    at: Pick<Snapshot, "revision" | "catalog">,
    signal: AbortSignal,
    since?: HybridTs,
  ): Promise<void> {
    const collections = at.catalog.collections.flatMap((collection) => {
      const { id, damaged } = collection;
      if (!this.#state.collections.has(id)) return [];
      // What was seen by a run before this one the session knows.
      const known = damaged === undefined ? collection : this.#whole.get(id) ?? collection;
      if (damaged !== undefined) {
        this.#deps.report.warn(
          `damaged ${id}`,
          `The backup goes on with the log of ${
            qualifiedName(known)
          }, whose definition is noted as it was before: ${damaged}`,
        );
      }
      return [known];
    });
    await session.noteCatalog(at.revision, { ...at.catalog, collections }, signal, since);
  }
}
