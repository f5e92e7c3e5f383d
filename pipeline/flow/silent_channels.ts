/**
 * pchannels whose last collection was dropped. The source stops their ticks, so a run that ends cannot wait there for the
 * moment at which it ends; what an archive lacks of them reaches up to the last tick that there is.
 */
import type { HybridTs, ResumePoint } from "../model/mod.ts";
import type { FlowDependencies } from "./dependencies.ts";

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
  { log, describeRecord }: Pick<FlowDependencies, "log" | "describeRecord">,
  pchannel: string,
  { offset, tick }: ResumePoint,
  signal: AbortSignal,
): Promise<HybridTs> {
  let last = tick;
  const { latest, topicId } = await log.bounds(pchannel, signal);
  if (offset >= latest) return last;
  for await (const { records } of log.tail(pchannel, offset, topicId, signal)) {
    for (const record of records) {
      const { type, ts } = describeRecord(record);
      if (type === "tick" && ts > last) last = ts;
    }
    const end = records.at(-1)?.offset;
    if (end === undefined || end + 1n >= latest) break;
  }
  return last;
}
