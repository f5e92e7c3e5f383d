/** What an archive says of the source's catalog, which the log alone does not tell. */
import type { BackupSession, HybridTs, ResumePoint, Snapshot } from "../model/mod.ts";
import type { FlowDependencies } from "./dependencies.ts";
import type { SinkState } from "./run_state.ts";
import { dropsBehind } from "./silent_channels.ts";

export class ArchiveNotes {
  readonly #deps: Pick<FlowDependencies, "log" | "describeRecord">;
  readonly #state: Pick<SinkState, "collections">;
  /** Collections whose channels no longer tick -> when they were dropped. */
  readonly #dropped = new Map<bigint, HybridTs>();

  constructor(
    deps: Pick<FlowDependencies, "log" | "describeRecord">,
    state: Pick<SinkState, "collections">,
  ) {
    this.#deps = deps;
    this.#state = state;
  }

  /**
   * Looks for drops in the log of those of `points` that no collection of the snapshot is on. Without the time of its drop, a
   * collection would count as there until this run, with a log that ended long before.
   */
  async findDrops(
    points: ReadonlyMap<string, ResumePoint>,
    { catalog: { collections } }: Snapshot,
    signal: AbortSignal,
  ): Promise<void> {
    const ticking = new Set(collections.flatMap(({ pchannels }) => pchannels));
    const silent = [...points].filter(([pchannel]) => !ticking.has(pchannel));
    const live = new Set(collections.map(({ id }) => id));
    for (const [id, ts] of await dropsBehind(this.#deps, new Map(silent), signal)) {
      if (!live.has(id)) this.#dropped.set(id, ts);
    }
  }

  /** Keeps the catalog of a revision: only what this archive has records of, so that it promises no more. */
  async note(
    session: BackupSession,
    at: Pick<Snapshot, "revision" | "catalog">,
    signal: AbortSignal,
    since?: HybridTs,
  ): Promise<void> {
    const collections = at.catalog.collections.filter(({ id }) => this.#state.collections.has(id));
    const more = { dropped: this.#dropped, ...(since === undefined ? {} : { since }) };
    await session.noteCatalog(at.revision, { ...at.catalog, collections }, signal, more);
  }
}
