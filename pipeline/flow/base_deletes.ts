/**
 * The deletes that the base needs: from the log, back to the oldest row of the live segments, because the source's
 * metadata forgets delta logs; and from every delta file below the collection's folder, named or not, because the log
 * may not reach back so far. The union is safe: every delete in a delta file was in the log once.
 */
import type { Cut, DeleteMark, HybridTs, LogEvent } from "../model/mod.ts";
import { TidemarkError } from "../errors.ts";
import type { FlowDependencies } from "./dependencies.ts";

export interface DeleteDemand {
  readonly cut: Cut;
  /** Offset of the oldest record that can hold a row of a live segment; undefined: no live segments, nothing to delete. */
  readonly horizon: bigint | undefined;
}

export interface LogDeletes {
  readonly marks: ReadonlyMap<string, readonly DeleteMark[]>;
  /** vchannels whose horizon lies before the log's beginning: there the delta files must do. */
  readonly beyondLog: readonly string[];
}

/**
 * Reads, pchannel after pchannel, the deletes with ts <= cut of the demanded vchannels.
 * Memory: the keys of these deletes.
 */
export async function readLogDeletes(
  deps: Pick<FlowDependencies, "follow" | "log" | "baseDeletes">,
  demands: readonly DeleteDemand[],
  signal: AbortSignal,
): Promise<LogDeletes> {
  const marks = new Map<string, DeleteMark[]>();
  const beyondLog: string[] = [];
  if (deps.baseDeletes === "files") return { marks, beyondLog };
  const byPchannel = Map.groupBy(demands.filter((demand) => demand.horizon !== undefined), ({ cut }) => cut.pchannel);
  for (const [pchannel, wanted] of byPchannel) {
    const bounds = await deps.log.bounds(pchannel, signal);
    const cuts = new Map(wanted.map(({ cut }) => [cut.vchannel, cut.ts]));
    let from: bigint | undefined;
    for (const { cut, horizon } of wanted) {
      if (horizon! < bounds.earliest) beyondLog.push(cut.vchannel);
      const start = horizon! < bounds.earliest ? bounds.earliest : horizon!;
      if (from === undefined || start < from) from = start;
    }
    const last = maxTs([...cuts.values()]);
    if (from === undefined || from >= bounds.latest) continue;
    const select = (event: LogEvent) => {
      const cutTs = event.kind === "delete" ? cuts.get(event.vchannel) : undefined;
      if (event.kind === "block" && cuts.has(event.vchannel) && event.ts <= cuts.get(event.vchannel)!) return true;
      return cutTs !== undefined && event.ts <= cutTs;
    };
    const groups = deps.follow({ pchannel, from: { offset: from, tick: 0n }, topicId: bounds.topicId, select }, signal);
    for await (const group of groups) {
      for (const event of group.events) {
        if (event.kind === "block") {
          throw new TidemarkError(
            "unsupported",
            `The log of ${event.vchannel} holds a record that the base needs and that cannot be read: ${event.reason}`,
          );
        }
        if (event.kind === "delete") append(marks, event.vchannel, markOf(event));
      }
      if (group.tick >= last) break;
    }
  }
  return { marks, beyondLog };
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
