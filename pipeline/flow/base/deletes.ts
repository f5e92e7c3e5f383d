/**
 * The deletes that the base needs: from the log, back to the oldest row of the live segments, because the source's
 * metadata forgets delta logs; and from every delta file below the collection's folder, named or not, because the log
 * may not reach back so far. The union is safe: every delete in a delta file was in the log once.
 */
import type { Cut, DeleteMark, HybridTs, LogEvent } from "../../model/mod.ts";
import { TidemarkError, toTidemarkError } from "../../errors.ts";
import type { FlowDependencies } from "../dependencies.ts";

export interface DeleteDemand {
  readonly cut: Cut;
  /** Offset of the oldest record that can hold a row of a live segment; undefined: no live segments, nothing to delete. */
  readonly horizon: bigint | undefined;
  /** From where on the log is needed, where an older base knows the deletes before, in offsets of this topic. */
  readonly known?: { readonly offset: bigint; readonly topicId: string } | undefined;
}

export interface LogDeletes {
  readonly marks: ReadonlyMap<string, readonly DeleteMark[]>;
  /** vchannels whose horizon lies before the log's beginning: there the delta files must do. */
  readonly beyondLog: readonly string[];
  /** vchannels that were read from where an older base knows no more: its deletes are wanted, too. */
  readonly fromKnown: readonly string[];
  /** pchannel -> id of the topic that was read. */
  readonly topicIds: ReadonlyMap<string, string>;
  /** vchannel -> why its deletes are not all known: up to its cut the log holds a record that cannot be read. */
  readonly unreadable: ReadonlyMap<string, string>;
}

interface Found extends LogDeletes {
  readonly marks: Map<string, DeleteMark[]>;
  readonly beyondLog: string[];
  readonly fromKnown: string[];
  readonly topicIds: Map<string, string>;
  readonly unreadable: Map<string, string>;
}

/** pchannels searched at once. */
const PCHANNELS_AT_ONCE = 4;

/**
 * Reads the deletes with ts <= cut of the demanded vchannels, several pchannels at once. Inserts are most of a log and say
 * nothing here: they are passed over unread where the log can. Memory: the keys of these deletes.
 */
export async function readLogDeletes(
  deps: Pick<FlowDependencies, "follow" | "log" | "baseDeletes">,
  demands: readonly DeleteDemand[],
  signal: AbortSignal,
): Promise<LogDeletes> {
  const found: Found = { marks: new Map(), beyondLog: [], fromKnown: [], topicIds: new Map(), unreadable: new Map() };
  if (deps.baseDeletes === "files") {
    found.beyondLog.push(...demands.flatMap(({ cut, horizon }) => horizon === undefined ? [] : [cut.vchannel]));
    return found;
  }
  const queue = [...Map.groupBy(demands.filter(({ horizon }) => horizon !== undefined), ({ cut }) => cut.pchannel)];
  const failed = new AbortController();
  const reading = AbortSignal.any([signal, failed.signal]);
  const worker = async () => {
    try {
      for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
        await searchPchannel(deps, item[0], item[1], found, reading);
      }
    } catch (error) {
      // The others stop with the first that fails, whose error is the one that counts.
      failed.abort(error);
      throw error;
    }
  };
  const workers = Array.from({ length: Math.min(queue.length, PCHANNELS_AT_ONCE) }, worker);
  await Promise.allSettled(workers);
  signal.throwIfAborted();
  failed.signal.throwIfAborted();
  return found;
}

async function searchPchannel(
  deps: Pick<FlowDependencies, "follow" | "log">,
  pchannel: string,
  wanted: readonly DeleteDemand[],
  found: Found,
  signal: AbortSignal,
): Promise<void> {
  let bounds = await deps.log.bounds(pchannel, signal);
  const { topicId } = bounds;
  found.topicIds.set(pchannel, topicId);
  const starts = wanted.map(({ cut: { vchannel }, horizon, known }) => {
    const fromKnown = known !== undefined && known.topicId === topicId && known.offset > horizon!;
    if (fromKnown) found.fromKnown.push(vchannel);
    return { vchannel, offset: fromKnown ? known.offset : horizon! };
  });
  let from = starts.reduce((min, { offset }) => offset < min ? offset : min, starts[0]!.offset);
  const beyond = new Set<string>();
  for (;;) {
    for (const { vchannel, offset } of starts) if (offset < bounds.earliest) beyond.add(vchannel);
    if (from < bounds.earliest) from = bounds.earliest;
    try {
      if (from < bounds.latest) {
        await search(deps, pchannel, wanted, { offset: from, topicId, found }, signal);
      }
      break;
    } catch (error) {
      // Retention goes on while the log is searched, and takes first what is read first: then the delta files must do for the
      // vchannels whose horizon it has passed, as where it had passed before.
      if (toTidemarkError(error).code !== "position_lost") throw error;
      bounds = await deps.log.bounds(pchannel, signal);
      if (bounds.topicId !== topicId || bounds.earliest <= from) throw error;
    }
  }
  found.beyondLog.push(...beyond);
}

/** Adds to `found` what the log holds of deletes from `offset` on. Throws `position_lost` when the log loses what is still to be read. */
async function search(
  deps: Pick<FlowDependencies, "follow">,
  pchannel: string,
  wanted: readonly DeleteDemand[],
  { offset, topicId, found }: { offset: bigint; topicId: string; found: Found },
  signal: AbortSignal,
): Promise<void> {
  const cuts = new Map(wanted.map(({ cut }) => [cut.vchannel, cut.ts]));
  const vchannels = new Map(wanted.map(({ cut }) => [cut.collectionId, cut.vchannel]));
  const last = maxTs([...cuts.values()]);
  const select = (event: LogEvent) => {
    if (event.kind !== "delete" && (event.kind !== "block" || event.inFiles === true)) return false;
    const cutTs = event.vchannel === "" ? last : cuts.get(event.vchannel);
    return cutTs !== undefined && event.ts <= cutTs;
  };
  const groups = deps.follow({
    pchannel,
    from: { offset, tick: 0n },
    topicId,
    select,
    withoutInserts: true,
    vchannelOf: (collectionId) => vchannels.get(collectionId),
    // Where nothing is written, checkpoints move on with ticks that never reach the log.
    promised: last,
  }, signal);
  for await (const group of groups) {
    for (const event of group.events) {
      if (event.kind === "delete") append(found.marks, event.vchannel, markOf(event));
      if (event.kind !== "block") continue;
      // Without a channel nobody knows whose rows it would have deleted.
      for (const [vchannel, cutTs] of cuts) {
        const concerned = event.vchannel === vchannel || event.vchannel === "" && event.ts <= cutTs;
        if (concerned && !found.unreadable.has(vchannel)) found.unreadable.set(vchannel, event.reason);
      }
    }
    if (group.tick >= last) break;
  }
}

/** Why the rows of a collection with these vchannels are not known from what was found. */
export function unreadableDeletes(
  { unreadable }: Pick<LogDeletes, "unreadable">,
  vchannels: readonly string[],
): TidemarkError | undefined {
  const vchannel = vchannels.find((item) => unreadable.has(item));
  if (vchannel === undefined) return undefined;
  return new TidemarkError(
    "unsupported",
    `The log of ${vchannel} holds a record that the base needs and that cannot be read: ${unreadable.get(vchannel)}`,
    {
      hint:
        "It may have deleted rows that the files still hold. Once the source has compacted the segments of before it, " +
        "the log is not needed back to there.",
    },
  );
}

function markOf(event: Extract<LogEvent, { kind: "delete" }>): DeleteMark {
  const count = event.keys.values.length;
  return {
    partitionId: event.partitionId,
    // The event's keys may be views into a fetch response; the copy lets that go.
    keys: event.keys.kind === "int64"
      ? { kind: "int64", values: BigInt64Array.from(event.keys.values) }
      : { kind: "varchar", values: [...event.keys.values] },
    timestamps: new BigUint64Array(count).fill(event.ts),
  };
}

function append(marks: Map<string, DeleteMark[]>, vchannel: string, mark: DeleteMark): void {
  const list = marks.get(vchannel);
  if (list === undefined) marks.set(vchannel, [mark]);
  else list.push(mark);
}

function maxTs(values: readonly HybridTs[]): HybridTs {
  return values.reduce((max, value) => value > max ? value : max, 0n);
}
