/**
 * Where the log ends as the queue says it, beside where a run is: what only counts records that were read does not see a
 * reader that stands still.
 */
import { rest } from "../pipeline/pause.ts";
import type { BehindStatus, LogMeasure, LogSource, Position, RunStatus } from "../pipeline/model/mod.ts";
import { positionsOf } from "../pipeline/positions/mod.ts";

const EVERY_MS = 5_000;
/** Between two questions how large the records of a channel are: what was written since counts with their mean size. */
const MEASURE_MS = 60_000;

export interface QueueEnds extends AsyncDisposable {
  /** The status with what the queue said last of each channel. */
  with(status: RunStatus): RunStatus;
}

export interface QueueEndsOptions {
  readonly log: () => Promise<Pick<LogSource, "bounds" | "queue" | "measure">>;
  /** The pchannels of the run, as far as it knows them. */
  readonly channels: () => readonly string[];
  readonly now: () => Date;
  readonly everyMs?: number;
  readonly measureMs?: number;
}

/** Asks at once and then again and again until it is disposed. A queue that does not answer is no news: the log says it. */
export function watchQueueEnds(options: QueueEndsOptions): QueueEnds {
  const known = new Map<string, { readonly latest: Position; readonly at: string }>();
  /** Channel -> from where the run would be read again, as it said last. */
  const places = new Map<string, Position>();
  const measures = new Map<string, { readonly measure: LogMeasure | undefined; readonly askedAt: number }>();
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
  /** One after the other: a queue has better things to do. What it does not say is left out, not said to be nothing. */
  const measureAll = async () => {
    const { measureMs = MEASURE_MS } = options;
    for (const channel of options.channels()) {
      const from = places.get(channel);
      if (from === undefined) continue;
      const before = measures.get(channel);
      if (before !== undefined && performance.now() - before.askedAt < measureMs) continue;
      const log = await options.log();
      const measure = await log.measure?.(channel, from, over.signal).catch(() => undefined);
      measures.set(channel, { measure, askedAt: performance.now() });
    }
  };
  const again = async (work: () => Promise<void>, everyMs: () => number) => {
    while (!over.signal.aborted) {
      await work().catch(() => {});
      await rest(everyMs(), over.signal);
    }
  };
  const { everyMs = EVERY_MS } = options;
  const loops = [
    again(round, () => known.size === 0 ? 200 : everyMs),
    // Its places come with the first status.
    again(measureAll, () => measures.size === 0 ? 200 : everyMs),
  ];
  const bytesBetween = (channel: string, from: Position, to: Position) => {
    if (to <= from) return measures.get(channel)?.measure === undefined ? undefined : 0;
    const bytes = measures.get(channel)?.measure?.bytes(from, to);
    return bytes === undefined ? undefined : parseInt(bytes.toString(), 10);
  };
  const behind = (channel: string, position: string): BehindStatus | undefined => {
    const end = known.get(channel);
    if (end === undefined) return undefined;
    const { format, parse, distance } = positionsOf(queue);
    const from = parse(position);
    if (from !== undefined) places.set(channel, from);
    const records = from === undefined ? undefined : end.latest <= from ? 0n : distance(from, end.latest);
    return {
      end: format(end.latest),
      records: records === undefined ? undefined : parseInt(records.toString(), 10),
      bytes: from === undefined ? undefined : bytesBetween(channel, from, end.latest),
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
      await Promise.all(loops);
    },
  };
}
