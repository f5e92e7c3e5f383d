/** One row sink through a run: what it needs as base, the base itself, then its side of the tail. */
import { TidemarkError, toTidemarkError } from "../../errors.ts";
import { type Collection, type Cut, qualifiedName, type Segment, type Snapshot } from "../../model/mod.ts";
import { deleteHorizon, importsInBase, liveSegments, makeCuts } from "../../transforms/mod.ts";
import {
  type BaseJob,
  copyBase,
  type DeleteDemand,
  type LogDeletes,
  readLogDeletes,
  refuseWrongRoot,
  type Slots,
  unreadableDeletes,
} from "../base/mod.ts";
import type { FlowDependencies, RowSinkSetup } from "../dependencies.ts";
import { filesOf } from "./files.ts";
import { beginAnew, chooseBulk, ImportTrouble } from "../imports/mod.ts";
import { untilQueryable } from "./queryable.ts";
import type { CollectionState, RunProgress, SinkState } from "../state/mod.ts";
import { Held } from "./held.ts";
import type { Targets } from "./targets.ts";
import { plural } from "../../units/mod.ts";

export interface RowLegOptions {
  readonly deps: FlowDependencies;
  readonly setup: RowSinkSetup;
  readonly state: SinkState;
  readonly targets: Targets;
  readonly progress: RunProgress;
  readonly save: () => Promise<void>;
  readonly changed: () => void;
}

/** Attempts at a base whose files vanish because the source compacts under it, each with fresh metadata. */
const BASE_ATTEMPTS = 5;

export class RowLeg {
  readonly #o: RowLegOptions;

  constructor(options: RowLegOptions) {
    this.#o = options;
  }

  /** Collections that need a base: unknown ones that the tail will not bring from their creation, and unfinished ones. */
  needsBase(snapshot: Snapshot): Collection[] {
    const { deps, state } = this.#o;
    // Without a log no collection comes from its creation.
    const fresh = state.positions.size === 0 || deps.steps !== undefined;
    let newest = 0n;
    for (const { tick } of state.positions.values()) if (tick > newest) newest = tick;
    return snapshot.catalog.collections.filter((collection) => {
      if (!deps.selects(collection.dbName, collection.name)) return false;
      const own = state.collections.get(collection.id);
      if (own !== undefined) return own.phase === "creating" ? this.#hasCut(collection) : own.phase === "base";
      if (fresh) return true;
      return !collection.pchannels.every((pchannel) => {
        // On a pchannel that was not followed so far, the tail begins where a collection newer than the state begins.
        return collection.createTs > (state.positions.get(pchannel)?.tick ?? newest);
      });
    });
  }

  /** Those of them that can begin with the others. */
  canBegin(snapshot: Snapshot): Collection[] {
    return this.needsBase(snapshot).filter(({ id }) => !this.#o.targets.later.has(id));
  }

  /** What the source dropped before its base was complete needs none any more; the tail brings its drop. */
  letGo(snapshot: Snapshot): void {
    const live = new Set(snapshot.catalog.collections.map((collection) => collection.id));
    for (const own of this.#o.state.collections.values()) {
      if (own.phase !== "dropped" && !live.has(own.id)) own.phase = "tail";
    }
  }

  #hasCut(collection: Collection): boolean {
    return collection.vchannels.some((vchannel) => this.#o.state.vchannels.has(vchannel));
  }

  /**
   * Decides where the collections' tails begin, once; a resumed base keeps its cuts. `behind`: the tail of others has begun
   * already. Default: where the state says so.
   */
  fixCuts(snapshot: Snapshot, collections: readonly Collection[], behind = this.#o.state.positions.size > 0): void {
    const { state } = this.#o;
    for (const cut of makeCuts(snapshot, collections)) {
      if (state.vchannels.has(cut.vchannel)) continue;
      state.vchannels.set(cut.vchannel, {
        vchannel: cut.vchannel,
        pchannel: cut.pchannel,
        collectionId: cut.collectionId,
        offset: cut.offset,
        ts: cut.ts,
        held: behind,
      });
    }
  }

  /** Gives up the cuts of collections of which nothing is on the target yet. */
  forgetCuts(): void {
    const { collections, vchannels } = this.#o.state;
    for (const own of [...vchannels.values()]) {
      if (!collections.has(own.collectionId)) vchannels.delete(own.vchannel);
    }
  }

  /** Makes the target's side and copies the rows of each collection. Errors of one collection hold that collection. */
  async base(
    snapshot: Snapshot,
    collections: readonly Collection[],
    slots: Slots,
    blocked: (collection: string, error: TidemarkError) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { deps, setup, state, targets, progress } = this.#o;
    const owned: { collection: Collection; own: CollectionState; resumed: boolean }[] = [];
    for (const collection of collections) {
      signal.throwIfAborted();
      const before = state.collections.get(collection.id);
      try {
        const own = await targets.ensure(collection, "base", true);
        if (own === undefined) continue;
        owned.push({ collection, own, resumed: before !== undefined });
        const segments = liveSegments(snapshot, collection);
        progress.expect(setup.sink.name, collection, segments.length, sumRows(segments));
      } catch (thrown) {
        const error = thrown instanceof Held ? thrown.error : toTidemarkError(thrown);
        // A target that holds something already is a mistake in the setup; nothing was written yet.
        if (!(thrown instanceof Held) || error.code === "target_not_empty" || error.code === "config") throw error;
        this.#hold(collection, error, blocked);
      }
    }
    const demands = owned.flatMap(({ collection }) => this.#demands(snapshot, collection));
    const logDeletes = await readLogDeletes(deps, demands, signal);
    if (logDeletes.beyondLog.length > 0 && deps.baseDeletes !== "files") {
      deps.report.warn(
        "deletes beyond the log",
        `The log no longer reaches back to the oldest row of ${logDeletes.beyondLog.length} ${
          plural(logDeletes.beyondLog.length, "channel")
        }; there the deletes come from the delta files alone`,
      );
    }
    let next = 0;
    const worker = async () => {
      while (next < owned.length) {
        const item = owned[next++]!;
        await this.#copy(snapshot, item, logDeletes, slots, blocked, signal);
      }
    };
    const workers = Array.from({ length: Math.min(owned.length, Math.max(4, deps.limits.baseParallelism)) }, worker);
    const results = await Promise.allSettled(workers);
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  #demands(snapshot: Snapshot, collection: Collection): DeleteDemand[] {
    const horizons = deleteHorizon(snapshot, collection);
    return this.#cutsOf(collection).map((cut) => ({ cut, horizon: horizons.get(cut.vchannel) }));
  }

  #cutsOf(collection: Collection): Cut[] {
    return collection.vchannels.flatMap((vchannel) => {
      const own = this.#o.state.vchannels.get(vchannel);
      return own === undefined ? [] : [own];
    });
  }

  async #copy(
    first: Snapshot,
    item: { collection: Collection; own: CollectionState; resumed: boolean },
    logDeletes: LogDeletes,
    slots: Slots,
    blocked: (collection: string, error: TidemarkError) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { deps, setup, progress, save, changed } = this.#o;
    let snapshot = first;
    let { collection, own, resumed } = item;
    // What a run before this one imported may be older.
    let beganMs = resumed ? 0 : deps.now();
    for (let attempt = 1;; attempt++) {
      try {
        const job = await this.#job(snapshot, collection, own, logDeletes, resumed, signal);
        await this.#noteBegun(own, job);
        const rows = await copyBase(
          deps,
          job,
          {
            planned: () => {},
            written: (rows, bytes) => progress.written(rows, bytes),
            segmentBegun: async (id) => {
              if (own.segmentsBegun.includes(id)) return;
              own.segmentsBegun.push(id);
              await save();
            },
            segmentDone: (id) => {
              own.segmentsDone.push(id);
              progress.segmentDone(setup.sink.name, id);
              changed();
              return Promise.resolve();
            },
            importing: (imports, rows) => {
              progress.importing(setup.sink.name, collection.id, imports, rows);
              changed();
            },
            save,
          },
          slots,
          signal,
        );
        await this.#o.targets.reconcileAll(collection, true);
        // What is not loaded cannot be counted; the numbers of the imports themselves were compared.
        if (rows.imported && setup.load !== "never" && await this.#o.targets.beside.settled(collection.id, signal)) {
          await untilQueryable(deps, setup.sink, own.target, collection, rows, beganMs, signal);
        }
        if (own.files !== undefined) {
          own.files.segments = job.segments.map(({ id }) => id);
          own.files.truncated = Object.fromEntries(collection.truncated ?? []);
        }
        own.phase = "tail";
        own.importUnits = [];
        own.segmentsDone = [];
        own.segmentsBegun = [];
        const cuts = new Map(this.#cutsOf(collection).map(({ vchannel, ts }) => [vchannel, ts]));
        const imported = importsInBase(snapshot, collection, cuts);
        own.importsDone = imported.tasks;
        own.importSegments = imported.segments;
        await save();
        return;
      } catch (thrown) {
        if (signal.aborted) throw thrown;
        if (thrown instanceof ImportTrouble && (thrown.stale || setup.sink.bulk?.mode === "auto")) {
          const broken = own;
          const makeAnew = async () => {
            await this.#o.targets.startOver(broken);
            return await this.#o.targets.ensure(collection, "base", true);
          };
          const again = await beginAnew(this.#o, collection, broken, thrown, makeAnew, signal);
          if (again === undefined) return;
          progress.startOver(setup.sink.name, collection.id);
          own = again;
          resumed = false;
          beganMs = deps.now();
          continue;
        }
        const error = thrown instanceof Held || thrown instanceof ImportTrouble
          ? thrown.error
          : toTidemarkError(thrown);
        const retry = error.code === "not_found" && attempt < BASE_ATTEMPTS && !(thrown instanceof ImportTrouble);
        if (retry) {
          await refuseWrongRoot(deps, signal);
          // Compaction moved the rows elsewhere: the cut stays, the segments are those of now.
          deps.report.info(`${error.message}; reads the metadata again (attempt ${attempt + 1} of ${BASE_ATTEMPTS})`);
          snapshot = await deps.meta.snapshot(signal);
          const now = snapshot.catalog.collections.find((other) => other.id === collection.id);
          if (now === undefined) return await this.#gone(own);
          collection = now;
          resumed = true;
          continue;
        }
        const lookup = await deps.meta.lookup(collection.id, signal);
        if (lookup.state === "dropping" || lookup.state === "unknown") return await this.#gone(own);
        if (
          !(thrown instanceof Held || thrown instanceof ImportTrouble) && error.code !== "refused" &&
          error.code !== "damaged" &&
          error.code !== "not_found" && error.code !== "unsupported"
        ) {
          throw thrown;
        }
        this.#hold(collection, error, blocked);
        return;
      }
    }
  }

  /** Without a log the next step must know of whose rows some may be on the target. */
  async #noteBegun(own: CollectionState, { segments, collection: { partitions } }: BaseJob): Promise<void> {
    if (this.#o.deps.steps === undefined) return;
    const begun = new Set([...own.files?.begun ?? [], ...segments.map(({ id }) => id)]);
    // What the source has dropped since a base was begun and killed: no log brings the drop.
    const live = new Set(partitions.map(({ id }) => id));
    for (const { id, name } of own.files?.partitions ?? []) {
      if (!live.has(id)) await this.#o.targets.dropPartition(own.id, id, name);
    }
    own.files = {
      segments: [],
      begun: [...begun],
      partitions: partitions.map(({ id, name }) => ({ id, name })),
      truncated: own.files?.truncated ?? {},
    };
    await this.#o.save();
  }

  /** The source dropped it while it was copied; its drop is in the log, or takes place when its name is needed. */
  async #gone(own: CollectionState): Promise<void> {
    own.phase = "tail";
    await this.#o.save();
  }

  async #job(
    snapshot: Snapshot,
    collection: Collection,
    own: CollectionState,
    logDeletes: LogDeletes,
    resumed: boolean,
    signal: AbortSignal,
  ): Promise<BaseJob> {
    const { deps, setup } = this.#o;
    const unknown = unreadableDeletes(logDeletes, collection.vchannels);
    if (unknown !== undefined) throw unknown;
    const segments = liveSegments(snapshot, collection);
    const { deltaFiles, channelOfSegment } = await filesOf(deps, snapshot, collection, segments, signal);
    return {
      collection,
      own,
      setup,
      cuts: this.#cutsOf(collection),
      segments,
      logDeletes: logDeletes.marks,
      deltaFiles,
      channelOfSegment,
      resumed,
      bulk: await chooseBulk(this.#o, collection, own, resumed, signal),
    };
  }

  #hold(
    collection: Collection,
    error: TidemarkError,
    blocked: (collection: string, error: TidemarkError) => void,
  ): void {
    const own = this.#o.state.collections.get(collection.id);
    if (own !== undefined) own.blocked = error.message;
    blocked(qualifiedName(collection), error);
  }
}

function sumRows(segments: readonly Segment[]): bigint {
  return segments.reduce((sum, segment) => sum + segment.rows, 0n);
}
