/**
 * Where a run ends. `once` and `until` end at one moment T that is the same on every pchannel: each stream is passed on
 * up to its first tick >= T, less the events later than T.
 */
import type { HybridTs, TickGroup } from "../../model/mod.ts";

export interface RunEnd {
  /** The same for every reading of a stream: a sink that comes later reads it again. The part of `group` that is still to be applied, and whether the stream ends with it. */
  admit(group: TickGroup): Promise<{ group: TickGroup; last: boolean }>;
  /** Nobody reads that stream after all, or it has no tick behind `last` and never will. */
  leave(pchannel: string, last?: HybridTs): void;
  /** T, once it is known. */
  readonly ts: HybridTs | undefined;
}

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

/** Exactly up to `ts`. */
export function endAt(ts: HybridTs): RunEnd {
  return { ts, leave: () => {}, admit: (group) => Promise.resolve(clip(group, ts)) };
}

/** Each pchannel up to a moment of its own; others are not read. */
export function endEach(ends: ReadonlyMap<string, HybridTs>): RunEnd {
  return {
    ts: undefined,
    leave: () => {},
    admit: (group) => Promise.resolve(clip(group, ends.get(group.pchannel) ?? 0n)),
  };
}

/**
 * Everything that was in the log at `latest` (pchannel -> offset of the next record). The streams agree on T: the largest
 * of the first ticks at or behind those offsets. A stream that is there early waits for the others.
 */
export function endAfter(latest: ReadonlyMap<string, bigint>): RunEnd {
  const missing = new Set(latest.keys());
  const agreed = Promise.withResolvers<HybridTs>();
  let ts: HybridTs | undefined;
  let largest = 0n;
  const reached = (pchannel: string): void => {
    if (missing.delete(pchannel) && missing.size === 0) agreed.resolve(ts = largest);
  };
  if (missing.size === 0) agreed.resolve(ts = largest);
  return {
    leave(pchannel, last = 0n) {
      if (missing.has(pchannel) && last > largest) largest = last;
      reached(pchannel);
    },
    get ts() {
      return ts;
    },
    async admit(group) {
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

function clip(group: TickGroup, ts: HybridTs): { group: TickGroup; last: boolean } {
  if (group.tick < ts) return { group, last: false };
  if (group.tick === ts) return { group, last: true };
  const events = group.events.filter((event) => event.ts <= ts);
  // What is left out must be read again by the next run.
  let offset = group.resume.offset;
  for (const event of group.events) if (event.ts > ts && event.offset < offset) offset = event.offset;
  return { last: true, group: { ...group, tick: ts, events, resume: { offset, tick: ts } } };
}
