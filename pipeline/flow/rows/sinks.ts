/** The row sinks of a run together: what they need as base, where their tails begin, and their parts of the tail. */
import { TidemarkError } from "../../errors.ts";
import type { Collection, DdlOutcome, HybridTs, ResumePoint, Snapshot } from "../../model/mod.ts";
import type { Slots } from "../base/mod.ts";
import { Databases } from "./databases.ts";
import type { FlowDependencies, RefusedRowsResult, RowSinkSetup } from "../dependencies.ts";
import { goneError, settleTargets } from "./existing_target.ts";
import { followFlushes } from "./flush_follow.ts";
import { Held } from "./held.ts";
import { leaveImports } from "../imports/mod.ts";
import { lostPositions, pchannelOf, prunePositions, startPoints } from "../tail/mod.ts";
import { preflight, reach } from "./preflight.ts";
import { reconcileRbac } from "./rbac.ts";
import { retryHeld } from "../refusals/mod.ts";
import { RowLeg } from "./leg.ts";
import { RowMember } from "./member.ts";
import { LateCollections } from "./late.ts";
import type { Postponement } from "./postponed.ts";
import {
  type CollectionState,
  newSinkState,
  type RunProgress,
  type RunState,
  type SinkState,
  type VchannelState,
} from "../state/mod.ts";
import { RowSteps } from "./steps.ts";
import { Targets } from "./targets.ts";

export interface RowSinksOptions {
  readonly deps: FlowDependencies;
  readonly state: RunState;
  readonly progress: RunProgress;
  readonly refused: DdlOutcome[];
  readonly save: () => Promise<void>;
  readonly changed: () => void;
  readonly blocked: (collection: string, error: TidemarkError) => void;
  readonly work: AbortSignal;
}

export interface CutOptions {
  readonly withoutLog: boolean;
  /** An archive gets no better by waiting: what cannot begin is an error. */
  readonly restore: boolean;
}

interface Leg {
  readonly name: string;
  readonly state: SinkState;
  readonly targets: Targets;
  readonly setup: RowSinkSetup;
  readonly row: RowLeg;
  readonly databases: Databases;
  /** Where no log is followed. */
  readonly steps: RowSteps;
}

/** Partitions that the target refused to make are asked for again before the rows that have no place are. */
async function placeHeld(targets: Targets, own: CollectionState): Promise<void> {
  const live = targets.live(own.id);
  const lacks = [...own.refusedRows].some(({ partition }) => partition !== "" && !own.partitions.includes(partition));
  if (live === undefined || own.phase !== "tail" || !lacks) return;
  try {
    await targets.ensure(live, "tail", false);
  } catch (error) {
    // Whatever else holds it says the run.
    if (!(error instanceof Held)) throw error;
  }
}

export class RowSinks {
  readonly #o: RowSinksOptions;
  readonly #legs: readonly Leg[];
  /** Collections that cannot begin with the others. */
  readonly late: LateCollections;
  /** {@link cuts} once more, with what has been forgotten since. */
  #recut: ((snapshot: Snapshot) => Promise<Snapshot>) | undefined;

  constructor(options: RowSinksOptions, snapshot: Snapshot) {
    this.#o = options;
    this.#legs = options.deps.sinks.map((setup) => this.#leg(setup, snapshot));
    this.late = new LateCollections({ ...options, legs: this.#legs });
  }

  get size(): number {
    return this.#legs.length;
  }

  /** Whether a collection cannot take part in the tail yet. */
  isLater(id: bigint): boolean {
    return this.#legs.some(({ targets }) => targets.later.has(id));
  }

  /** Whether some sink has it. */
  carries(id: bigint): boolean {
    return this.#legs.some(({ state }) => state.collections.get(id)?.phase === "tail");
  }

  /** The newest moment that any of them has reached; 0 before the first. */
  get reached(): bigint {
    const ticks = this.#legs.flatMap(({ state }) => [...state.positions.values()].map(({ tick }) => tick));
    return ticks.reduce((max, tick) => tick > max ? tick : max, 0n);
  }

  /** pchannels of what is on a sink, also of collections that are gone from the metadata. */
  get pchannels(): Set<string> {
    const used = new Set<string>();
    for (const { state } of this.#legs) {
      for (const own of state.collections.values()) {
        if (own.phase !== "dropped") { for (const vchannel of own.vchannels) used.add(pchannelOf(vchannel)); }
      }
    }
    return used;
  }

  /** What is not on a sink because it refused it. */
  get refusedRows(): RefusedRowsResult[] {
    return this.#legs.flatMap(({ name, state }) =>
      [...state.collections.values()].flatMap(({ phase, refusedRows, source }) => {
        const status = phase === "dropped" ? undefined : refusedRows.status();
        return status === undefined ? [] : [{ sink: name, collection: `${source.db}.${source.name}`, ...status }];
      })
    );
  }

  #leg(setup: RowSinkSetup, snapshot: Snapshot): Leg {
    const { deps, progress, save, changed, refused, work: signal } = this.#o;
    const { name } = setup.sink;
    let state = this.#o.state.sinks.get(name);
    if (state === undefined) this.#o.state.sinks.set(name, state = newSinkState());
    const targets = new Targets({ deps, setup, state, save, changed, signal, refused }, snapshot.catalog);
    const row = new RowLeg({ deps, setup, state, targets, progress, save, changed });
    const databases = new Databases({ deps, setup, state, save, changed, refused, signal });
    const { blocked } = this.#o;
    const steps = new RowSteps({ deps, setup, state, targets, databases, progress, save, changed, blocked });
    return { name, state, targets, setup, row, databases, steps };
  }

  /** What an earlier run held is tried again; what is gone from the source is let go. */
  begin(snapshot: Snapshot): void {
    for (const { state, row } of this.#legs) {
      for (const own of state.collections.values()) own.blocked = undefined;
      row.letGo(snapshot);
      prunePositions(state);
    }
  }

  /** Throws `unreachable` for a target that has nothing of this pipeline yet and does not answer. */
  async reach(signal: AbortSignal): Promise<void> {
    const { deps } = this.#o;
    const fresh = this.#legs.filter(({ state }) => state.collections.size === 0 && state.positions.size === 0);
    await Promise.all(fresh.map(({ setup }) => reach(setup.sink, deps, signal)));
  }

  /**
   * Decides where the tails begin, and that the log holds it. What cannot begin yet is postponed, and nothing else. Throws
   * `position_lost`.
   */
  cuts(snapshot: Snapshot, options: CutOptions, signal: AbortSignal): Promise<Snapshot> {
    this.#recut = (snapshot) => this.#cuts(snapshot, options, signal);
    return this.#recut(snapshot);
  }

  async #cuts(snapshot: Snapshot, options: CutOptions, signal: AbortSignal): Promise<Snapshot> {
    const { deps } = this.#o;
    // Of what was not begun: with this snapshot it begins where the source's checkpoints are by now.
    for (const { row } of this.#legs) row.forgetCuts();
    if (!options.withoutLog) await this.#positions(signal);
    this.#postpone(snapshot, await this.late.notYet(snapshot, this.#needed(snapshot), options, signal));
    for (const { row } of this.#legs) row.fixCuts(snapshot, row.canBegin(snapshot));
    if (options.withoutLog) return snapshot;
    const [lost] = await lostPositions(deps.log, this.#startPoints(), this.#o.state.topicIds, signal);
    // Retention went on meanwhile.
    if (lost !== undefined) throw lost.error;
    return snapshot;
  }

  /** Collections that some sink still needs a base of. */
  #needed(snapshot: Snapshot): Collection[] {
    const ids = new Set(this.#legs.flatMap(({ row }) => row.needsBase(snapshot).map(({ id }) => id)));
    return snapshot.catalog.collections.filter(({ id }) => ids.has(id));
  }

  #postpone(snapshot: Snapshot, notYet: ReadonlyMap<bigint, Postponement>): void {
    this.late.keep(notYet);
    for (const { row, targets } of this.#legs) {
      targets.later.clear();
      for (const collection of row.needsBase(snapshot)) {
        const why = notYet.get(collection.id);
        if (why === undefined) continue;
        targets.later.add(collection.id);
        this.late.put(collection, why);
      }
    }
  }

  #startPoints(): Map<string, ResumePoint> {
    return startPoints(this.#legs.map(({ state }) => state));
  }

  /** The log must hold every position; otherwise the run ends, or the collections concerned start over. */
  async #positions(signal: AbortSignal): Promise<void> {
    const { deps, save, state: { topicIds } } = this.#o;
    const lost = await lostPositions(deps.log, this.#startPoints(), topicIds, signal);
    if (lost.length === 0) return;
    if (deps.onPositionLost === "fail") throw lost[0]!.error;
    for (const { pchannel, error } of lost) {
      deps.report.warn(`lost ${pchannel}`, `${error.message}; copies the collections on it afresh`);
      topicIds.delete(pchannel);
      for (const leg of this.#legs) {
        await this.#startOver(leg, pchannel);
      }
    }
    await save();
  }

  async #startOver({ state, targets }: Leg, pchannel: string): Promise<void> {
    state.positions.delete(pchannel);
    for (const own of [...state.collections.values()]) {
      if (own.phase === "dropped" || !own.vchannels.some((vchannel) => vchannel.startsWith(`${pchannel}_`))) continue;
      await targets.startOver(own);
      for (const vchannel of own.vchannels) state.vchannels.delete(vchannel);
    }
  }

  /** Whether {@link base} has rows to copy. */
  needBase(snapshot: Snapshot): boolean {
    return this.#legs.some(({ row }) => row.canBegin(snapshot).length > 0);
  }

  /** Databases, then the rows of what is not on the sinks yet, or not any more. */
  async base(first: Snapshot, slots: Slots, signal: AbortSignal): Promise<void> {
    const { deps, progress, save, blocked } = this.#o;
    await Promise.all(this.#legs.map(({ databases }) => databases.reconcile(first.catalog)));
    const snapshot = await this.#settled(first, signal);
    await this.#retry(signal);
    const wanted = this.#legs.map((leg) => ({ leg, collections: leg.row.canBegin(snapshot) }));
    if (wanted.every(({ collections }) => collections.length === 0)) return;
    progress.phase = "base";
    await preflight(deps, snapshot, wanted.flatMap(({ collections }) => collections), signal);
    await using _gc = await deps.binlogs.pauseGc(signal);
    const results = await Promise.allSettled(
      wanted.map(({ leg, collections }) => leg.row.base(snapshot, collections, slots, blocked, signal)),
    );
    for (const result of results) if (result.status === "rejected") throw result.reason;
    await save();
  }

  /** Without a log: brings the sinks to the snapshot's cuts, what is new included. */
  async step(snapshot: Snapshot, slots: Slots, signal: AbortSignal): Promise<void> {
    const { progress } = this.#o;
    for (const { targets, row } of this.#legs) {
      targets.update(snapshot.catalog, snapshot.revision);
      row.letGo(snapshot);
    }
    if (this.#needed(snapshot).length > 0) {
      await this.cuts(snapshot, { withoutLog: true, restore: false }, signal);
      if (this.needBase(snapshot)) await this.base(snapshot, slots, signal);
      progress.phase = "tail";
    }
    const results = await Promise.allSettled(this.#legs.map(({ steps }) => steps.step(snapshot, slots, signal)));
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  /** The oldest cut of all that is on the sinks; 0 where nothing is. */
  get leastCut(): HybridTs {
    const cuts = this.#legs.flatMap(({ state: { collections, vchannels } }) =>
      [...vchannels.values()].filter(({ collectionId }) => collections.get(collectionId)?.phase === "tail")
    );
    return cuts.reduce((min, { ts }) => min === 0n || ts < min ? ts : min, 0n);
  }

  /** The channel that is the furthest behind, of what a step can bring; undefined where there is none. */
  get oldestCut(): Pick<VchannelState, "vchannel" | "ts"> | undefined {
    const moving = this.#legs.flatMap(({ state: { collections, vchannels }, targets }) =>
      [...vchannels.values()].filter(({ collectionId: id }) => {
        const own = collections.get(id);
        return own?.phase === "tail" && own.blocked === undefined && targets.live(id) !== undefined;
      })
    );
    return moving.length === 0 ? undefined : moving.reduce((oldest, one) => one.ts < oldest.ts ? one : oldest);
  }

  /** Rows that an earlier run held. */
  async #retry(signal: AbortSignal): Promise<void> {
    const { deps, save } = this.#o;
    await Promise.all(this.#legs.map(async ({ setup, state, targets }) => {
      for (const own of state.collections.values()) {
        if (own.phase === "dropped" || own.refusedRows.size === 0) continue;
        await placeHeld(targets, own);
        const taken = await retryHeld(deps, setup, own, signal);
        if (taken === 0) continue;
        deps.report.info(`${own.source.db}.${own.source.name}: ${taken} held rows are on ${setup.sink.name} now`);
        await save();
      }
    }));
  }

  /** The snapshot of the cuts that hold when every target has what the state says that it has. */
  async #settled(snapshot: Snapshot, signal: AbortSignal): Promise<Snapshot> {
    const { deps, save } = this.#o;
    const gone = await Promise.all(this.#legs.map(async ({ setup, state, targets }) => {
      const wantedName = (id: bigint) => {
        const live = targets.live(id);
        return live === undefined ? undefined : targets.wantedName(live);
      };
      const found = await settleTargets(setup, state, wantedName, signal);
      for (const { own, replaced } of found) {
        const what = replaced
          ? `${own.target.db}.${own.target.name} on ${setup.sink.name} is another one than had been made there`
          : goneError(own, setup.sink.name).message;
        deps.report.warn(
          `gone ${setup.sink.name} ${own.id}`,
          `${what}; ${own.source.db}.${own.source.name} is copied afresh`,
        );
        await leaveImports(deps, setup, own, signal);
      }
      return found;
    }));
    await save();
    return gone.flat().length === 0 ? snapshot : await this.#recut!(snapshot);
  }

  /** Users and roles. With a tail the catalog's changes do it. */
  async rbac({ catalog }: Snapshot, signal: AbortSignal): Promise<void> {
    const { deps, save } = this.#o;
    if (!deps.rbac) return;
    for (const { setup: { sink }, state } of this.#legs) {
      await reconcileRbac(deps, { sink, state, save }, catalog, true, signal);
    }
  }

  /** Their parts of the tail, which know what there is to bring of before it. */
  async members(snapshot: Snapshot): Promise<RowMember[]> {
    const { deps, progress, save, changed, blocked, work: signal } = this.#o;
    const members = this.#legs.map(({ name, setup, state, targets, databases }) =>
      new RowMember({
        deps,
        setup,
        state,
        targets,
        databases,
        snapshot,
        save,
        changed,
        applied: (id, inserted, deleted) => progress.applied(name, id, inserted, deleted),
        blocked,
        signal,
      })
    );
    for (const member of members) await member.lookBack();
    return members;
  }

  /** Tries again what the targets refused of loads and indexes, until the signal fires. */
  async beside(signal: AbortSignal): Promise<void> {
    for (const { targets } of this.#legs) targets.beside.resume();
    await Promise.all(this.#legs.map(({ targets }) => targets.beside.run(signal)));
  }

  /** The run ends: what the targets still refuse of loads and indexes, after a last attempt. */
  async lastTries(signal: AbortSignal): Promise<void> {
    for (const { targets } of this.#legs) this.#o.refused.push(...await targets.beside.finish(signal));
  }

  /** Until the signal fires. */
  followFlushes(signal: AbortSignal): Promise<void> {
    return followFlushes(this.#o.deps, this.#legs, signal);
  }
}
