/** A run: lease, state, snapshot, cut, base, tail. */
import { TidemarkError, toTidemarkError } from "../../errors.ts";
import type { Json } from "../../json.ts";
import { type DdlOutcome, isoOfHybrid, type RunStatus, type Snapshot } from "../../model/mod.ts";
import { firstExactTs, importGate } from "../../transforms/mod.ts";
import { NothingBackedUp } from "../archive/mod.ts";
import { Slots } from "../base/mod.ts";
import {
  Checkpointer,
  isFinished,
  newRunState,
  parseRunState,
  RunProgress,
  type RunState,
  startPulse,
} from "../state/mod.ts";
import type { OpenWait } from "../../waits.ts";
import type { FlowDependencies, RunOptions, RunResult } from "../dependencies.ts";
import { formatSize, plural } from "../../units/mod.ts";
import { pause } from "../../pause.ts";
import { RowSinks } from "../rows/mod.ts";
import {
  refuseClashes,
  requireSelection,
  selectedOf,
  SETTLE_MS,
  unsettledOf,
  untilSettled,
  usableOf,
} from "../selection.ts";
import { endAfter, endAt, endAtBase, endless, type RunEnd, SourceClock, watchRetention, Window } from "../tail/mod.ts";
import { RunArchives } from "./archives.ts";
import { RunSinks, tickingPchannels } from "./sinks.ts";
import { endOfSteps } from "./steps.ts";

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

class Run {
  readonly #deps: FlowDependencies;
  readonly #options: RunOptions;
  readonly #stop: AbortSignal;
  readonly #kill: AbortSignal;
  readonly #refused: DdlOutcome[] = [];
  /** Sink and collection -> why it is held there. */
  readonly #blocked = new Map<string, { readonly collection: string; readonly reason: string }>();
  #state: RunState;
  #progress: RunProgress;
  #checkpointer: Checkpointer | undefined;

  constructor(deps: FlowDependencies, options: RunOptions, stop: AbortSignal, kill: AbortSignal) {
    this.#deps = deps;
    this.#options = options;
    this.#stop = stop;
    this.#kill = kill;
    this.#state = newRunState(deps.pipeline, "", new Date(deps.now()));
    this.#progress = new RunProgress(this.#state, deps.now, deps.waits);
  }

  status(): RunStatus {
    return this.#progress.status();
  }

  async execute(): Promise<RunResult> {
    const deps = this.#deps;
    const lease = await deps.waits.during(
      { component: "state" },
      `Asks for the lock of ${deps.state.location}`,
      () => deps.state.lock(this.#stop),
    );
    const lost = new AbortController();
    const onLost = () => lost.abort(lease.lost.reason);
    lease.lost.addEventListener("abort", onLost, { once: true });
    try {
      for (;;) {
        try {
          return await this.#leased(lost);
        } catch (error) {
          if (deps.onPositionLost === "fail" || toTidemarkError(error).code !== "position_lost") throw error;
          // No new copy begins where none could.
          if (error instanceof NothingBackedUp) throw error;
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
      this.#progress = new RunProgress(this.#state, deps.now, deps.waits);
    }
    const failed = Promise.withResolvers<never>();
    failed.promise.catch(() => {});
    this.#checkpointer = new Checkpointer(this.#state, deps.state, {
      intervalMs: deps.limits.checkpointIntervalMs,
      now: () => new Date(deps.now()),
      during: (write) =>
        deps.waits.during({ component: "state" }, `${deps.state.location} is slow to take the state`, write),
      beforeWrite: () => this.#state.status = this.status() as unknown as Json,
      onError: failed.reject,
    });
    const broken = new AbortController();
    const work = AbortSignal.any([this.#kill, lost.signal, broken.signal]);
    const reading = AbortSignal.any([this.#stop, work]);
    using _drain = this.#limitDrain(broken);
    // A run that never saw its source leaves no state behind.
    using _pulse = startPulse({
      waits: deps.waits,
      touch: () => this.#state.clusterId === "" || this.#checkpointer!.touch(),
    });

    deps.crash("before_snapshot");
    this.#progress.phase = "snapshot";
    let snapshot = await this.#snapshot(reading);
    // Before the state is written for the first time: what is refused leaves nothing behind.
    requireSelection(deps, snapshot.catalog, this.#state);
    if (deps.sinks.length > 0) refuseClashes(deps, snapshot.catalog);
    if (this.#state.clusterId === "") {
      this.#state.clusterId = snapshot.clusterId;
      this.#state.queue = deps.log.queue;
    }
    if (this.#state.clusterId !== snapshot.clusterId) {
      throw new TidemarkError(
        "config",
        `The state ${deps.state.location} belongs to another source (etcd cluster ${this.#state.clusterId}, this one is ${snapshot.clusterId})`,
        {
          hint: "Give each pipeline a name or a state of its own.",
        },
      );
    }
    if (this.#state.queue !== deps.log.queue) {
      throw new TidemarkError(
        "config",
        `The state ${deps.state.location} holds positions of ${this.#state.queue}, and sources.log reads ${deps.log.queue}`,
        {
          hint:
            "A position of one queue means nothing in another. Name the queue that the run began with, or begin a new copy under another name.",
        },
      );
    }
    this.#state.revision = snapshot.revision;
    this.#noteRestore();
    deps.crash("after_snapshot");

    const rows = this.#rows(snapshot, work);
    await rows.reach(reading);
    const clock = new SourceClock({ meta: deps.meta, now: deps.now });
    const end = await this.#end(rows, snapshot, clock, reading);
    rows.begin(snapshot);
    snapshot = await rows.cuts(
      snapshot,
      {
        withoutLog: this.#options.end.kind === "base" || deps.steps !== undefined,
        restore: this.#options.restore !== undefined,
      },
      reading,
    );
    await this.#checkpointer.save();

    const { inFlightBytes } = deps.limits;
    const window = new Window(inFlightBytes, (work) =>
      deps.waits.during(
        { component: "run" },
        `limits.in_flight (${
          formatSize(inFlightBytes)
        }) is read and not yet written by every sink; reading goes on as they write`,
        work,
      ));
    this.#progress.window = window;
    const slots = new Slots(deps.limits.baseParallelism);
    const archives = new RunArchives({
      deps,
      state: this.#state,
      progress: this.#progress,
      slots,
      save: () => this.#checkpointer!.save(),
      changed: () => this.#checkpointer!.touch(),
      blocked: (sink, name, error) => this.#hold(sink, name, error),
      mended: (sink, name) => void this.#blocked.delete(`${sink} ${name}`),
      work,
    });
    const sinks = new RunSinks({
      deps,
      asked: this.#options.end,
      end,
      snapshot,
      rows,
      archives,
      slots,
      window,
      clock,
      topicIds: this.#state.topicIds,
      progress: this.#progress,
      save: () => this.#checkpointer!.save(),
      settled: (signal) => this.#snapshot(signal),
      failed: (error) => broken.abort(error),
      reading,
      work,
    });
    const done = sinks.run();
    const over = new AbortController();
    const beside = rows.beside(AbortSignal.any([reading, over.signal]));
    const asking = watchRetention({
      log: deps.log,
      channels: () => this.#progress.pchannels,
      heard: (pchannel, retention) => this.#progress.retains(pchannel, retention),
    }, AbortSignal.any([reading, over.signal]));
    try {
      await Promise.race([failed.promise, done]);
      over.abort();
      await beside;
      if (!this.#stop.aborted) await rows.lastTries(reading);
    } catch (error) {
      // Nothing of this run may go on once its lease is given back.
      broken.abort(error);
      await Promise.all([sinks.ended(), beside]);
      // What was cut short by the lost lease says only that it was.
      lost.signal.throwIfAborted();
      throw error;
    } finally {
      over.abort();
      await asking;
      await archives.close();
    }
    const result = {
      upTo: deps.steps === undefined ? end.ts ?? 0n : rows.leastCut,
      blocked: [...new Map([...this.#blocked.values()].map((one) => [one.collection, one])).values()],
      refused: this.#refused,
      held: archives.held,
      basesFailed: [...this.#state.sinks].flatMap(([sink, { bases }]) =>
        bases === undefined || bases.error === "" ? [] : [{ sink, reason: bases.error }]
      ),
      refusedRows: rows.refusedRows,
    };
    if (!this.#stop.aborted) deps.crash("before_done");
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
    let wait: OpenWait | undefined;
    const onStop = () => {
      const reason = `Stopped: what was read is written first, for ${DRAIN_MS / 1000} s at most`;
      wait = this.#deps.waits.begin({ component: "run" }, reason);
      timer = setTimeout(() => broken.abort(this.#stop.reason), this.#progress.phase === "tail" ? DRAIN_MS : 1000);
    };
    if (this.#stop.aborted) onStop();
    else this.#stop.addEventListener("abort", onStop, { once: true });
    return {
      [Symbol.dispose]: () => {
        this.#stop.removeEventListener("abort", onStop);
        clearTimeout(timer);
        wait?.[Symbol.dispose]();
      },
    };
  }

  #noteRestore(): void {
    const { restore, end } = this.#options;
    if (restore !== undefined) this.#state.restore = { asked: restore, ts: end.kind === "until" ? end.ts : 0n };
  }

  /**
   * Waits until no drop or truncation is half sent. Row sinks postpone what an import keeps from beginning, and nothing else;
   * a backup has one base of all its collections, and a run up to a moment must not begin behind it: these wait until no
   * import is half visible.
   */
  async #snapshot(signal: AbortSignal): Promise<Snapshot> {
    const deps = this.#deps;
    const together = deps.archives.length > 0 || this.#options.end.kind === "until";
    const settledBy = deps.now() + SETTLE_MS;
    let wait: OpenWait | undefined;
    try {
      for (;;) {
        const snapshot = await deps.waits.during(
          { component: "run" },
          "Reads the source's metadata",
          () => deps.meta.snapshot(signal),
        );
        const selected = selectedOf(deps, snapshot.catalog);
        const [first, ...more] = together ? importGate(snapshot, selected) : [];
        const unsettled = unsettledOf(deps, snapshot);
        if (first === undefined && (unsettled === undefined || deps.now() >= settledBy)) return snapshot;
        const reason = first === undefined
          ? untilSettled(unsettled!)
          : `The run waits for ${more.length + 1} ${
            plural(more.length + 1, "import")
          } before it can begin: ${first.detail}`;
        if (wait === undefined) wait = deps.waits.begin({ component: "sources.meta" }, reason);
        else wait.say(reason);
        deps.report.warn(first === undefined ? "unsettled" : "imports", reason);
        await pause(first === undefined ? 500 : 1000, signal);
      }
    } finally {
      wait?.[Symbol.dispose]();
    }
  }

  #rows(snapshot: Snapshot, work: AbortSignal): RowSinks {
    return new RowSinks({
      deps: this.#deps,
      state: this.#state,
      progress: this.#progress,
      refused: this.#refused,
      save: () => this.#checkpointer!.save(),
      changed: () => this.#checkpointer!.touch(),
      blocked: (name, error) => this.#hold("", name, error),
      work,
    }, snapshot);
  }

  async #end(rows: RowSinks, snapshot: Snapshot, clock: SourceClock, signal: AbortSignal): Promise<RunEnd> {
    const { end } = this.#options;
    if (this.#deps.steps !== undefined) return endOfSteps(end, this.#deps);
    switch (end.kind) {
      case "follow":
        return endless();
      case "base":
        return endAtBase();
      case "until": {
        const { reached } = rows;
        if (end.ts < reached) {
          throw new TidemarkError(
            "usage",
            `The copy cannot end at ${isoOfHybrid(end.ts)}: it has reached ${isoOfHybrid(reached)} already`,
            { hint: "Choose a later time, or begin anew with a state of its own." },
          );
        }
        const exact = firstExactTs(snapshot, usableOf(this.#deps, snapshot));
        if (end.ts < exact && reached === 0n && rows.size > 0) {
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
        return endAt(end.ts, () => clock.passed(end.ts, signal));
      }
      case "once": {
        // Backups without a log end with their bases.
        if (this.#deps.sinks.length === 0 && !this.#deps.archives.some(({ logArchive }) => logArchive)) {
          return endAtBase();
        }
        const latest = new Map<string, bigint>();
        await Promise.all([...tickingPchannels(this.#deps, rows, snapshot)].map(async (pchannel) => {
          latest.set(pchannel, (await this.#deps.log.bounds(pchannel, signal)).latest);
        }));
        return endAfter(latest);
      }
    }
  }

  #hold(archive: string, collection: string, error: TidemarkError): void {
    this.#blocked.set(`${archive} ${collection}`, { collection, reason: error.message });
    this.#deps.report.blocked(collection, error);
  }
}
