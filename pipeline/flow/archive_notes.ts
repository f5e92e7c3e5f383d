/** What an archive says of the source's catalog, which the log alone does not tell. */
import type { BackupSession, HybridTs, ResumePoint, Snapshot } from "../model/mod.ts";
import type { FlowDependencies } from "./dependencies.ts";
import type { SinkState } from "./run_state.ts";
import { dropsBehind } from "./silent_channels.ts";

export class ArchiveNotes {
  readonly #deps: Pick<FlowDependencies, "log" | "describeRecord">;
  readonly #state: Pick<SinkState, "collections">;

  constructor(
    deps: Pick<FlowDependencies, "log" | "describeRecord">,
    state: Pick<SinkState, "collections">,
  ) {
    this.#deps = deps;
    this.#state = state;
  }

  /**
   * Notes the drops in the log of those of `points` that no collection of the snapshot is on. Without the time of its drop, a
   * collection would count as there until this run, with a log that ended long before.
   */
  async findDrops(
    session: BackupSession,
    points: ReadonlyMap<string, ResumePoint>,
    { catalog: { collections } }: Snapshot,
    signal: AbortSignal,
  ): Promise<void> {
    const ticking = new Set(collections.flatMap(({ pchannels }) => pchannels));
    const silent = [...points].filter(([pchannel]) => !ticking.has(pchannel));
    const live = new Set(collections.map(({ id }) => id));
    const drops = [...await dropsBehind(this.#deps, new Map(silent), signal)].filter(([id]) => !live.has(id));
    await session.noteDrops(new Map(drops), signal);
  }

  /** Keeps the catalog of a revision: only what this archive has records of, so that it promises no more. */
  async note(
    session: BackupSession,
    at: Pick<Snapshot, "revision" | "catalog">,
    signal: AbortSignal,
    since?: HybridTs,
  ): Promise<void> {
    const collections = at.catalog.collections.filter(({ id }) => this.#state.collections.has(id));
    await session.noteCatalog(at.revision, { ...at.catalog, collections }, signal, since);
  }
}
