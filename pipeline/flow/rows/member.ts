/** One row sink in the tail of a run: its lanes, what the metadata says to it, and drops that no log will tell. */
import {
  type Catalog,
  type CatalogChange,
  type Collection,
  qualifiedName,
  type Snapshot,
  type TickGroup,
} from "../../model/mod.ts";
import { forgottenImports, lostImport, type SourceImport, unexplainedImports } from "../imports/mod.ts";
import type { Databases } from "./databases.ts";
import { type ErrorCode, TidemarkError, toTidemarkError } from "../../errors.ts";
import type { CollectionState, SinkState } from "../state/mod.ts";
import type { RowsEnd } from "./awaited_imports.ts";
import { Held } from "./held.ts";
import { pause } from "../../pause.ts";
import { RowTail } from "./tail.ts";
import type { RowTailOptions } from "./tail_options.ts";
import { placeOf, type TailConsumer, type TailMember } from "../tail/mod.ts";
import { plural } from "../../units/mod.ts";

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

/** Attempts at reading segments that the source compacts meanwhile. */
const ATTEMPTS = 3;
/** What concerns one collection alone. */
const HOLDS: ReadonlySet<ErrorCode> = new Set(["not_found", "damaged", "unsupported"]);

export class RowMember implements TailMember {
  readonly #o: RowMemberOptions;
  #catalog: Catalog;
  #tail: RowTail | undefined;
  /** Imports that completed so far. */
  readonly #imports = new Map<bigint, SourceImport>();
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
    const { snapshot } = this.#o;
    this.#noteUnderWay(snapshot.imports.filter(({ state }) => state !== "completed"));
    await this.#tail!.catalog.announceImports([...this.#imports.values()], snapshot);
    await this.changed(everything);
  };

  /** What became of those that joined while they were passed over. */
  async rejoined(): Promise<void> {
    const { catalog } = this.#tail!;
    await catalog.announceImports([...this.#imports.values()]);
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
    this.#noteUnderWay(change.importsUnderWay ?? []);
    if (change.databasesChanged) await this.#o.databases.reconcile(change.catalog);
    await this.#tail!.catalog.changed(change);
    if (change.reread === true) await this.#lookAgain();
  }

  #noteUnderWay(tasks: readonly SourceImport[]): void {
    for (const { id, collectionId, segmentIds, state } of tasks) {
      const own = this.#o.state.collections.get(collectionId);
      if (own === undefined || own.importsDone.includes(id)) continue;
      own.importsUnderWay = own.importsUnderWay.filter((other) => other.id !== id);
      if (state !== "failed") own.importsUnderWay.push({ id, segmentIds });
      this.#o.changed();
    }
  }

  /**
   * Before the log is read: finds what imports brought while no run was there and the source has forgotten since. What only a
   * comparison with the log tells is noted, for once the log is read the state's places are no measure of it any more.
   */
  async lookBack(): Promise<void> {
    const { deps, state, targets, save, signal, blocked } = this.#o;
    let snapshot = this.#o.snapshot;
    await this.#lookAtNew(snapshot);
    for (const own of state.collections.values()) {
      if (own.phase !== "tail" || own.blocked !== undefined || targets.later.has(own.id)) continue;
      for (let attempt = 1;; attempt++) {
        const collection = snapshot.catalog.collections.find(({ id }) => id === own.id);
        if (collection === undefined) break;
        const name = qualifiedName(collection);
        const unusable = snapshot.followable?.has(own.id) === true ? undefined : snapshot.unusable?.get(own.id);
        try {
          if (unusable !== undefined) throw notTold(name, unusable);
          const found = await deps.waits.during(
            { component: "sources.meta", collection: name },
            "Looks for rows that an import brought and that no record of the log tells of",
            () => unexplainedImports(deps, snapshot, collection, (vchannel) => placeOf(state, vchannel), signal),
          );
          for (const { id: ts, segmentIds, rows } of found) {
            if (!own.importsFound.some((other) => other.ts === ts)) own.importsFound.push({ ts, segmentIds, rows });
          }
          if (found.length > 0) await save();
          this.#take(forgottenIn(snapshot, collection, own, state));
          break;
        } catch (thrown) {
          const error = thrown instanceof Held ? thrown.error : toTidemarkError(thrown);
          if (signal.aborted || !HOLDS.has(error.code)) throw thrown;
          const passes = unusable !== undefined || (error.code === "not_found" && !(thrown instanceof Held));
          if (passes && attempt < ATTEMPTS) {
            // The source compacts under it, or was read in the middle of a change.
            snapshot = await deps.meta.snapshot(signal);
            continue;
          }
          own.blocked = error.message;
          blocked(name, error);
          break;
        }
      }
    }
  }

  /** Collections that came while no run was there, which the tail brings from their creation. */
  async #lookAtNew(snapshot: Snapshot): Promise<void> {
    const { deps, state, targets, signal } = this.#o;
    for (const collection of snapshot.catalog.collections) {
      const { id, dbName, name, createTs, vchannels, pchannels, startOffsets } = collection;
      if (state.collections.has(id) || targets.later.has(id) || !deps.selects(dbName, name)) continue;
      if (snapshot.unusable?.has(id) === true && snapshot.followable?.has(id) !== true) continue;
      const place = (vchannel: string) => {
        const offset = startOffsets.get(pchannels[vchannels.indexOf(vchannel)]!);
        return { offset: offset ?? 0n, tick: createTs };
      };
      this.#take(forgottenImports(snapshot, collection, { importSegments: [] }, place));
      this.#take(await unexplainedImports(deps, snapshot, collection, place, signal));
    }
  }

  #take(imports: readonly SourceImport[]): void {
    for (const task of imports) {
      if (this.#imports.has(task.id)) continue;
      this.#imports.set(task.id, task);
      const { deps, state, snapshot } = this.#o;
      if (state.collections.get(task.collectionId)?.importsDone.includes(task.id) === true) continue;
      const collection = snapshot.catalog.collections.find(({ id }) => id === task.collectionId);
      deps.report.info(
        `${
          collection === undefined ? task.collectionId : qualifiedName(collection)
        }: the source has forgotten an import whose ${task.rows} ${
          plural(task.rows, "row is", "rows are")
        } to be brought (${task.rowsAt === undefined ? `segment ${task.id}` : `time ${task.rowsAt}`})`,
      );
    }
  }

  /** While the watch was away, an import may have come and gone. */
  async #lookAgain(): Promise<void> {
    const { deps, state, targets, signal } = this.#o;
    const { catalog } = this.#tail!;
    const snapshot = await deps.meta.snapshot(signal);
    for (const own of [...state.collections.values()]) {
      const collection = snapshot.catalog.collections.find(({ id }) => id === own.id);
      if (collection === undefined || own.phase !== "tail" || targets.later.has(own.id)) continue;
      await catalog.guarded(own.id, qualifiedName(collection), async () => {
        const found = forgottenIn(snapshot, collection, own, state);
        this.#take(found);
        await catalog.announceImports(found, snapshot);
      });
    }
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
  async finish(passedMs: number, end: RowsEnd): Promise<void> {
    await this.#tail!.catalog.importRest([...this.#imports.values()], end);
    await this.dropSilent(0, passedMs);
    await this.#o.databases.dropGone();
  }

  /** What is acknowledged is on the target. */
  settle(): Promise<void> {
    return Promise.resolve();
  }
}

function notTold(name: string, why: string): TidemarkError {
  return new TidemarkError(
    "damaged",
    `Whether imports brought rows into ${name} since the last run cannot be told from the source's metadata: ${why}`,
    { hint: "Mend the metadata, or wait until it is whole, and start the run again: it goes on where it stopped." },
  );
}

/** Forgotten imports of a collection whose rows may not be on the target. Throws {@link Held} where that cannot be told. */
function forgottenIn(
  snapshot: Snapshot,
  collection: Collection,
  own: CollectionState,
  state: SinkState,
): SourceImport[] {
  const found = forgottenImports(snapshot, collection, own, (vchannel) => placeOf(state, vchannel));
  const lost = lostImport(snapshot, collection, own, found);
  if (lost !== undefined) throw new Held(lost);
  const byTime = own.importsFound.map(({ ts, segmentIds, rows }): SourceImport => ({
    id: ts,
    collectionId: own.id,
    state: "completed",
    segmentIds,
    rows,
    rowsAt: ts,
  }));
  return [...found, ...byTime];
}
