/** Asks the queue now and then how long it keeps its records. Nothing waits for the answers, and none is a failure. */
import type { LogRetention, LogSource } from "../../model/mod.ts";
import { rest } from "../../pause.ts";

export interface RetentionWatchOptions {
  readonly log: Pick<LogSource, "retention">;
  /** The pchannels that are read now. */
  readonly channels: () => Iterable<string>;
  readonly heard: (pchannel: string, retention: LogRetention) => void;
  readonly everyMs?: number;
}

const EVERY_MS = 5 * 60_000;
/** A channel that has come since is not asked for much later than it came. */
const LOOK_MS = 1000;

/** Until the signal fires. One channel after the other: a queue has better things to do. */
export async function watchRetention(options: RetentionWatchOptions, signal: AbortSignal): Promise<void> {
  const { log, channels, heard, everyMs = EVERY_MS } = options;
  if (log.retention === undefined) return;
  const askedAt = new Map<string, number>();
  while (!signal.aborted) {
    for (const pchannel of [...channels()]) {
      if (signal.aborted) return;
      if (performance.now() - (askedAt.get(pchannel) ?? -Infinity) < everyMs) continue;
      try {
        heard(pchannel, await log.retention(pchannel, signal));
      } catch (error) {
        if (signal.aborted) return;
        heard(pchannel, { ms: undefined, why: `Not known: ${(error as Error).message}` });
      }
      askedAt.set(pchannel, performance.now());
    }
    await rest(Math.min(LOOK_MS, everyMs), signal);
  }
}
