/** A whole run over fakes: from a {@link FakeSource} to any number of targets and backups in memory. */
import { toTidemarkError } from "../../pipeline/errors.ts";
import { Waits } from "../../pipeline/waits.ts";
import {
  DEFAULT_LIMITS,
  noCrashPoints,
  parseRunState,
  planRun,
  replayDeadLetters,
  type ReplayReport,
  type RunOptions,
  startRun,
  type VerifyReport,
  verifyRun,
} from "../../pipeline/flow/mod.ts";
import type { FlowDependencies, FlowLimits, Plan, RunHandle, RunResult, SinkState } from "../../pipeline/flow/mod.ts";
import type { ArchiveSink, DeadLetters, ObjectStore, RowSink, StateStore } from "../../pipeline/model/mod.ts";
import { makeDdlRules } from "../../pipeline/transforms/mod.ts";
import { backupSinkSpec, createBackupSink } from "../../sinks/backup/mod.ts";
import { eventually } from "../stack/eventually.ts";

/** What a {@link FakeSource} is to a run. */
export interface PipelineSource extends Pick<FlowDependencies, "meta" | "log" | "follow" | "binlogs"> {
  readonly describe: FlowDependencies["describeRecord"];
  /** Ticks go on until it is disposed, where the source has ticks of its own accord. */
  ticking?(): Disposable;
}

export interface FakePipelineOptions {
  readonly rows?: readonly RowSink[];
  /** Backup sink -> where it writes. */
  readonly vaults?: Readonly<Record<string, ObjectStore>>;
  readonly backup?: Record<string, unknown>;
  readonly limits?: Partial<FlowLimits>;
  readonly onPositionLost?: "fail" | "resnapshot";
}

/** What outlives a run: its state and the sinks. */
export class FakePipeline {
  readonly #source: PipelineSource;
  readonly #options: FakePipelineOptions;
  #state: string | undefined;
  /** Of all its runs. */
  readonly waits = new Waits();
  readonly warnings: string[] = [];
  /** Components that a test changes for the next run. */
  override: Partial<FlowDependencies> = {};
  /** Called before and after the state is written. */
  saving: () => void = () => {};

  constructor(source: PipelineSource, options: FakePipelineOptions) {
    this.#source = source;
    this.#options = options;
  }

  /** What the last run saved of a sink. */
  saved(sink: string): SinkState | undefined {
    return this.#state === undefined ? undefined : parseRunState(this.#state, "memory").sinks.get(sink);
  }

  start(end: RunOptions["end"] = { kind: "follow" }, more: Omit<RunOptions, "end"> = {}): FakeRun {
    const dead = new AbortController();
    return new FakeRun(this.#dependencies(dead.signal), { end, ...more }, dead);
  }

  async once(): Promise<RunResult> {
    using _ticking = this.#source.ticking?.();
    return await this.start({ kind: "once" }).result;
  }

  plan(): Promise<Plan> {
    const never = new AbortController().signal;
    return planRun(this.#dependencies(never), never);
  }

  verify(names = 10, { repair = false, countsOnly = false } = {}): Promise<VerifyReport> {
    const never = new AbortController().signal;
    const options = { countsOnly, names, waitMs: 0, keyValues: Infinity, repair };
    return verifyRun(this.#dependencies(never), options, never);
  }

  replay(letters: DeadLetters, files: readonly string[]): Promise<ReplayReport> {
    const never = new AbortController().signal;
    return replayDeadLetters(this.#dependencies(never), letters, files, never);
  }

  #dependencies(dead: AbortSignal): FlowDependencies {
    const source = this.#source;
    const { now = Date.now } = this.override;
    const { rows = [], vaults = {}, limits = {}, onPositionLost = "fail" } = this.#options;
    return {
      pipeline: "test",
      meta: source.meta,
      log: source.log,
      follow: source.follow,
      binlogs: source.binlogs,
      baseDeletes: "files",
      sinks: rows.map((sink) => ({ sink, onExisting: "merge" })),
      archives: Object.entries(vaults).map(([name, store]) => this.#archive(name, store, now)),
      describeRecord: source.describe,
      state: this.#store(dead),
      selects: () => true,
      selectsDatabase: () => true,
      selection: { include: ["*.*"], exclude: [], allowEmpty: true, source: "the source" },
      route: (db, name) => ({ db, name }),
      routeDatabase: (db) => db,
      ddl: makeDdlRules({ policy: "evolve", include: undefined, exclude: [] }),
      badRows: { policy: "hold" },
      aliases: "keep_foreign",
      rbac: false,
      onPositionLost,
      limits: { ...DEFAULT_LIMITS, checkpointIntervalMs: 5, ...limits },
      report: {
        warn: (_key, message) => void this.warnings.push(message),
        info: () => {},
        ddl: () => {},
        blocked: (collection, error) => void this.warnings.push(`${collection}: ${error.message}`),
      },
      waits: this.waits,
      crash: noCrashPoints,
      now,
      ...this.override,
    };
  }

  #archive(name: string, store: ObjectStore, now: () => number): ArchiveSink {
    const { type: _type, storage: _storage, ...config } = backupSinkSpec.parse({
      type: "backup",
      name: "b",
      storage: { type: "file", path: "/" },
      roll: { age: "100ms" },
      ...this.#options.backup,
    });
    const { queue } = this.#source.log;
    return createBackupSink(config, { name, store, pipeline: "test", program: "test", queue, now });
  }

  #store(dead: AbortSignal): StateStore {
    const lost = new AbortController();
    return {
      location: "memory",
      lock: () => Promise.resolve({ lost: lost.signal, [Symbol.asyncDispose]: () => Promise.resolve() }),
      read: () => Promise.resolve(this.#state),
      // Whoever has died does nothing behind what it did not save.
      write: async (text) => {
        await Promise.resolve();
        if (!dead.aborted) this.saving();
        dead.throwIfAborted();
        this.#state = text;
        this.saving();
        dead.throwIfAborted();
      },
      remove: () => {
        if (!dead.aborted) this.#state = undefined;
        return Promise.resolve();
      },
      close: () => Promise.resolve(),
    };
  }
}

export class FakeRun {
  readonly #stop = new AbortController();
  readonly #kill = new AbortController();
  readonly #dead: AbortController;
  readonly #handle: RunHandle;
  readonly result: RunHandle["result"];

  /** After `dead` nothing of it is saved any more. */
  constructor(deps: FlowDependencies, options: RunOptions, dead: AbortController) {
    this.#dead = dead;
    this.#handle = startRun(deps, options, this.#stop.signal, this.#kill.signal);
    this.result = this.#handle.result;
    this.result.catch(() => {});
  }

  status() {
    return this.#handle.status();
  }

  /** As SIGTERM does. */
  stop(): Promise<void> {
    return this.#end(this.#stop);
  }

  /** As SIGKILL does: what was not saved is forgotten. */
  kill(): Promise<void> {
    this.#dead.abort();
    return this.#end(this.#kill);
  }

  async #end(controller: AbortController): Promise<void> {
    controller.abort(new DOMException("stopped by the test", "AbortError"));
    try {
      await this.result;
    } catch (error) {
      if (toTidemarkError(error).code !== "aborted") throw error;
    }
  }
}

/** Polls until `test` holds. */
export async function until(what: string, test: () => boolean): Promise<void> {
  await eventually(what, test, { everyMs: 1 });
}
