/** Flushes the target's collections when clients of the source flush theirs. */
import { toTidemarkError } from "../../errors.ts";
import type { Collection } from "../../model/mod.ts";
import type { FlowDependencies, RequestedFlush, RowSinkSetup } from "../dependencies.ts";
import { pause } from "../../pause.ts";
import type { CollectionState, SinkState } from "../state/mod.ts";
import type { Targets } from "./targets.ts";

interface Leg {
  readonly setup: RowSinkSetup;
  readonly state: SinkState;
  readonly targets: Targets;
}

const POLL_MS = 100;

/** Until the signal fires. What goes wrong is reported and ends the following: rows do not depend on it. */
export async function followFlushes(
  deps: FlowDependencies,
  legs: readonly Leg[],
  signal: AbortSignal,
): Promise<void> {
  if (deps.flushes === undefined || !deps.ddl.allows("flush")) return;
  /** Collections of which a flush is under way or waits for its rows, each with the newest that was asked for. */
  const wanted = new Map<string, RequestedFlush>();
  const underWay = new Set<Promise<void>>();
  try {
    const pchannel = await anyPchannel(legs, signal);
    for await (const request of deps.flushes(pchannel, signal)) {
      for (const name of request.collections) {
        const key = `${request.db}.${name}`;
        const busy = wanted.has(key);
        wanted.set(key, request);
        if (busy) continue;
        const flushing = flushNewest(legs, wanted, key, name, signal)
          .catch((error) => report(deps, error, signal))
          .finally(() => {
            wanted.delete(key);
            underWay.delete(flushing);
          });
        underWay.add(flushing);
      }
    }
  } catch (error) {
    report(deps, error, signal);
  }
  await Promise.all(underWay);
}

/** Once for all that was asked for while it waited. */
async function flushNewest(
  legs: readonly Leg[],
  wanted: ReadonlyMap<string, RequestedFlush>,
  key: string,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const request = wanted.get(key)!;
    await Promise.all(legs.map((leg) => flush(leg, name, request, signal)));
    if (wanted.get(key) === request) return;
  }
}

/** Every cluster has its own topics; which is the source's shows with its first collection. */
async function anyPchannel(legs: readonly Leg[], signal: AbortSignal): Promise<string> {
  for (;;) {
    for (const { targets } of legs) {
      const found = targets.catalog.collections.find((item) => item.pchannels.length > 0)?.pchannels[0];
      if (found !== undefined) return found;
    }
    await pause(1000, signal);
  }
}

function report(deps: FlowDependencies, error: unknown, signal: AbortSignal): void {
  if (!signal.aborted) deps.report.warn("flush", `A flush is not carried: ${toTidemarkError(error).message}`);
}

/** Once everything that the source had when it was asked is on the target. */
async function flush(leg: Leg, name: string, { db, ts }: RequestedFlush, signal: AbortSignal): Promise<void> {
  const { setup, state, targets } = leg;
  const collection = targets.catalog.collections.find((item) =>
    item.dbName === db && (item.name === name || item.aliases.includes(name))
  );
  if (collection === undefined) return;
  for (;;) {
    const own = state.collections.get(collection.id);
    if (own === undefined || !carried(own)) return;
    if (reached(state, collection, ts)) return await setup.sink.flush([own.target], signal);
    await pause(POLL_MS, signal);
  }
}

function carried(own: CollectionState): boolean {
  return own.phase !== "dropped" && own.blocked === undefined;
}

function reached(state: SinkState, collection: Collection, ts: bigint): boolean {
  return collection.pchannels.every((pchannel) => (state.positions.get(pchannel)?.tick ?? 0n) >= ts);
}
