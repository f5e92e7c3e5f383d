/** One archive sink through a run: its base, new ones when they are due, files closed in time, and its part of the tail. */
import { TidemarkError, toTidemarkError } from "../../errors.ts";
import type { ArchiveSink, CatalogChange, HybridTs, Silence, Snapshot, TickGroup } from "../../model/mod.ts";
import { archiveExtra } from "./extra.ts";
import type { ArchiveLeg } from "./leg.ts";
import { ArchiveLife } from "./life.ts";
import { ArchiveTail } from "./tail.ts";
import type { FlowDependencies } from "../dependencies.ts";
import { pause } from "../../pause.ts";
import { SETTLE_MS, unsettledOf, untilSettled } from "../selection.ts";
import type { RunProgress, SinkState } from "../state/mod.ts";
import { startPoints, type TailConsumer, type TailMember } from "../tail/mod.ts";

export interface ArchiveRunOptions {
  readonly deps: FlowDependencies;
  readonly sink: ArchiveSink;
  readonly leg: ArchiveLeg;
  readonly progress: Pick<RunProgress, "whole" | "holds" | "goesOn">;
  /** Says what the run does, where no row sink does. */
  readonly phase: (phase: "base" | "tail") => void;
  readonly checkpoint: () => Promise<void>;
  readonly changed: () => void;
  /** Whether another sink goes on where this one is held. */
  readonly others: () => boolean;
  readonly work: AbortSignal;
}

const CARE_MS = 1000;
const SILENCES_MS = 10_000;
const SETTLE_AGAIN_MS = 500;
/** A storage that has not answered for so long is held as one that refuses: the other sinks wait for it. */
const HELD_AFTER_MS = 120_000;
/** Between a base that failed and the next try: twice as long each time, up to a minute. */
const REBASE_AGAIN_MS = 5000;
const REBASE_AGAIN_MOST_MS = 60_000;
/** Of {@link CARE_MS}: how often what a base left out is looked at. */
const LOOK_AGAIN_ROUNDS = 5;

export class ArchiveRun implements TailMember {
  readonly #o: ArchiveRunOptions;
  /** pchannel -> what is not noted yet. */
  readonly #silences = new Map<string, Silence>();
  readonly #life: ArchiveLife;
  #works = false;

  constructor(options: ArchiveRunOptions) {
    this.#o = options;
    const { deps, others, work } = options;
    this.#life = new ArchiveLife({
      others,
      work,
      told: (error) => this.#told(error),
      silent: (silentMs) => this.#silence(silentMs),
      silentMs: deps.limits.heldAfterMs ?? HELD_AFTER_MS,
    });
  }

  get name(): string {
    return this.#o.sink.name;
  }

  /** Why nothing is written there any more: the other sinks go on without it. What it is to go on with takes another object. */
  get held(): TidemarkError | undefined {
    return this.#life.error;
  }

  /** Resolves when it is held. */
  get over(): Promise<void> {
    return this.#life.over;
  }

  /** Whether anything came to be durable there since it was opened. */
  get works(): boolean {
    return this.#works;
  }

  /** Whether it takes part in the tail. */
  get keepsLog(): boolean {
    return this.#o.sink.logArchive;
  }

  get state(): SinkState {
    return this.#o.leg.state;
  }

  /** As {@link ArchiveLeg.pchannels}. */
  get pchannels(): ReadonlySet<string> {
    return this.#o.leg.pchannels;
  }

  /** As {@link ArchiveLeg.leavesOut}. */
  leavesOut(id: bigint): boolean {
    return this.#o.leg.leavesOut(id);
  }

  /** As {@link ArchiveLeg.exactFrom}. */
  get exactFrom(): HybridTs {
    return this.#o.leg.exactFrom;
  }

  /**
   * Opens the backup; where it goes on shows in its state. One that no run has opened before is not held: a mistake in the
   * configuration is likelier. Throws `position_lost`.
   */
  async open(snapshot: Snapshot, signal: AbortSignal): Promise<void> {
    const begun = archiveExtra(this.state.extra).name !== undefined;
    this.#o.phase("base");
    const work = () => this.#open(snapshot, signal);
    if (begun) await this.#life.keep(work, { more: ({ code }) => code === "unreachable" });
    else await work();
  }

  /** As {@link open}, of one that this run has held. Undefined where it still cannot be opened. */
  async openAgain(taken: () => Promise<Snapshot>, signal: AbortSignal): Promise<Snapshot | undefined> {
    let snapshot: Snapshot | undefined;
    const open = await this.#life.again(async () => await this.#open(snapshot = await taken(), signal));
    return open ? snapshot : undefined;
  }

  async #open(snapshot: Snapshot, signal: AbortSignal): Promise<void> {
    const living = AbortSignal.any([signal, this.#life.signal]);
    await this.#shown("Opens the backup", async () => {
      await this.#o.leg.open(snapshot, living);
      if (this.keepsLog) await this.#o.leg.startPoints(living);
    });
  }

  /** What is missing of the base. Its log is kept also where that fails. */
  async base(signal: AbortSignal): Promise<void> {
    const living = AbortSignal.any([signal, this.#life.signal]);
    const done = await this.#life.keep(async () => {
      try {
        await this.#o.leg.base(living);
      } catch (error) {
        // For the status, which is asked for after the run has ended by it, too.
        if (!living.aborted) await this.#o.leg.baseFailed(toTidemarkError(error).message);
        if (this.keepsLog && !living.aborted) await this.settle();
        throw error;
      }
    }, { patient: true });
    if (!done) return;
    if (this.keepsLog) this.#o.phase("tail");
    else this.#proved();
  }

  /** As {@link ArchiveLeg.endsAt}. */
  async endsAt(snapshot: Snapshot, ts: HybridTs, signal: AbortSignal): Promise<void> {
    if (this.keepsLog) await this.#life.keep(() => this.#o.leg.endsAt(snapshot, ts, signal));
  }

  /**
   * A run that ends makes the base that is due, too: it may be the nightly one. True if one was. One that fails is told as in a
   * run that goes on; the backup before it has the log up to the end.
   */
  async rebaseOnce(signal: AbortSignal): Promise<boolean> {
    const why = this.held === undefined ? this.#o.leg.due() : undefined;
    if (why === undefined) return false;
    this.#o.phase("base");
    try {
      await this.#rebase(why, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      await this.#tellFailed(error);
      return false;
    }
    return true;
  }

  /** Whether its log of some channel does not reach this moment. */
  isBehind(ts: HybridTs): boolean {
    return [...startPoints([this.state]).values()].some(({ tick }) => tick < ts);
  }

  /** A new base whenever one is due, until the signal fires or it is held. `rebased`: told of each. */
  async rebaseForEver(until: AbortSignal, rebased: () => void = () => {}): Promise<void> {
    const { deps, sink, leg } = this.#o;
    const signal = AbortSignal.any([until, this.#life.signal]);
    for (let round = 1; !signal.aborted; round++) {
      try {
        await pause(CARE_MS, signal);
        if (round % LOOK_AGAIN_ROUNDS === 0) await this.#lookAgain(signal);
        const why = leg.due();
        if (why === undefined) continue;
        await this.#rebase(why, signal);
        rebased();
      } catch (error) {
        if (signal.aborted) return;
        // The backup that is there goes on; what was copied of the new one is kept for the next try.
        const { message } = await this.#tellFailed(error);
        const { failures } = leg.state.bases!;
        const againMs = Math.min(REBASE_AGAIN_MS * 2 ** (failures - 1), REBASE_AGAIN_MOST_MS);
        const waiter = { component: `sinks.${sink.name}`, aside: true };
        using _wait = deps.waits.begin(
          waiter,
          `The last base failed: ${message}; the next try`,
          deps.now() + againMs,
        );
        await pause(againMs, signal).catch(() => {});
      }
    }
  }

  /** Each is told, also where the last one failed for the same reason. */
  async #tellFailed(error: unknown): Promise<TidemarkError> {
    const { deps, sink, leg } = this.#o;
    const failed = toTidemarkError(error);
    const { message, hint } = failed;
    await leg.baseFailed(message);
    const { failures, goodAt } = leg.state.bases!;
    deps.report.warn(
      `rebase ${sink.name} ${failures} ${goodAt}`,
      `The new base of ${sink.name} failed${failures > 1 ? `, ${failures} in a row` : ""}${
        goodAt === "" ? "" : `; the last good one is of ${goodAt}`
      }: ${message}${hint === undefined ? "" : `. ${hint}`}`,
    );
    return failed;
  }

  /** That nothing can be said of what was left out is no fault of a base. */
  async #lookAgain(signal: AbortSignal): Promise<void> {
    const { deps, sink, leg } = this.#o;
    try {
      await leg.lookAgain(undefined, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      deps.report.warn(`left out ${sink.name}`, toTidemarkError(error).message);
    }
  }

  async #rebase(why: string, signal: AbortSignal): Promise<void> {
    const { deps, sink, leg } = this.#o;
    deps.report.info(`New base of ${sink.name}: ${why}`);
    await leg.rebase(await this.#settled(signal), signal);
  }

  /** What does not come to that in time, the base leaves out. */
  async #settled(signal: AbortSignal): Promise<Snapshot> {
    const { deps } = this.#o;
    const settledBy = deps.now() + SETTLE_MS;
    for (;;) {
      const snapshot = await deps.meta.snapshot(signal);
      const change = unsettledOf(deps, snapshot);
      if (change === undefined || deps.now() >= settledBy) return snapshot;
      await deps.waits.during(
        { component: "sources.meta", aside: true },
        () => untilSettled(change),
        () => pause(SETTLE_AGAIN_MS, signal),
      );
    }
  }

  consume(acknowledged: (group: TickGroup) => void): TailConsumer {
    const { deps, sink, leg, progress, changed } = this.#o;
    return new ArchiveTail({
      life: this.#life,
      session: () => leg.session,
      state: leg.state,
      describe: deps.describeRecord,
      wanted: leg.wanted,
      acknowledged,
      changed: (moved) => {
        if (moved) this.#proved();
        changed();
      },
      whole: (pchannel, tick) => {
        this.#proved();
        progress.whole(sink.name, pchannel, tick);
      },
      silent: (pchannel, silence) => void this.#silences.set(pchannel, silence),
      appending: leg.inTurn,
    });
  }

  vchannelsOf(id: bigint): readonly string[] | undefined {
    return this.#o.leg.state.collections.get(id)?.vchannels;
  }

  async changed(change: CatalogChange): Promise<void> {
    await this.#life.keep(() => this.#o.leg.changed(change, this.#life.signal));
  }

  /** Files that are old enough are closed even where nothing arrives, and drops are looked for that no tick follows. */
  async beside(until: AbortSignal): Promise<void> {
    const { deps, leg } = this.#o;
    const living = this.#life.signal;
    const signal = AbortSignal.any([until, living]);
    await Promise.all([
      this.#care("roll", () => leg.inTurn(() => leg.session.rollDue(deps.now(), living)), signal),
      this.#care("drops", () => leg.findDrops(signal), signal),
      this.#care("silences", () => this.#noteSilences(), signal, SILENCES_MS),
    ]);
  }

  async #care(what: string, work: () => Promise<void>, signal: AbortSignal, everyMs = CARE_MS): Promise<void> {
    const { deps, sink } = this.#o;
    while (!signal.aborted) {
      try {
        await pause(everyMs, signal);
        await this.#life.keep(work);
      } catch (error) {
        if (signal.aborted) return;
        if (!toTidemarkError(error).retriable) throw error;
        deps.report.warn(`${what} ${sink.name}`, toTidemarkError(error).message);
      }
    }
  }

  async settle(): Promise<void> {
    const { leg, checkpoint } = this.#o;
    const { signal } = this.#life;
    await this.#life.keep(async () => {
      await this.#shown("Closes the files of the log", () =>
        leg.inTurn(async () => {
          await leg.session.flushLog(signal);
          await leg.startPoints(signal);
        }));
      await this.#noteSilences();
    });
    await checkpoint();
  }

  #shown(what: string, work: () => Promise<void>): Promise<void> {
    return this.#o.deps.waits.during({ component: `sinks.${this.#o.sink.name}`, aside: true }, what, work);
  }

  /** Whoever restores counts them only where the archive has the ticks before them. */
  async #noteSilences(): Promise<void> {
    const { leg } = this.#o;
    const silences = new Map(this.#silences);
    this.#silences.clear();
    if (silences.size > 0) await leg.inTurn(() => leg.session.noteSilences(silences, this.#life.signal));
  }

  /** Work that takes long is none: only what the store itself says that it waits for. */
  #silence(silentMs: number): TidemarkError | undefined {
    const { deps, sink } = this.#o;
    const since = deps.now() - silentMs;
    const wait = deps.waits.list().find(({ component, aside, sinceMs }) =>
      component === `sinks.${sink.name}` && aside !== true && sinceMs <= since
    );
    if (wait === undefined) return undefined;
    return new TidemarkError("unreachable", `Its storage does not answer: ${wait.reason}`, {
      hint: "It goes on where it stopped once the storage answers, while the log still holds that.",
    });
  }

  #told({ message, hint }: TidemarkError): void {
    const { deps, sink, progress } = this.#o;
    progress.holds(sink.name, message);
    deps.report.warn(
      `held ${sink.name} ${deps.now()}`,
      `The backup ${sink.name} is held, all else goes on: ${message}${hint === undefined ? "" : `. ${hint}`}`,
    );
  }

  /** What it takes over comes to be durable: whatever it was held for is mended. */
  #proved(): void {
    if (this.#works || this.held !== undefined) return;
    this.#works = true;
    this.#o.progress.goesOn(this.name);
  }

  /** Nothing of it goes on when it resolves, or when `longestMs` are over: what hangs then ends with the process. */
  async close(longestMs = Infinity): Promise<void> {
    const { leg } = this.#o;
    if (this.held === undefined) return await leg.close();
    await this.#life.ended(longestMs);
    // Whatever it could not note any more is found again, as after a kill.
    await leg.close().catch(() => {});
  }
}
