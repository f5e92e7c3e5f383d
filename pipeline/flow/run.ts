/** A run: lease, state, snapshot, cut, base, tail. */
import { TidemarkError, toTidemarkError } from "../errors.ts";
import type { Json } from "../json.ts";
import { type ArchiveSink, type DdlOutcome, isoOfHybrid, type RunStatus, type Snapshot } from "../model/mod.ts";
import { firstExactTs, importGate } from "../transforms/mod.ts";
import { Checkpointer } from "./checkpointer.ts";
import { Slots } from "./base_copy.ts";
import type { FlowDependencies, RowSinkSetup, RunOptions, RunResult } from "./dependencies.ts";
import { lostPositions, pchannelOf, prunePositions, startPoints } from "./pchannels.ts";
import { RowLeg } from "./row_leg.ts";
import { RowTail } from "./row_tail.ts";
import { ArchiveLeg } from "./archive_leg.ts";
import { runArchive } from "./archive_run.ts";
import { CatalogWatch } from "./catalog_watch.ts";
import { Databases } from "./databases.ts";
import { pointsOfCollections, TailStream } from "./tail_stream.ts";
import { followFlushes } from "./flush_follow.ts";
import { endAfter, endAt, endAtBase, endless, type RunEnd } from "./run_end.ts";
import { RunProgress } from "./run_progress.ts";
import { isFinished, newRunState, newSinkState, parseRunState, type RunState, type SinkState } from "./run_state.ts";
import { Targets } from "./targets.ts";
import { pause } from "./pause.ts";
import { preflight } from "./preflight.ts";
import { reconcileRbac } from "./rbac.ts";
import { startPulse } from "./pulse.ts";

/** How long a stopped run waits for its sinks to acknowledge what was read. */
const DRAIN_MS = 30_000;

export interface RunHandle {
  readonly result: Promise<RunResult>;
  status(): RunStatus;
}

/**
 * Runs the pipeline. `stop` drains: nothing more is read, what was read is applied and checkpointed. `kill` ends at once.
 * Throws TidemarkErrors: `locked`, `position_lost`, `target_not_empty`, `config` and what the components throw for good.
 */
export function startRun(deps: FlowDependencies, options: RunOptions, stop: AbortSignal, kill: AbortSignal): RunHandle {
  const run = new Run(deps, options, stop, kill);
  return { result: run.execute(), status: () => run.status() };
}

interface Leg {
  readonly name: string;
  readonly state: SinkState;
  readonly targets: Targets;
  readonly setup: RowSinkSetup;
  readonly row: RowLeg;
  readonly databases: Databases;
}

class Run {
  readonly #deps: FlowDependencies;
  readonly #options: RunOptions;
  readonly #stop: AbortSignal;
  readonly #kill: AbortSignal;
  readonly #refused: DdlOutcome[] = [];
  readonly #blocked = new Map<string, string>();
  #state: RunState;
  #progress: RunProgress;
  #checkpointer: Checkpointer | undefined;

  constructor(deps: FlowDependencies, options: RunOptions, stop: AbortSignal, kill: AbortSignal) {
    this.#deps = deps;
    this.#options = options;
    this.#stop = stop;
    this.#kill = kill;
    this.#state = newRunState(deps.pipeline, "", new Date(deps.now()));
    this.#progress = new RunProgress(this.#state, deps.now, deps.waiting);
  }

  status(): RunStatus {
    return this.#progress.status();
  }

  async execute(): Promise<RunResult> {
    const deps = this.#deps;
    const lease = await deps.state.lock(this.#stop);
    const lost = new AbortController();
    const onLost = () => lost.abort(lease.lost.reason);
    lease.lost.addEventListener("abort", onLost, { once: true });
    try {
      for (;;) {
        try {
          return await this.#leased(lost);
        } catch (error) {
          if (deps.onPositionLost === "fail" || toTidemarkError(error).code !== "position_lost") throw error;
          // The log ran away from a slow run; what is concerned starts over, the rest goes on from its checkpoint.
          deps.report.info(`${toTidemarkError(error).message}; starts again with what the log still holds`);
          await this.#checkpointer!.close();
        }
      }
    } catch (error) {
      this.#progress.failed(toTidemarkError(error).message);
      // A run that never saw its source leaves no state behind.
      if (this.#state.clusterId !== "") await this.#checkpointer?.close().catch(() => {});
      throw error;
    } finally {
      lease.lost.removeEventListener("abort", onLost);
      await lease[Symbol.asyncDispose]();
    }
  }

  async #leased(lost: AbortController): Promise<RunResult> {
    const deps = this.#deps;
    const text = await deps.state.read(this.#stop);
    const before = text === undefined ? undefined : parseRunState(text, deps.state.location);
    // A restore that is done is no beginning for another.
    if (before !== undefined && !(this.#options.restore !== undefined && isFinished(before))) {
      this.#state = before;
      this.#progress = new RunProgress(this.#state, deps.now, deps.waiting);
    }
    const failed = Promise.withResolvers<never>();
    failed.promise.catch(() => {});
    this.#checkpointer = new Checkpointer(this.#state, deps.state, {
      intervalMs: deps.limits.checkpointIntervalMs,
      now: () => new Date(deps.now()),
      beforeWrite: () => this.#state.status = this.status() as unknown as Json,
      onError: failed.reject,
    });
    const broken = new AbortController();
    const work = AbortSignal.any([this.#kill, lost.signal, broken.signal]);
    const reading = AbortSignal.any([this.#stop, work]);
    using _drain = this.#limitDrain(broken);

    deps.crash("before_snapshot");
    this.#progress.phase = "snapshot";
    let snapshot = await this.#snapshot(reading);
    if (this.#state.clusterId === "") this.#state.clusterId = snapshot.clusterId;
    if (this.#state.clusterId !== snapshot.clusterId) {
      throw new TidemarkError(
        "config",
        `The state ${deps.state.location} belongs to another source (etcd cluster ${this.#state.clusterId}, this one is ${snapshot.clusterId})`,
        {
          hint: "Give each pipeline a name or a state of its own.",
        },
      );
    }
    this.#state.revision = snapshot.revision;
    this.#noteRestore();
    deps.crash("after_snapshot");

    const legs = deps.sinks.map((setup) => this.#leg(setup, snapshot, work));
    const end = await this.#end(legs, snapshot, reading);
    for (const leg of legs) {
      for (const own of leg.state.collections.values()) own.blocked = undefined;
      leg.row.letGo(snapshot);
      prunePositions(leg.state);
    }
    snapshot = await this.#cuts(legs, snapshot, reading);
    await this.#checkpointer.save();

    using _pulse = startPulse({ waiting: deps.waiting, touch: () => this.#checkpointer!.touch() });
    const slots = new Slots(deps.limits.baseParallelism);
    const rows = async () => {
      if (legs.length === 0) return;
      await Promise.all(legs.map((leg) => leg.databases.reconcile(snapshot.catalog)));
      await this.#base(legs, snapshot, slots, reading);
      if (this.#options.end.kind === "base") return await this.#rbac(legs, snapshot, work);
      await this.#tail(legs, snapshot, end, reading, work);
    };
    const parts = [rows(), ...deps.archives.map((sink) => this.#archive(sink, snapshot, end, slots, reading, work))];
    try {
      await Promise.race([failed.promise, Promise.all(parts)]);
    } catch (error) {
      // Nothing of this run may go on once its lease is given back.
      broken.abort(error);
      await Promise.allSettled(parts);
      // What was cut short by the lost lease says only that it was.
      lost.signal.throwIfAborted();
      throw error;
    }
    const result = {
      upTo: end.ts ?? 0n,
      blocked: [...this.#blocked].map(([collection, reason]) => ({ collection, reason })),
      refused: this.#refused,
    };
    this.#progress.phase = this.#stop.aborted ? this.#progress.phase : "done";
    await this.#checkpointer.close();
    return result;
  }

  /**
   * A stop drains what was read. Before the tail there is nothing to drain: a base goes on with its next run. And a sink
   * that does not answer must not keep the process for ever: what it did not acknowledge is repeated by the next run.
   */
  #limitDrain(broken: AbortController): Disposable {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const onStop = () => {
      timer = setTimeout(() => broken.abort(this.#stop.reason), this.#progress.phase === "tail" ? DRAIN_MS : 1000);
    };
    if (this.#stop.aborted) onStop();
    else this.#stop.addEventListener("abort", onStop, { once: true });
    return {
      [Symbol.dispose]: () => {
        this.#stop.removeEventListener("abort", onStop);
        clearTimeout(timer);
      },
    };
  }

  #noteRestore(): void {
    const { restore, end } = this.#options;
    if (restore !== undefined) this.#state.restore = { asked: restore, ts: end.kind === "until" ? end.ts : 0n };
  }

  /** With a tail the catalog watch does it. */
  async #rbac(legs: readonly Leg[], snapshot: Snapshot, signal: AbortSignal): Promise<void> {
    if (!this.#deps.rbac) return;
    for (const { setup } of legs) await reconcileRbac(this.#deps, setup.sink, snapshot.catalog, true, signal);
  }

  /** Waits until no import is half visible. */
  async #snapshot(signal: AbortSignal): Promise<Snapshot> {
    const deps = this.#deps;
    for (;;) {
      const snapshot = await deps.meta.snapshot(signal);
      const selected = snapshot.catalog.collections.filter((item) => deps.selects(item.dbName, item.name));
      const waitFor = importGate(snapshot, selected);
      if (waitFor.length === 0) return snapshot;
      deps.report.warn(
        "imports",
        `Waits for ${waitFor.length} imports before the copy can begin: ${waitFor[0]!.detail}`,
      );
      await pause(1000, signal);
    }
  }

  #leg(setup: RowSinkSetup, snapshot: Snapshot, work: AbortSignal): Leg {
    const deps = this.#deps;
    const { name } = setup.sink;
    let state = this.#state.sinks.get(name);
    if (state === undefined) this.#state.sinks.set(name, state = newSinkState());
    const save = () => this.#checkpointer!.save();
    const changed = () => this.#checkpointer!.touch();
    const targets = new Targets({ deps, setup, state, save, signal: work, refused: this.#refused }, snapshot.catalog);
    const row = new RowLeg({ deps, setup, state, targets, progress: this.#progress, save, changed });
    const databases = new Databases({ deps, setup, state, changed, refused: this.#refused, signal: work });
    return { name, state, targets, setup, row, databases };
  }

  async #end(legs: readonly Leg[], snapshot: Snapshot, signal: AbortSignal): Promise<RunEnd> {
    const { end } = this.#options;
    switch (end.kind) {
      case "follow":
        return endless();
      case "base":
        return endAtBase();
      case "until": {
        const ticks = legs.flatMap(({ state }) => [...state.positions.values()].map(({ tick }) => tick));
        const latest = ticks.reduce((max, tick) => tick > max ? tick : max, 0n);
        if (end.ts < latest) {
          throw new TidemarkError(
            "usage",
            `The copy cannot end at ${isoOfHybrid(end.ts)}: it has reached ${isoOfHybrid(latest)} already`,
            { hint: "Choose a later time, or begin anew with a state of its own." },
          );
        }
        const selected = snapshot.catalog.collections.filter((item) => this.#deps.selects(item.dbName, item.name));
        const exact = firstExactTs(snapshot, selected);
        if (end.ts < exact && ticks.length === 0 && legs.length > 0) {
          throw new TidemarkError(
            "usage",
            `The copy cannot end at ${isoOfHybrid(end.ts)}: the source's files already hold rows and deletes up to ${
              isoOfHybrid(exact)
            }`,
            {
              hint: "Choose a later time. An earlier state can only come from a backup with a log archive.",
            },
          );
        }
        return endAt(end.ts);
      }
      case "once": {
        // Backups without a log end with their bases.
        if (this.#deps.sinks.length === 0 && !this.#deps.archives.some(({ logArchive }) => logArchive)) {
          return endAtBase();
        }
        const latest = new Map<string, bigint>();
        await Promise.all([...this.#followed(legs, snapshot).keys()].map(async (pchannel) => {
          latest.set(pchannel, (await this.#deps.log.bounds(pchannel, signal)).latest);
        }));
        return endAfter(latest);
      }
    }
  }

  /** Decides where the tails begin. Returns the snapshot that the new cuts are of. */
  async #cuts(legs: readonly Leg[], first: Snapshot, signal: AbortSignal): Promise<Snapshot> {
    const deps = this.#deps;
    for (let snapshot = first;;) {
      await this.#positions(legs, signal);
      for (const leg of legs) leg.row.fixCuts(snapshot, leg.row.needsBase(snapshot));
      if (this.#options.end.kind === "base") return snapshot;
      const points = startPoints(legs.map((leg) => leg.state));
      const missing = await lostPositions(deps.log, points, this.#state.topicIds, signal);
      if (missing.length === 0) return snapshot;
      // An archive gets no better by waiting.
      if (this.#options.restore !== undefined) throw missing[0]!.error;
      const lost = missing.map((item) => item.pchannel);
      // The log was cut off behind the source's own checkpoint, which is where a copy begins.
      deps.report.warn(
        "source's checkpoint",
        `Waits until the source's own checkpoint on ${lost.join(", ")} is within what the log still holds; ` +
          "a flush of the collections there moves it",
      );
      for (const leg of legs) leg.row.forgetCuts(lost);
      await pause(1000, signal);
      snapshot = await this.#snapshot(signal);
      for (const leg of legs) leg.targets.update(snapshot.catalog);
    }
  }

  /** The log must hold every position; otherwise the run ends, or the collections concerned start over. */
  async #positions(legs: readonly Leg[], signal: AbortSignal): Promise<void> {
    const deps = this.#deps;
    if (this.#options.end.kind === "base") return;
    const points = startPoints(legs.map((leg) => leg.state));
    const lost = await lostPositions(deps.log, points, this.#state.topicIds, signal);
    if (lost.length === 0) return;
    if (deps.onPositionLost === "fail") throw lost[0]!.error;
    for (const { pchannel, error } of lost) {
      deps.report.warn(`lost ${pchannel}`, `${error.message}; copies the collections on it afresh`);
      this.#state.topicIds.delete(pchannel);
      for (const leg of legs) {
        await this.#startOver(leg, pchannel);
        leg.row.forgetCuts([pchannel]);
      }
    }
    await this.#checkpointer!.save();
  }

  async #startOver(leg: Leg, pchannel: string): Promise<void> {
    const { state, targets } = leg;
    state.positions.delete(pchannel);
    for (const own of [...state.collections.values()]) {
      if (own.phase === "dropped" || !own.vchannels.some((vchannel) => vchannel.startsWith(`${pchannel}_`))) continue;
      await targets.startOver(own);
      for (const vchannel of own.vchannels) state.vchannels.delete(vchannel);
    }
  }

  /** One backup sink: its log from the cut on, its base beside that. */
  async #archive(
    sink: ArchiveSink,
    snapshot: Snapshot,
    end: RunEnd,
    slots: Slots,
    reading: AbortSignal,
    work: AbortSignal,
  ): Promise<void> {
    let state = this.#state.sinks.get(sink.name);
    if (state === undefined) this.#state.sinks.set(sink.name, state = newSinkState());
    const leg = new ArchiveLeg({
      deps: this.#deps,
      sink,
      state,
      progress: this.#progress,
      slots,
      topicIds: this.#state.topicIds,
      save: () => this.#checkpointer!.save(),
      blocked: (name, error) => this.#hold(name, error),
    });
    await runArchive({
      deps: this.#deps,
      sink,
      leg,
      snapshot,
      end,
      endless: this.#options.end.kind === "follow",
      topicIds: this.#state.topicIds,
      progress: this.#progress,
      alone: this.#deps.sinks.length === 0,
      checkpoint: () => this.#checkpointer!.save(),
      changed: () => this.#checkpointer!.touch(),
      reading,
      work,
    });
  }

  async #base(legs: readonly Leg[], snapshot: Snapshot, slots: Slots, signal: AbortSignal): Promise<void> {
    const deps = this.#deps;
    const wanted = legs.map((leg) => ({ leg, collections: leg.row.needsBase(snapshot) }));
    if (wanted.every(({ collections }) => collections.length === 0)) return;
    this.#progress.phase = "base";
    await preflight(deps.binlogs, snapshot, wanted.flatMap(({ collections }) => collections), signal);
    await using _gc = await deps.binlogs.pauseGc(signal);
    const results = await Promise.allSettled(
      wanted.map(({ leg, collections }) =>
        leg.row.base(snapshot, collections, slots, (name, error) => this.#hold(name, error), signal)
      ),
    );
    for (const result of results) if (result.status === "rejected") throw result.reason;
    await this.#checkpointer!.save();
  }

  async #tail(
    legs: readonly Leg[],
    snapshot: Snapshot,
    end: RunEnd,
    reading: AbortSignal,
    work: AbortSignal,
  ): Promise<void> {
    const deps = this.#deps;
    this.#progress.phase = "tail";
    // Whoever reads the status learns it now, not with the first change.
    await this.#checkpointer!.save();
    const stream = new TailStream({
      deps,
      end,
      endless: this.#options.end.kind === "follow",
      topicIds: this.#state.topicIds,
      progress: this.#progress,
      points: startPoints(legs.map((leg) => leg.state)),
      vchannelsOf: (id) => {
        for (const leg of legs) {
          const vchannels = leg.state.collections.get(id)?.vchannels ?? leg.targets.live(id)?.vchannels;
          if (vchannels !== undefined) return vchannels;
        }
        return [];
      },
      records: false,
      windowBytes: deps.limits.inFlightBytes,
      signal: reading,
    });
    const tails = legs.map((leg) =>
      new RowTail({
        deps,
        setup: leg.setup,
        state: leg.state,
        targets: leg.targets,
        save: () => this.#checkpointer!.save(),
        acknowledged: (group) => stream.acknowledge(group),
        changed: () => this.#checkpointer!.touch(),
        applied: (id, inserted, deleted) => this.#progress.applied(leg.name, id, inserted, deleted),
        blocked: (name, error) => this.#hold(name, error),
        signal: work,
      })
    );
    const watch = new CatalogWatch({
      deps,
      snapshot,
      tails,
      follow: (collections) => stream.follow(pointsOfCollections(deps, collections)),
      databases: legs.map((leg) => leg.databases),
      signal: stream.reading,
    });
    const followed = this.#followed(legs, snapshot);
    for (const { pchannels } of snapshot.catalog.collections) {
      // What was given up since the end was fixed is not read any more.
      for (const pchannel of pchannels) if (!followed.has(pchannel)) end.leave(pchannel);
    }
    const finished = stream.run(tails, followed);
    const watching = watch.run();
    // A run that ends has no use for flushes: they matter to who looks at the target's files meanwhile.
    const flushing = this.#options.end.kind === "follow" ? followFlushes(deps, legs, stream.reading) : undefined;
    try {
      await Promise.race([finished, watching.then(() => finished)]);
    } finally {
      stream.end();
      await watching.catch(() => {});
      await flushing;
    }
    work.throwIfAborted();
    if (reading.aborted) return;
    // What is gone from the metadata by now was dropped before this run ends; up to an exact time only what cannot tick.
    if (this.#options.end.kind === "once") await watch.dropSilent(0, Number.NEGATIVE_INFINITY);
    if (this.#options.end.kind === "until") await watch.dropSilent(0, Number.POSITIVE_INFINITY);
    await Promise.all(legs.map((leg) => leg.databases.dropGone()));
  }

  /** Channels of collections that are on a sink, or will be. A run that ends leaves out those that no longer tick. */
  #followed(legs: readonly Leg[], snapshot: Snapshot): Map<string, bigint> {
    const deps = this.#deps;
    const selected = snapshot.catalog.collections.filter((item) => deps.selects(item.dbName, item.name));
    const starts = pointsOfCollections(deps, selected);
    for (const { state } of legs) {
      for (const own of state.collections.values()) {
        if (own.phase === "dropped") continue;
        for (const vchannel of own.vchannels) {
          const pchannel = pchannelOf(vchannel);
          if (!starts.has(pchannel)) starts.set(pchannel, 0n);
        }
      }
    }
    if (this.#options.end.kind === "follow") return starts;
    const ticking = new Set(snapshot.catalog.collections.flatMap((collection) => collection.pchannels));
    return new Map([...starts].filter(([pchannel]) => ticking.has(pchannel)));
  }

  #hold(collection: string, error: TidemarkError): void {
    this.#blocked.set(collection, error.message);
    this.#deps.report.blocked(collection, error);
  }
}
