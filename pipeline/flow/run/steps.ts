/** The tail of a run without a log: step after step, each of one snapshot. */
import { TidemarkError } from "../../errors.ts";
import { isoOfHybrid, type Snapshot } from "../../model/mod.ts";
import type { Slots } from "../base/mod.ts";
import type { FlowDependencies, RunOptions } from "../dependencies.ts";
import { pause } from "../../pause.ts";
import type { RowSinks } from "../rows/mod.ts";
import { selectedOf } from "../selection.ts";
import { CatalogWatch, endAtBase, endless as forEver, type RunEnd } from "../tail/mod.ts";

export interface RunStepsOptions {
  readonly deps: FlowDependencies;
  readonly rows: RowSinks;
  /** Of the run's beginning: the first step is made of it where it has no other. */
  readonly snapshot: Snapshot;
  readonly slots: Slots;
  /** Until the signal fires; otherwise one step. */
  readonly endless: boolean;
  readonly save: () => Promise<void>;
  readonly reading: AbortSignal;
}

/** A catalog that changes all the time is not looked at more often. */
const LEAST_MS = 1000;

/** Resolves after the last step, or when the signal fires: what a step left undone the next run's first does again. */
export async function runSteps(options: RunStepsOptions): Promise<void> {
  const { deps: { meta, steps }, snapshot, endless, reading } = options;
  let wake = Promise.withResolvers<void>();
  const over = new AbortController();
  const signal = AbortSignal.any([reading, over.signal]);
  const watch = new CatalogWatch({ meta, snapshot, follow: () => wake.resolve(), signal });
  const watching = endless ? watch.run() : Promise.resolve();
  const broken = watching.then(() => new Promise<never>(() => {}));
  broken.catch(() => {});
  try {
    let flushedAt = -Infinity;
    for (;;) {
      flushedAt = await flush(options, flushedAt);
      wake = Promise.withResolvers();
      await Promise.race([stepOnce(options), broken]);
      if (!endless) return;
      const { pollMs } = steps!;
      await pause(Math.min(LEAST_MS, pollMs), signal);
      const rest = new AbortController();
      const waiting = pause(pollMs - LEAST_MS, AbortSignal.any([signal, rest.signal]));
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

/** Without a log there is no moment to end at but the source's own cuts. */
export function endOfSteps(end: RunOptions["end"]): RunEnd {
  if (end.kind !== "until") return end.kind === "follow" ? forEver() : endAtBase();
  throw new TidemarkError(
    "usage",
    `A copy without a log cannot end at ${isoOfHybrid(end.ts)}: it goes from cut to cut`,
    {
      hint: "Use --once, which ends at the newest checkpoints of the source's metadata.",
    },
  );
}
