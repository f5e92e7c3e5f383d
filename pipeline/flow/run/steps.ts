/** The tail of a run without a log: step after step, each of one snapshot. */
import { TidemarkError } from "../../errors.ts";
import { type HybridTs, isoOfHybrid, type Snapshot } from "../../model/mod.ts";
import type { Slots } from "../base/mod.ts";
import type { FlowDependencies, RunOptions } from "../dependencies.ts";
import { pause } from "../../pause.ts";
import type { RowSinks } from "../rows/mod.ts";
import { selectedOf } from "../selection.ts";
import type { OpenWait } from "../../waits.ts";
import { CatalogWatch, endAtBase, endless, type RunEnd, type SourceClock } from "../tail/mod.ts";

export interface RunStepsOptions {
  readonly deps: FlowDependencies;
  readonly rows: RowSinks;
  /** Of the run's beginning: the first step is made of it where it has no other. */
  readonly snapshot: Snapshot;
  readonly slots: Slots;
  /** `follow`: until the signal fires; `until`: until every cut is at that moment or later; otherwise one step. */
  readonly end: RunOptions["end"];
  /** Says whether that moment has passed where there is no cut to ask. */
  readonly clock: Pick<SourceClock, "passed">;
  readonly save: () => Promise<void>;
  readonly reading: AbortSignal;
}

/** A catalog that changes all the time is not looked at more often. */
const LEAST_MS = 1000;

/** Resolves after the last step, or when the signal fires: what a step left undone the next run's first does again. */
export async function runSteps(options: RunStepsOptions): Promise<void> {
  const { deps: { meta, steps }, snapshot, end, reading } = options;
  using moment = end.kind === "until" ? new Moment(options, end.ts) : undefined;
  // It may be there already, by a base or by the run before.
  if (await moment?.reached() === true) return;
  let wake = Promise.withResolvers<void>();
  const over = new AbortController();
  const signal = AbortSignal.any([reading, over.signal]);
  const watch = new CatalogWatch({ meta, snapshot, follow: () => wake.resolve(), signal });
  const watching = end.kind === "follow" || moment !== undefined ? watch.run() : Promise.resolve();
  const broken = watching.then(() => new Promise<never>(() => {}));
  broken.catch(() => {});
  try {
    let flushedAt = -Infinity;
    for (;;) {
      flushedAt = await flush(options, flushedAt);
      wake = Promise.withResolvers();
      await Promise.race([stepOnce(options), broken]);
      if (moment === undefined ? end.kind !== "follow" : await moment.reached()) return;
      const { pollMs } = steps!;
      await pause(Math.min(LEAST_MS, pollMs), signal);
      const rest = new AbortController();
      const waiting = pause(Math.max(0, pollMs - LEAST_MS), AbortSignal.any([signal, rest.signal]));
      try {
        await Promise.race([waiting, wake.promise, broken]);
      } finally {
        rest.abort();
        await waiting.catch(() => {});
      }
    }
  } catch (error) {
    if (!reading.aborted) throw error;
  } finally {
    over.abort();
    await watching.catch(() => {});
  }
}

async function stepOnce({ deps, rows, slots, save, reading }: RunStepsOptions): Promise<void> {
  const snapshot = await deps.meta.snapshot(reading);
  await rows.step(snapshot, slots, reading);
  deps.crash("between_ack_and_checkpoint");
  await save();
}

/** What the source still holds back of the selected collections is in files when this resolves. Returns when it was asked last. */
async function flush({ deps, rows, snapshot, reading }: RunStepsOptions, before: number): Promise<number> {
  const asked = deps.steps?.flush;
  const now = deps.now();
  if (asked === undefined || rows.size === 0 || now - before < asked.everyMs) return before;
  const { catalog } = before === -Infinity ? snapshot : await deps.meta.snapshot(reading);
  try {
    await asked.flush(selectedOf(deps, catalog).map(({ dbName: db, name }) => ({ db, name })), reading);
  } catch (error) {
    if (reading.aborted) throw error;
    const { message } = error as Error;
    deps.report.warn("flush", `The source was asked to flush and did not: ${message}; its own flushes are waited for`);
  }
  return now;
}

/** A moment that all cuts are to come to: each ends the wait with the first of its channel that is there or later. */
class Moment implements Disposable {
  readonly #o: RunStepsOptions;
  readonly #ts: HybridTs;
  #wait: OpenWait | undefined;

  constructor(options: RunStepsOptions, ts: HybridTs) {
    this.#o = options;
    this.#ts = ts;
  }

  /** While it is not reached the wait is shown, with the channel that is the last. */
  async reached(): Promise<boolean> {
    const { deps, rows, clock, reading } = this.#o;
    const oldest = rows.oldestCut;
    if (oldest === undefined ? await clock.passed(this.#ts, reading) : oldest.ts >= this.#ts) return true;
    const wanted = isoOfHybrid(this.#ts);
    const reason = oldest === undefined
      ? `Waits until the source's clock has passed ${wanted}`
      : `Waits until the source's checkpoint of ${oldest.vchannel}, which is at ${
        isoOfHybrid(oldest.ts)
      }, has come to ${wanted}: by its flushes, or never where it is stopped`;
    if (this.#wait === undefined) this.#wait = deps.waits.begin({ component: "sources.meta" }, reason);
    else this.#wait.say(reason);
    deps.report.warn("until", reason);
    return false;
  }

  [Symbol.dispose](): void {
    this.#wait?.[Symbol.dispose]();
  }
}

/** Without a log there is no moment to end at but the source's own cuts, for which the steps look themselves. */
export function endOfSteps({ kind }: RunOptions["end"], deps: Pick<FlowDependencies, "sinks">): RunEnd {
  if (kind === "until" && deps.sinks.length === 0) {
    throw new TidemarkError("usage", "A backup without a log cannot be made up to a time: its base is of now", {
      hint: "Use --once, which ends with a base at the newest checkpoints of the source's metadata.",
    });
  }
  return kind === "follow" ? endless() : endAtBase();
}
