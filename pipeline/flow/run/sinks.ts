/** All sinks of a run side by side: their bases, the log for all of them, and what a run that ends still owes. */
import type { Collection, Snapshot } from "../../model/mod.ts";
import type { ArchiveRun } from "../archive/mod.ts";
import type { Slots } from "../base/mod.ts";
import type { FlowDependencies, RunOptions } from "../dependencies.ts";
import type { RowSinks } from "../rows/mod.ts";
import { firstExactTs } from "../../transforms/mod.ts";
import {
  endAt,
  endEach,
  endless,
  lastTicks,
  type RunEnd,
  selectedPchannels,
  type SourceClock,
  startPoints,
  type Window,
} from "../tail/mod.ts";
import type { RunProgress } from "../state/mod.ts";
import type { RunArchives } from "./archives.ts";
import { bringBack } from "./comeback.ts";
import { runSteps } from "./steps.ts";
import { RunTail, type RunTailOptions } from "./tail.ts";

export interface RunSinksOptions {
  readonly deps: FlowDependencies;
  readonly asked: RunOptions["end"];
  readonly end: RunEnd;
  readonly snapshot: Snapshot;
  readonly rows: RowSinks;
  readonly archives: RunArchives;
  readonly slots: Slots;
  /** One for all that is read of the log. */
  readonly window: Window;
  readonly clock: SourceClock;
  readonly topicIds: Map<string, string>;
  readonly progress: RunProgress;
  readonly save: () => Promise<void>;
  /** A snapshot with which a run may begin. */
  readonly settled: (signal: AbortSignal) => Promise<Snapshot>;
  /** Something failed: the run's signals fire. */
  readonly failed: (error: unknown) => void;
  readonly reading: AbortSignal;
  readonly work: AbortSignal;
}

export class RunSinks {
  readonly #o: RunSinksOptions & { readonly kind: RunOptions["end"]["kind"] };
  #parts: readonly Promise<void>[] = [];
  #following: RunTail | undefined;

  constructor(options: RunSinksOptions) {
    this.#o = { ...options, kind: options.asked.kind };
  }

  /** Resolves when all that the run has to do is done; rejects with the first error, while the rest may still go on. */
  async run(): Promise<void> {
    const { rows, archives, kind, snapshot, slots, reading } = this.#o;
    const copying = rows.needBase(snapshot);
    const based = rows.base(snapshot, slots, reading);
    const opened = Promise.all(archives.all.map((archive) => archive.open(snapshot, reading))).then(() => {});
    const log = this.#log(opened, based, copying);
    const bases = archives.all.map(async (archive) => {
      await opened;
      await archive.base(reading);
      if (kind !== "follow") return;
      // What it left out so far may lie on channels that nobody reads.
      await archive.rebaseForEver(reading, () => this.#following?.followAgain());
      await this.#comeback(archive);
    });
    const parts = [log, ...[based, opened, ...bases].map((part) => this.#drained(part, log))];
    this.#parts = parts;
    await Promise.all(parts);
    const late = reading.aborted ? Promise.resolve() : this.#latecomers();
    this.#parts = [late];
    await late;
    const exact = this.#exact();
    this.#parts = [exact];
    await exact;
  }

  /** Resolves when nothing of it goes on; what was wrong says {@link run}. */
  async ended(): Promise<void> {
    await Promise.allSettled(this.#parts);
  }

  /** A stop cuts a base short; what was read of the log is applied all the same. */
  async #drained(part: Promise<void>, log: Promise<void>): Promise<void> {
    try {
      await part;
    } catch (error) {
      if (this.#o.reading.aborted) await log.catch(() => {});
      throw error;
    }
  }

  /**
   * The log for all sinks. While rows are copied the archives read it by themselves, so that no base outlasts its
   * retention; from then on it is read once for all.
   */
  async #log(opened: Promise<void>, based: Promise<void>, copying: boolean): Promise<void> {
    const { deps, kind, end, snapshot, rows, archives, slots, progress, save, reading, work } = this.#o;
    // One that is held and comes back reads the log for itself.
    const first = [...archives.all];
    await opened;
    if (deps.steps !== undefined) return await this.#steps(based);
    let { collections } = snapshot.catalog;
    await using tail = this.#tail(snapshot, end, kind === "follow");
    this.#following = tail;
    const early = copying ? first.filter(isOn) : [];
    if (early.length > 0) {
      await tail.read(early, this.#archived(collections), collections, based);
      if (reading.aborted) return;
      // Read after the archives' positions: what it does not know yet has all its rows behind them.
      collections = (await deps.meta.snapshot(reading)).catalog.collections;
    }
    await based;
    if (kind === "base") await rows.rbac(snapshot, work);
    const members = kind === "base" ? [] : await rows.members(snapshot);
    const keepers = first.filter(isOn);
    if (members.length + keepers.length === 0) return;
    if (members.length > 0) {
      progress.phase = "tail";
      // Whoever reads the status learns it now, not with the first change.
      await save();
    }
    let followed = this.#followed(collections);
    // What was given up since the end was fixed is not read any more.
    for (const { pchannels } of snapshot.catalog.collections) {
      for (const pchannel of pchannels) if (!followed.has(pchannel)) end.leave(pchannel);
    }
    // A run that ends has no use for flushes: they matter to who looks at the target's files meanwhile.
    const flushing = kind === "follow" && members.length > 0 ? rows.followFlushes(tail.signal) : undefined;
    let late: Promise<Snapshot | undefined> | undefined;
    try {
      for (;;) {
        late = kind === "follow" && rows.late.size > 0
          ? rows.late.bring(slots, { ends: false }, tail.signal)
          : undefined;
        await tail.read([...members, ...keepers.filter(isOn)], followed, collections, late);
        if (reading.aborted) break;
        if (late !== undefined) {
          collections = (await late)?.catalog.collections ?? collections;
          followed = followed.union(this.#followed(collections));
          continue;
        }
        // The moment may have been far when the run began: what was made since then may be on channels that nobody reads yet.
        if (kind !== "until") break;
        ({ catalog: { collections } } = await deps.meta.snapshot(reading));
        const made = selectedPchannels(deps, collections.filter(({ createTs }) => createTs <= end.ts!));
        if (made.isSubsetOf(followed)) break;
        followed = followed.union(made);
      }
    } finally {
      await tail[Symbol.asyncDispose]();
      await flushing;
      await late?.catch(() => {});
    }
    if (reading.aborted) return;
    // What is gone from the metadata by now was dropped before this run ends; up to an exact time only what cannot tick.
    const passedMs = kind === "until" ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
    for (const member of members) await member.finish(passedMs, { ts: end.ts, exact: kind === "until" });
  }

  /** Without a log. */
  async #steps(based: Promise<void>): Promise<void> {
    const { kind, snapshot, rows, progress, save, work } = this.#o;
    await based;
    if (rows.size === 0) return;
    await rows.rbac(snapshot, work);
    if (kind === "base") return;
    progress.phase = "tail";
    await save();
    await this.#runSteps(snapshot);
  }

  #runSteps(snapshot: Snapshot): Promise<void> {
    const { deps, rows, slots, asked: end, clock, save, reading } = this.#o;
    return runSteps({ deps, rows, snapshot, slots, end, clock, save, reading });
  }

  /** A run that ends waits for what passes by itself; what else could not begin is left to the next one. */
  async #latecomers(): Promise<void> {
    const { deps, kind, end, rows, slots, reading } = this.#o;
    while (kind !== "follow" && rows.late.size > 0) {
      const snapshot = await rows.late.bring(slots, { ends: true }, reading);
      if (snapshot === undefined) return rows.late.leave();
      if (kind === "until" && deps.steps !== undefined) await this.#runSteps(snapshot);
      if (kind === "base" || deps.steps !== undefined) continue;
      const { collections } = snapshot.catalog;
      const exact = firstExactTs(
        snapshot,
        collections.filter(({ id }) => rows.carries(id) && snapshot.unusable?.has(id) !== true),
      );
      const ts = exact > (end.ts ?? 0n) ? exact : end.ts!;
      await using tail = this.#tail(snapshot, endAt(ts), false);
      const members = await rows.members(snapshot);
      await tail.read(members, tickingPchannels(deps, rows, snapshot), collections);
      for (const member of members) {
        await member.finish(Number.NEGATIVE_INFINITY, { ts, exact: kind === "until" });
      }
    }
  }

  /** A run that ends makes the bases that are due, and takes the log up to where those that it made are exact. */
  async #exact(): Promise<void> {
    const { deps, kind, end, archives: { all: archives }, snapshot: begun, clock, reading } = this.#o;
    if (kind === "follow" || reading.aborted) return;
    await this.#silent();
    const { ts: ended } = end;
    // 0 where no pchannel had a tick: then the run did not reach any moment.
    if (kind === "once" && ended !== undefined && ended > 0n) {
      await Promise.all(archives.map((archive) => archive.endsAt(begun, ended, reading)));
    }
    const rebased = new Set<ArchiveRun>();
    await Promise.all(archives.map(async (archive) => {
      if (await archive.rebaseOnce(reading)) rebased.add(archive);
    }));
    const reached = ended ?? 0n;
    // Segments that were looked up again, or a new base, hold rows from after the moment at which the log ended; and a new base
    // may have taken what lies on channels that nobody read.
    const short = archives.filter((archive) =>
      isOn(archive) && (archive.exactFrom > reached || (rebased.has(archive) && archive.isBehind(reached)))
    );
    if (short.length === 0) return;
    const ts = short.reduce((max, { exactFrom }) => exactFrom > max ? exactFrom : max, reached);
    const snapshot = await deps.meta.snapshot(reading);
    const { collections } = snapshot.catalog;
    await using tail = this.#tail(snapshot, endAt(ts, () => clock.passed(ts, reading)), false);
    await tail.read(short, selectedPchannels(deps, collections), collections);
  }

  /** What the archives lack of pchannels that no longer tick, which the run's end cannot be waited for on. */
  async #silent(): Promise<void> {
    const { deps, kind, end, archives: { all: archives }, snapshot, reading } = this.#o;
    const keepers = kind === "base" ? [] : archives.filter(isOn);
    const { collections } = snapshot.catalog;
    const live = new Set(collections.flatMap(({ pchannels }) => pchannels));
    const silent = keepers.reduce((all, { pchannels }) => all.union(pchannels), new Set<string>()).difference(live);
    if (silent.size === 0) return;
    const points = [...startPoints(keepers.map(({ state }) => state))].filter(([pchannel]) => silent.has(pchannel));
    const ends = await lastTicks(deps, new Map(points), reading);
    if (ends.size === 0) return;
    const { ts } = end;
    if (kind === "until" && ts !== undefined) {
      for (const [pchannel, tick] of ends) if (tick > ts) ends.set(pchannel, ts);
    }
    await using tail = this.#tail(snapshot, endEach(ends), false);
    await tail.read(keepers, new Set(ends.keys()), collections);
  }

  /** Until the run ends; one that ends leaves it to the next. */
  async #comeback(held: ArchiveRun): Promise<void> {
    const { deps, archives, topicIds, settled: snapshot, reading } = this.#o;
    const alone = this.#alone.bind(this);
    await bringBack(held, { deps, archives, topicIds, snapshot, alone, reading });
  }

  async #alone(archive: ArchiveRun, snapshot: Snapshot, topicIds: Map<string, string>): Promise<void> {
    const { deps, failed, reading } = this.#o;
    const { collections } = snapshot.catalog;
    // How far the run is say those who read for the others.
    const progress = { channels: () => {}, read: () => {} };
    await using tail = this.#tail(snapshot, endless(), true, { topicIds, progress });
    const pchannels = selectedPchannels(deps, collections).union(archive.pchannels);
    const log = archive.keepsLog ? tail.read([archive], pchannels, collections, archive.over) : Promise.resolve();
    const bases = archive.base(reading).then(() => archive.rebaseForEver(reading, () => tail.followAgain()));
    try {
      await Promise.all([log, bases]);
    } catch (error) {
      if (!reading.aborted) failed(error);
      throw error;
    } finally {
      await Promise.allSettled([log, bases]);
    }
  }

  #tail(
    snapshot: Snapshot,
    end: RunEnd,
    endless: boolean,
    own: Partial<Pick<RunTailOptions, "topicIds" | "progress">> = {},
  ): RunTail {
    const { deps, rows, archives, topicIds, progress, window, clock, failed, reading, work } = this.#o;
    const later = (id: bigint) => rows.isLater(id) || archives.all.some((archive) => archive.leavesOut(id));
    return new RunTail({
      deps,
      snapshot,
      end,
      endless,
      later,
      topicIds,
      progress,
      window,
      clock,
      failed,
      reading,
      work,
      ...own,
    });
  }

  #followed(collections: readonly Collection[]): ReadonlySet<string> {
    const { deps, kind, rows, snapshot } = this.#o;
    if (kind === "follow") return this.#archived(collections).union(rows.pchannels);
    return tickingPchannels(deps, rows, snapshot);
  }

  /** A run that ends cannot wait for pchannels that no longer tick. */
  #archived(collections: readonly Collection[]): Set<string> {
    const { deps, kind, archives } = this.#o;
    const selected = selectedPchannels(deps, collections);
    if (kind !== "follow") return selected;
    return archives.keepers.reduce((all, { pchannels }) => all.union(pchannels), selected);
  }
}

/** Whether it takes part in the tail. */
function isOn({ keepsLog, held }: ArchiveRun): boolean {
  return keepsLog && held === undefined;
}

/** Channels of collections that are on a sink, or will be, less those that no longer tick: what a run that ends follows. */
export function tickingPchannels(
  deps: Pick<FlowDependencies, "selects">,
  rows: RowSinks,
  { catalog: { collections } }: Snapshot,
): ReadonlySet<string> {
  const ticking = new Set(collections.flatMap(({ pchannels }) => pchannels));
  return selectedPchannels(deps, collections).union(rows.pchannels).intersection(ticking);
}
