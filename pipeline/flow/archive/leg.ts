/**
 * One archive sink through a run. Its log begins at the cut, before and beside the base, so that a long base cannot lose
 * the log to retention; new bases are made in the same run while the log goes on.
 */
import { TidemarkError } from "../../errors.ts";
import {
  type ArchiveSink,
  type BackupSession,
  type Catalog,
  type CatalogChange,
  type Collection,
  type Cut,
  hybridFromMs,
  type HybridTs,
  qualifiedName,
  type ResumePoint,
  type Snapshot,
} from "../../model/mod.ts";
import { makeCuts } from "../../transforms/mod.ts";
import { ArchiveBase } from "./base.ts";
import { failedBase, goodBase } from "./bases.ts";
import { stateGaps } from "./gaps.ts";
import { heldImports, importDemand, importsDue } from "./imports.ts";
import { LeftOut } from "./left_out.ts";
import { type ArchiveExtra, archiveExtra, extraJson } from "./extra.ts";
import { ArchiveNotes } from "./notes.ts";
import { ArchiveResume } from "./resume.ts";
import { Wanted } from "./wanted.ts";
import type { Slots } from "../base/mod.ts";
import type { FlowDependencies } from "../dependencies.ts";
import { Mutex } from "../mutex.ts";
import { lostPositions, startPoints } from "../tail/mod.ts";
import { ownCollectionState, type RunProgress, type SinkState } from "../state/mod.ts";

export interface ArchiveLegOptions {
  readonly deps: FlowDependencies;
  readonly sink: ArchiveSink;
  readonly state: SinkState;
  readonly progress: RunProgress;
  readonly slots: Slots;
  readonly topicIds: Map<string, string>;
  readonly save: () => Promise<void>;
  readonly blocked: (collection: string, error: TidemarkError) => void;
  /** It is in a base now. */
  readonly mended: (collection: string) => void;
}

export class ArchiveLeg {
  readonly #o: ArchiveLegOptions;
  readonly #extra: ArchiveExtra;
  readonly #turns = new Mutex();
  #session: BackupSession | undefined;
  #base: ArchiveBase | undefined;
  /** Why the backup is not whole without a new base. */
  #demand: string | undefined;
  /** pchannels without a live collection whose log was gone before it was archived. */
  readonly #passed = new Set<string>();
  readonly #notes: ArchiveNotes;
  readonly #resume: ArchiveResume;
  readonly #left: LeftOut;
  readonly #wanted: Wanted;
  #exactFrom: HybridTs = 0n;
  #openedTs: HybridTs = 0n;

  constructor(options: ArchiveLegOptions) {
    this.#o = options;
    this.#extra = archiveExtra(options.state.extra);
    this.#notes = new ArchiveNotes(options.deps, options.state);
    this.#resume = new ArchiveResume(options.deps.log);
    this.#left = new LeftOut(options.deps, options.state, options.sink.logArchive);
    this.#wanted = new Wanted(options.deps, options.state, this.#left);
  }

  get state(): SinkState {
    return this.#o.state;
  }

  get session(): BackupSession {
    if (this.#session === undefined) throw new TidemarkError("unexpected", "The backup was used before it was opened");
    return this.#session;
  }

  /** The log must reach this moment before the bases made by this run are of use; 0 if it made none. */
  get exactFrom(): HybridTs {
    return this.#exactFrom;
  }

  /** True if a collection's records belong into this archive. */
  readonly wanted = (id: bigint): boolean => this.#wanted.has(id);

  /** Whether its base could not take it: then nothing of its log is needed, either. */
  readonly leavesOut = (id: bigint): boolean => this.#left.has(id);

  /** One after the other, and never while a new base takes the log over. */
  readonly inTurn = <T>(work: () => Promise<T>): Promise<T> => this.#turns.run(work);

  /** Opens the backup that the state names, or a new one with new cuts, and begins it. */
  async open(snapshot: Snapshot, signal: AbortSignal): Promise<void> {
    await this.#openNamed(snapshot, signal);
    if (this.#o.sink.logArchive) {
      await this.#checkLog(snapshot, signal);
      await this.findDrops(signal);
    }
    if (this.session.base !== "complete") {
      const cuts = [...this.#o.state.vchannels.values()];
      const collections = this.#selected(snapshot).filter(({ id }) =>
        this.#o.state.collections.get(id)?.phase === "base"
      );
      this.#base = this.#newBase(this.session, { snapshot, collections, cuts });
      await this.#base.begin(signal);
      // Its cuts may be of a run before this one: what was imported since is no part of it.
      await this.#lookForImports(snapshot, signal);
    } else {
      await this.#recall(snapshot, signal);
      await this.lookAgain(snapshot, signal);
    }
    for (const { name, reason } of this.#left.all) this.#miss(name, reason);
    if (this.#o.sink.logArchive) await this.#notes.note(this.session, snapshot, signal);
    this.#openedTs = hybridFromMs(this.#o.deps.now());
  }

  /** Looks when collections were dropped whose channels no longer tick. */
  async findDrops(signal: AbortSignal): Promise<void> {
    const points = () => this.inTurn(() => this.startPoints(signal));
    const keep = (drops: ReadonlyMap<bigint, HybridTs>) => this.inTurn(() => this.session.noteDrops(drops, signal));
    await this.#notes.findDrops({ pchannels: this.pchannels, points, keep }, signal);
  }

  /**
   * A run `once` ends at what the log held when it had read the snapshot, by the source's clock, which may be before the note
   * of it by ours. The snapshot is what that end is like: with an older catalog, a collection dropped since the last run
   * would be there, and its channel, which has no ticks any more, would hold the restorable range back at that run.
   */
  async endsAt(snapshot: Snapshot, ts: HybridTs, signal: AbortSignal): Promise<void> {
    if (ts < this.#openedTs) await this.#notes.note(this.session, snapshot, signal, ts);
  }

  async #openNamed(snapshot: Snapshot, signal: AbortSignal): Promise<void> {
    const { deps, sink } = this.#o;
    const { name, previous } = this.#extra;
    this.#session = await sink.open({ resume: name, previous, nowMs: deps.now() }, signal);
    const fresh = name !== this.#session.name || this.#session.base === "none";
    const live = this.#live(snapshot);
    const known = this.#extra.left.filter(({ id }) => live.some((collection) => collection.id === id));
    this.#leave(fresh ? await this.#left.find(snapshot, live, { adopts: false }, signal) : known);
    if (fresh) this.#adopt(this.#cutsOf(snapshot), snapshot);
    this.#extra.name = this.#session.name;
    this.#extra.complete = this.#session.base === "complete";
    this.learn(snapshot.catalog);
    await this.#remember();
  }

  /** The log must still hold where the archive goes on; otherwise the run ends, or the hole is stated and a new base made. */
  async #checkLog(snapshot: Snapshot, signal: AbortSignal): Promise<void> {
    const { deps, topicIds, state: { positions } } = this.#o;
    const known = new Map([...topicIds, ...Object.entries(this.#extra.topics)]);
    let lost = await lostPositions(deps.log, await this.startPoints(signal), known, signal);
    const names = lost.map(({ pchannel }) => pchannel);
    if (await this.#resume.skipArchived(this.session, names, { positions, topics: known }, signal)) {
      lost = await lostPositions(deps.log, await this.startPoints(signal), known, signal);
    }
    const ticking = new Set(snapshot.catalog.collections.flatMap((collection) => collection.pchannels));
    const needed = lost.filter(({ pchannel }) => ticking.has(pchannel));
    if (needed.length > 0 && deps.onPositionLost === "fail") throw needed[0]!.error;
    for (const { pchannel, error } of needed) {
      deps.report.warn(`lost ${pchannel} ${this.#o.sink.name}`, `${error.message}; the backup gets a new base`);
      known.delete(pchannel);
      topicIds.delete(pchannel);
    }
    if (needed.length > 0) {
      await this.#afterLoss(needed.map(({ pchannel }) => pchannel), snapshot, signal);
      await lostPositions(deps.log, await this.startPoints(signal), known, signal);
    }
    for (const { pchannel } of lost) if (!ticking.has(pchannel)) this.#passed.add(pchannel);
    for (const [pchannel, id] of known) if (!topicIds.has(pchannel)) topicIds.set(pchannel, id);
    this.#extra.topics = Object.fromEntries(known);
    await this.#remember();
  }

  async #afterLoss(pchannels: readonly string[], snapshot: Snapshot, signal: AbortSignal): Promise<void> {
    const { deps: { log }, state } = this.#o;
    if (this.#extra.complete && await stateGaps(log, this.session, state, pchannels, signal)) {
      this.#demand = "the log lost records that the archive does not have";
      return;
    }
    // Its cuts lie before the log's beginning, or its archive cannot go on: what was copied can only be shared.
    await this.session.close();
    if (this.#extra.complete) this.#extra.previous = this.#extra.name;
    this.#extra.name = undefined;
    await this.#openNamed(snapshot, signal);
  }

  /** Names what a former run found out about the complete base. */
  async #recall(snapshot: Snapshot, signal: AbortSignal): Promise<void> {
    const { state } = this.#o;
    const live = new Set(snapshot.catalog.collections.map(({ id }) => id));
    for (const own of state.collections.values()) {
      if (own.blocked !== undefined && live.has(own.id)) this.#miss(`${own.source.db}.${own.source.name}`, own.blocked);
    }
    if (this.#extra.next !== undefined) this.#demand ??= `the base ${this.#extra.next} was begun`;
    await this.#lookForImports(snapshot, signal);
  }

  /** Demands a new base for imports that this one does not hold. */
  async #lookForImports(snapshot: Snapshot, signal: AbortSignal): Promise<void> {
    const { deps, state } = this.#o;
    this.#demand ??= await importsDue(deps, snapshot, this.#selected(snapshot), { state, extra: this.#extra }, signal);
  }

  /** Demands a new base as soon as it can take something that this one left out. */
  async lookAgain(taken: Snapshot | undefined, signal: AbortSignal): Promise<void> {
    if (this.#left.all.length === 0) return;
    const snapshot = taken ?? await this.#o.deps.meta.snapshot(signal);
    const { all, ready } = await this.#left.lookAgain(snapshot, this.#live(snapshot), signal);
    this.#leave(all);
    if (ready !== undefined) this.#demand ??= `${qualifiedName(ready)}, which it left out, can be backed up now`;
  }

  #leave(all: Parameters<LeftOut["set"]>[0]): void {
    this.#left.set(all);
    this.#extra.left = all;
  }

  #miss(collection: string, reason: string): void {
    this.#o.blocked(
      collection,
      new TidemarkError("partial", `It is missing from the base of backup ${this.session.name}: ${reason}`, {
        hint: "The next base tries it again; its log is in the archive.",
      }),
    );
  }

  /** A change of the source's catalog: new collections are archived from their creation. */
  async changed(
    change: Pick<CatalogChange, "revision" | "catalog" | "importsCompleted">,
    signal: AbortSignal,
  ): Promise<void> {
    this.learn(change.catalog);
    this.#demand = importDemand(change.importsCompleted, change.catalog, this.#extra, this.#o.deps.selects) ??
      this.#demand;
    if (!this.#o.sink.logArchive) return;
    await this.inTurn(() => this.#notes.note(this.session, change, signal));
  }

  learn(catalog: Catalog): void {
    this.#notes.see(catalog);
    this.#wanted.learn(catalog);
  }

  #cutsOf(snapshot: Snapshot): Cut[] {
    return makeCuts(snapshot, this.#selected(snapshot));
  }

  #adopt(cuts: readonly Cut[], snapshot: Snapshot): void {
    const { state } = this.#o;
    state.vchannels.clear();
    state.positions.clear();
    state.collections.clear();
    for (const cut of cuts) state.vchannels.set(cut.vchannel, { ...cut, held: false });
    for (const collection of this.#selected(snapshot)) {
      state.collections.set(collection.id, ownCollectionState(collection, "base"));
    }
    Object.assign(this.#extra, heldImports(snapshot, this.#selected(snapshot)));
  }

  async #remember(): Promise<void> {
    this.#o.state.extra = extraJson(this.#extra);
    await this.#o.save();
  }

  /** Those that the base has, or is to have. */
  #selected(snapshot: Snapshot): Collection[] {
    return this.#live(snapshot).filter(({ id }) => !this.#left.has(id));
  }

  #live(snapshot: Snapshot): Collection[] {
    return snapshot.catalog.collections.filter((item) => this.#o.deps.selects(item.dbName, item.name));
  }

  #newBase(session: BackupSession, plan: ConstructorParameters<typeof ArchiveBase>[0]["plan"]): ArchiveBase {
    const { deps, sink, progress, slots } = this.#o;
    return new ArchiveBase({
      deps,
      sink: sink.name,
      session,
      plan,
      progress,
      slots,
      leftOut: plan.leftOut ?? this.#left.all,
      failed: (collection, error) => this.#o.blocked(qualifiedName(collection), error),
    });
  }

  /** pchannels whose log it goes on with, also where the last collection was dropped since. */
  get pchannels(): Set<string> {
    return this.#begun().difference(this.#passed);
  }

  #begun(): Set<string> {
    const { state } = this.#o;
    return new Set([...[...state.vchannels.values()].map((own) => own.pchannel), ...state.positions.keys()]);
  }

  /** Where the archive of each pchannel goes on: what is durable decides. */
  async startPoints(signal: AbortSignal): Promise<Map<string, ResumePoint>> {
    await this.#resume.move(this.#o.state.positions, this.#begun(), this.session, signal);
    return startPoints([this.#o.state]);
  }

  /** Copies what is not in the backup yet and writes its metadata. Does nothing for a complete one. */
  async base(signal: AbortSignal): Promise<void> {
    const base = this.#base;
    if (base === undefined) return;
    await using _gc = await this.#o.deps.binlogs.pauseGc(signal);
    await base.copy(signal);
    await base.finish(signal);
    await this.#finished(base);
  }

  async baseFailed(error: string): Promise<void> {
    const { state, deps } = this.#o;
    state.bases = failedBase(state.bases, error, deps.now());
    await this.#remember();
  }

  async #finished(base: ArchiveBase): Promise<void> {
    const { state, deps, mended } = this.#o;
    state.bases = goodBase(deps.now());
    const failed = new Map(base.failed.map((item) => [item.id, item.reason]));
    for (const own of state.collections.values()) {
      own.phase = "tail";
      own.blocked = failed.get(own.id);
      if (own.blocked === undefined) mended(`${own.source.db}.${own.source.name}`);
    }
    if (base.exactFrom > this.#exactFrom) this.#exactFrom = base.exactFrom;
    this.#base = undefined;
    this.#extra.complete = true;
    await this.#remember();
  }

  /** Why a new base is due now. */
  due(): string | undefined {
    if (!this.#extra.complete) return undefined;
    return this.#demand ?? this.#o.sink.due(this.session, this.#o.deps.now());
  }

  /** A new backup in the same run: its log begins at its own cuts, taken over from the old one's archive. */
  async rebase(snapshot: Snapshot, signal: AbortSignal): Promise<void> {
    const { deps, sink } = this.#o;
    const before = this.session;
    const demand = this.#demand;
    const previous = before.name;
    const after = await sink.open({ resume: this.#extra.next, previous, nowMs: deps.now() }, signal);
    let switched = false;
    try {
      this.#extra.next = after.name;
      await this.#remember();
      const leftOut = await this.#left.find(snapshot, this.#live(snapshot), { adopts: true }, signal);
      const collections = this.#live(snapshot).filter(({ id }) => !leftOut.some((one) => one.id === id));
      const plan = { snapshot, collections, cuts: makeCuts(snapshot, collections), leftOut };
      const base = this.#newBase(after, plan);
      // A kill between the new base's metadata and the state leaves a complete one: it only takes its place.
      const whole = after.base === "complete";
      if (!whole) {
        await base.begin(signal);
        this.learn(snapshot.catalog);
        if (sink.logArchive) await this.#notes.note(after, snapshot, signal);
        await using _gc = await deps.binlogs.pauseGc(signal);
        await base.copy(signal);
      }
      await this.inTurn(async () => {
        if (sink.logArchive) await after.adoptLog(before, signal);
        deps.crash("rebase_adopted");
        if (!whole) await base.finish(signal);
        this.#session = after;
        switched = true;
        this.#leave(leftOut);
        for (const { name, reason } of leftOut) this.#miss(name, reason);
        this.#adopt(plan.cuts, snapshot);
        this.#extra.previous = previous;
        this.#extra.name = after.name;
        this.#extra.next = undefined;
        // What was demanded while it was copied still is.
        if (this.#demand === demand) this.#demand = undefined;
        if (sink.logArchive) {
          for (const { pchannel } of plan.cuts) await after.progress(pchannel, signal);
          await this.startPoints(signal);
        }
        await this.#finished(base);
      });
    } finally {
      await (switched ? before : after).close();
    }
  }

  async close(): Promise<void> {
    this.#left[Symbol.dispose]();
    await this.#session?.close();
  }
}
