/** The archive sinks of a run, each as it is now: one that was held gets a new life when it is opened again. */
import type { TidemarkError } from "../../errors.ts";
import type { ArchiveSink } from "../../model/mod.ts";
import { ArchiveLeg, ArchiveRun } from "../archive/mod.ts";
import type { Slots } from "../base/mod.ts";
import type { FlowDependencies, RunResult } from "../dependencies.ts";
import { newSinkState, type RunProgress, type RunState } from "../state/mod.ts";

/** A run that ends waits no longer for a storage that has left its requests without an answer. */
const CLOSE_MS = 5_000;

export interface RunArchivesOptions {
  readonly deps: FlowDependencies;
  readonly state: Pick<RunState, "sinks" | "topicIds">;
  readonly progress: RunProgress;
  readonly slots: Slots;
  readonly save: () => Promise<void>;
  readonly changed: () => void;
  readonly blocked: (sink: string, collection: string, error: TidemarkError) => void;
  readonly mended: (sink: string, collection: string) => void;
  readonly work: AbortSignal;
}

export class RunArchives {
  readonly #o: RunArchivesOptions;
  readonly #now: ArchiveRun[];

  constructor(options: RunArchivesOptions) {
    this.#o = options;
    this.#now = options.deps.archives.map((sink) => this.#begin(sink, options.state.topicIds));
  }

  get all(): readonly ArchiveRun[] {
    return this.#now;
  }

  /** Those that keep the log, and are not held. */
  get keepers(): readonly ArchiveRun[] {
    return this.#now.filter(({ keepsLog, held }) => keepsLog && held === undefined);
  }

  get held(): RunResult["held"] {
    return this.#now.flatMap(({ name, held }) => held === undefined ? [] : [{ sink: name, reason: held.message }]);
  }

  /**
   * In the place of one that was held, with what the state says of it: as at the start of a run. `topicIds`: its own, since
   * it reads other parts of the log than the other sinks.
   */
  async renew(held: ArchiveRun, topicIds: Map<string, string>): Promise<ArchiveRun> {
    await held.close();
    const at = this.#now.indexOf(held);
    return this.#now[at] = this.#begin(this.#o.deps.archives[at]!, topicIds);
  }

  async close(): Promise<void> {
    await Promise.all(this.#now.map((archive) => archive.close(CLOSE_MS)));
  }

  #begin(sink: ArchiveSink, topicIds: Map<string, string>): ArchiveRun {
    const { deps, state: { sinks }, progress, slots, save, changed, work } = this.#o;
    let state = sinks.get(sink.name);
    if (state === undefined) sinks.set(sink.name, state = newSinkState());
    const leg = new ArchiveLeg({
      deps,
      sink,
      state,
      progress,
      slots,
      topicIds,
      save,
      blocked: (name, error) => this.#o.blocked(sink.name, name, error),
      mended: (name) => this.#o.mended(sink.name, name),
    });
    const phase = (name: "base" | "tail") => {
      if (deps.sinks.length === 0) progress.phase = name;
    };
    const others = () => deps.sinks.length > 0 || this.#now.some(({ name, held }) => name !== sink.name && !held);
    return new ArchiveRun({ deps, sink, leg, progress, phase, checkpoint: save, changed, others, work });
  }
}
