/**
 * Where a run ends. `once` and `until` end at one moment T that is the same on every pchannel: each stream is passed on
 * up to its first tick >= T, less the events later than T. A pchannel on which nothing is written has no such tick: its stream
 * ends where its log does, once nothing of before T can follow any more.
 */
import type { HybridTs, LogEnd, Position, TickGroup } from "../../model/mod.ts";

/** The part of a group that is still to be applied, and whether the stream ends with it. */
export interface Admitted {
  readonly group: TickGroup;
  readonly last: boolean;
}

export interface RunEnd {
  /** The same for every reading of a stream: a sink that comes later reads it again. */
  admit(group: TickGroup): Promise<Admitted>;
  /** Nobody reads that stream after all, or it has no tick behind `last` and never will. */
  leave(pchannel: string, last?: HybridTs): void;
  /** T, once it is known. */
  readonly ts: HybridTs | undefined;
  /** pchannels that have not reached what decides about T; those that have wait for them. */
  readonly open?: ReadonlySet<string>;
}

/** Monotonic ms. */
export type Clock = () => number;

/** What the source has stamped is in its log after so long, if it is written at all. */
const WRITTEN_MS = 1000;
/** A log that has ended for so long before what was written was confirmed has no writer any more. */
const ABANDONED_MS = 10_000;

/** Follows for ever. */
export function endless(): RunEnd {
  return { ts: undefined, leave: () => {}, admit: (group) => Promise.resolve({ group, last: false }) };
}

/** Before the log: a run of the base alone reads none of it. */
export function endAtBase(): RunEnd {
  return {
    ts: undefined,
    leave: () => {},
    admit: (group) => Promise.resolve({ group: { ...group, events: [] }, last: true }),
  };
}

/**
 * Exactly up to `ts`. `passed` says whether the source's clock has passed it: then what comes is later. Without it only ticks
 * count, and logs that say themselves that they are complete.
 */
export function endAt(
  ts: HybridTs,
  passed: () => Promise<boolean> = () => Promise.resolve(false),
  now?: Clock,
): RunEnd {
  const silence = new Silence(now);
  return {
    ts,
    leave: () => {},
    async admit(group) {
      const { end } = group;
      if (end === undefined) return clip(group, ts);
      const last = end.complete !== undefined
        ? end.complete >= ts && isConfirmed(end, ts)
        : isOver(end, ts) && await passed() && silence.lasts(group.pchannel);
      return { group, last: last || group.tick >= ts };
    },
  };
}

/** Each pchannel up to a moment of its own, which its ticks reach; others are not read. */
export function endEach(ends: ReadonlyMap<string, HybridTs>): RunEnd {
  return {
    ts: undefined,
    leave: () => {},
    admit: (group) => {
      const ts = ends.get(group.pchannel) ?? 0n;
      return Promise.resolve(group.end === undefined ? clip(group, ts) : { group, last: group.tick >= ts });
    },
  };
}

/**
 * Everything that was in the log at `latest` (pchannel -> offset of the next record). The streams agree on T: the largest
 * of the first ticks at or behind those offsets, or of the last ones where the log ends there. A stream that is there early
 * waits for the others.
 */
export function endAfter(latest: ReadonlyMap<string, Position>, now?: Clock): RunEnd {
  const missing = new Set(latest.keys());
  const agreed = Promise.withResolvers<HybridTs>();
  const silence = new Silence(now);
  let ts: HybridTs | undefined;
  let largest = 0n;
  const reached = (pchannel: string): void => {
    if (missing.delete(pchannel) && missing.size === 0) agreed.resolve(ts = largest);
  };
  if (missing.size === 0) agreed.resolve(ts = largest);
  const standing = (group: TickGroup, end: LogEnd): Admitted => {
    const { pchannel, tick } = group;
    if (missing.has(pchannel)) {
      if (end.offset < latest.get(pchannel)! || !isOver(end)) return { group, last: false };
      if (tick > largest) largest = tick;
      reached(pchannel);
    }
    // Behind T the others may have seen what this one has not been told yet: it looks once more.
    if (ts === undefined || !isOver(end, ts)) return { group, last: false };
    return { group, last: tick >= ts || silence.lasts(pchannel) };
  };
  return {
    open: missing,
    leave(pchannel, last = 0n) {
      if (missing.has(pchannel) && last > largest) largest = last;
      reached(pchannel);
    },
    get ts() {
      return ts;
    },
    async admit(group) {
      if (group.end !== undefined) return standing(group, group.end);
      const end = latest.get(group.pchannel);
      // Without `end` nobody counted on this stream: it ends where the others do.
      if (end !== undefined && missing.has(group.pchannel)) {
        if (group.resume.offset < end) return { group, last: false };
        if (group.tick > largest) largest = group.tick;
        reached(group.pchannel);
      }
      // T can only be later: what is read once more, for a sink that came behind, does not wait for the other streams.
      if (ts === undefined && group.tick < largest) return { group, last: false };
      return clip(group, await agreed.promise);
    },
  };
}

/** Nothing of up to `ts` (default: nothing at all) waits for a tick. */
function isConfirmed({ waiting }: LogEnd, ts?: HybridTs): boolean {
  return waiting === undefined || (ts !== undefined && waiting > ts);
}

/** The same, or nobody will ever confirm it. */
function isOver(end: LogEnd, ts?: HybridTs): boolean {
  return isConfirmed(end, ts) || end.sinceMs >= ABANDONED_MS;
}

/** Which pchannels were found at their ends, and still are after the time that a write may take. */
class Silence {
  readonly #now: Clock;
  readonly #since = new Map<string, number>();

  constructor(now: Clock = () => performance.now()) {
    this.#now = now;
  }

  /** Asked again and again, from when on nothing of before the moment in question is stamped any more. */
  lasts(pchannel: string): boolean {
    const since = this.#since.get(pchannel);
    if (since === undefined) this.#since.set(pchannel, this.#now());
    return since !== undefined && this.#now() - since >= WRITTEN_MS;
  }
}

function clip(group: TickGroup, ts: HybridTs): Admitted {
  if (group.tick < ts) return { group, last: false };
  if (group.tick === ts) return { group, last: true };
  const events = group.events.filter((event) => event.ts <= ts);
  // What is left out must be read again by the next run.
  let offset = group.resume.offset;
  for (const event of group.events) if (event.ts > ts && event.offset < offset) offset = event.offset;
  return { last: true, group: { ...group, tick: ts, events, resume: { offset, tick: ts } } };
}
