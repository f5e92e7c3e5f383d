/** The moment at which both sides are compared, and whether the copy has come to it. */
import type { Collection, HybridTs, Snapshot } from "../../model/mod.ts";
import { makeCuts } from "../../transforms/mod.ts";
import type { FlowDependencies } from "../dependencies.ts";
import { pause } from "../../pause.ts";
import { parseRunState, type RunState } from "../state/mod.ts";
import { readTail, type Tail } from "./log.ts";
import type { Views } from "./view.ts";

export interface Moment {
  /** Everything up to it is compared. */
  readonly ts: HybridTs;
  /** vchannel -> what its log does up to then. */
  readonly tails: ReadonlyMap<string, Tail>;
  /** How far the copy is, and how far it must be, place by place in an order that stays. */
  places(state: RunState): readonly { readonly at: HybridTs; readonly wanted: HybridTs }[];
  /** A copy of which nothing moves for so long is not being run, ms. */
  readonly standsStillMs: number;
}

const STANDS_STILL_MS = 3000;

/** The end of the log. */
export async function endOfLog(
  deps: FlowDependencies,
  snapshot: Snapshot,
  selected: readonly Collection[],
  views: ReadonlyMap<bigint, Views>,
  signal: AbortSignal,
): Promise<Moment> {
  const pchannels = [...new Set(selected.flatMap((collection) => collection.pchannels))];
  const tails = new Map<string, Tail>();
  const ticks = new Map<string, HybridTs>();
  let ts = 0n;
  for (const pchannel of pchannels) {
    const tail = await readTail(deps, snapshot, selected, { pchannel, views: ({ id }) => views.get(id) }, signal);
    if (tail.tick > ts) ts = tail.tick;
    for (const [vchannel, own] of tail.channels) {
      tails.set(vchannel, {
        tick: tail.tick,
        offset: tail.offset,
        events: own,
        predicate: tail.predicates.get(vchannel),
      });
      ticks.set(pchannel, tail.tick);
    }
  }
  return {
    ts,
    tails,
    standsStillMs: STANDS_STILL_MS,
    places: ({ sinks }) =>
      [...sinks.values()].flatMap(({ positions }) =>
        pchannels.map((name) => ({ at: positions.get(name)?.tick ?? 0n, wanted: ticks.get(name) ?? 0n }))
      ),
  };
}

/** The cuts of the snapshot: files say nothing beyond them. */
export function cutsOfFiles(
  { steps }: Pick<FlowDependencies, "steps">,
  snapshot: Snapshot,
  selected: readonly Collection[],
): Moment {
  const cuts = makeCuts(snapshot, selected);
  return {
    ts: cuts.reduce((min, { ts }) => min === 0n || ts < min ? ts : min, 0n),
    tails: new Map(
      cuts.map(({ vchannel, ts }) => [vchannel, { tick: ts, offset: 0n, events: [], predicate: undefined }]),
    ),
    standsStillMs: STANDS_STILL_MS + (steps?.pollMs ?? 0),
    places: ({ sinks }) =>
      [...sinks.values()].flatMap(({ collections, vchannels }) =>
        cuts.flatMap(({ collectionId, vchannel, ts: wanted }) => {
          const own = collections.get(collectionId);
          if (own?.phase !== "tail" || own.blocked !== undefined) return [];
          return [{ at: vchannels.get(vchannel)?.ts ?? 0n, wanted }];
        })
      ),
  };
}

/** Reads the state until the copy has reached the moment, or does not move any more. */
export async function reachedState(
  deps: FlowDependencies,
  moment: Moment,
  waitMs: number,
  signal: AbortSignal,
): Promise<{ readonly state: RunState; readonly reached: boolean }> {
  const end = deps.now() + waitMs;
  let before = "";
  let moved = deps.now();
  for (;;) {
    const state = parseRunState((await deps.state.read(signal))!, deps.state.location);
    const places = moment.places(state);
    if (places.every(({ at, wanted }) => at >= wanted)) return { state, reached: true };
    const now = places.map(({ at }) => at).join();
    if (now !== before) {
      before = now;
      moved = deps.now();
    }
    if (deps.now() >= end || deps.now() - moved >= moment.standsStillMs) return { state, reached: false };
    await pause(250, signal);
  }
}
