/**
 * Where the log ends as the queue says it, beside where a run is: what only counts records that were read does not see a
 * reader that stands still.
 */
import { rest } from "../pipeline/pause.ts";
import type { BehindStatus, LogSource, Position, RunStatus } from "../pipeline/model/mod.ts";
import { positionsOf } from "../pipeline/positions/mod.ts";

const EVERY_MS = 5_000;

export interface QueueEnds extends AsyncDisposable {
  /** The status with what the queue said last of each channel. */
  with(status: RunStatus): RunStatus;
}

export interface QueueEndsOptions {
  readonly log: () => Promise<Pick<LogSource, "bounds" | "queue">>;
  /** The pchannels of the run, as far as it knows them. */
  readonly channels: () => readonly string[];
  readonly now: () => Date;
  readonly everyMs?: number;
}

/** Asks at once and then again and again until it is disposed. A queue that does not answer is no news: the log says it. */
export function watchQueueEnds(options: QueueEndsOptions): QueueEnds {
  const known = new Map<string, { readonly latest: Position; readonly at: string }>();
  const over = new AbortController();
  let queue: LogSource["queue"] = "kafka";
  const round = async () => {
    const log = await options.log();
    queue = log.queue;
    await Promise.all(
      options.channels().map(async (channel) => {
        const { latest } = await log.bounds(channel, over.signal);
        known.set(channel, { latest, at: options.now().toISOString() });
      }),
    );
  };
  const loop = (async () => {
    while (!over.signal.aborted) {
      await round().catch(() => {});
      await rest(known.size === 0 ? 200 : options.everyMs ?? EVERY_MS, over.signal);
    }
  })();
  const behind = (channel: string, position: string): BehindStatus | undefined => {
    const end = known.get(channel);
    if (end === undefined) return undefined;
    const { format, parse, distance } = positionsOf(queue);
    const from = parse(position);
    const records = from === undefined ? undefined : end.latest <= from ? 0n : distance(from, end.latest);
    return {
      end: format(end.latest),
      records: records === undefined ? undefined : parseInt(records.toString(), 10),
      at: end.at,
    };
  };
  return {
    with: (status) => ({
      ...status,
      channels: status.channels.map((one) => ({ ...one, behind: behind(one.pchannel, one.position) })),
    }),
    [Symbol.asyncDispose]: async () => {
      over.abort();
      await loop;
    },
  };
}
