/**
 * pchannels whose last collection was dropped. The source stops their ticks, so a run that ends cannot wait there for the
 * moment at which it ends; what an archive lacks of them reaches up to the last tick that there is. Behind it stands the record
 * of the drop, which says from when on nobody needs that channel any more.
 */
import { after, type HybridTs, type ResumePoint } from "../../model/mod.ts";
import { positionsOf } from "../../positions/mod.ts";
import type { DescribeRecord, FlowDependencies } from "../dependencies.ts";
import { addDrop } from "./drop_records.ts";

/** The last tick behind each of `points`; pchannels without one are missing. */
export async function lastTicks(
  deps: Pick<FlowDependencies, "log" | "describeRecord">,
  points: ReadonlyMap<string, ResumePoint>,
  signal: AbortSignal,
): Promise<Map<string, HybridTs>> {
  const ticks = new Map<string, HybridTs>();
  for (const [pchannel, point] of points) {
    const tick = await lastTick(deps, pchannel, point, signal);
    if (tick > point.tick) ticks.set(pchannel, tick);
  }
  return ticks;
}

async function lastTick(
  deps: Pick<FlowDependencies, "log" | "describeRecord">,
  pchannel: string,
  { offset, tick }: ResumePoint,
  signal: AbortSignal,
): Promise<HybridTs> {
  let last = tick;
  for await (const { type, ts } of factsBehind(deps, pchannel, offset, signal)) {
    if (type === "tick" && ts > last) last = ts;
  }
  return last;
}

/** Records before the log's end among which a tick is likely: a pchannel has five a second. */
const NEAR_END = 1000n;

/** The same of one pchannel, looked for from the log's end: what lies between may be much. `from.tick` where there is none. */
export async function lastTickBehind(
  deps: Pick<FlowDependencies, "log" | "describeRecord">,
  pchannel: string,
  from: ResumePoint,
  signal: AbortSignal,
): Promise<HybridTs> {
  const { latest } = await deps.log.bounds(pchannel, signal);
  const { back } = positionsOf(deps.log.queue);
  for (let span = NEAR_END;; span *= 10n) {
    const found = back(latest, span) ?? from.offset;
    const near = found > from.offset ? found : from.offset;
    const last = await lastTick(deps, pchannel, { offset: near, tick: 0n }, signal);
    if (last > from.tick) return last;
    if (near === from.offset) return from.tick;
  }
}

/**
 * Collection -> when it was dropped, by the records behind each of `points`. The record of a drop mostly comes after the last
 * tick, so no archive has it.
 */
export async function dropsBehind(
  deps: Pick<FlowDependencies, "log" | "describeRecord">,
  points: ReadonlyMap<string, ResumePoint>,
  signal: AbortSignal,
): Promise<Map<bigint, HybridTs>> {
  const drops = new Map<bigint, HybridTs>();
  for (const [pchannel, { offset }] of points) {
    for await (const facts of factsBehind(deps, pchannel, offset, signal)) addDrop(drops, facts);
  }
  return drops;
}

/** Of what is in the log now, from `offset` on. */
async function* factsBehind(
  { log, describeRecord }: Pick<FlowDependencies, "log" | "describeRecord">,
  pchannel: string,
  offset: bigint,
  signal: AbortSignal,
): AsyncGenerator<ReturnType<DescribeRecord>> {
  const { latest, topicId } = await log.bounds(pchannel, signal);
  if (offset >= latest) return;
  for await (const { records, confirmed } of log.tail(pchannel, offset, topicId, signal)) {
    for (const record of records) yield describeRecord(record);
    if (confirmed !== undefined) yield { type: "tick", ts: confirmed, vchannel: "", collectionId: undefined };
    const end = records.at(-1)?.offset;
    if (end === undefined || after(end) >= latest) return;
  }
}
