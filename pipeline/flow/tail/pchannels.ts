/** Which pchannels a run follows, from where, and whether the log still has what is needed. */
import { TidemarkError } from "../../errors.ts";
import type { Collection, LogSource, ResumePoint } from "../../model/mod.ts";
import { positionsOf } from "../../positions/mod.ts";
import { isoOfHybrid } from "../../model/mod.ts";
import type { SinkState } from "../state/mod.ts";

/** Start of every pchannel that some sink needs: the smallest offset of all that depend on it. */
export function startPoints(sinks: Iterable<SinkState>): Map<string, ResumePoint> {
  const points = new Map<string, ResumePoint>();
  const lower = (pchannel: string, point: ResumePoint) => {
    const known = points.get(pchannel);
    if (known === undefined) points.set(pchannel, point);
    else {
      points.set(pchannel, {
        offset: point.offset < known.offset ? point.offset : known.offset,
        tick: point.tick < known.tick ? point.tick : known.tick,
      });
    }
  };
  for (const sink of sinks) {
    for (const [pchannel, point] of sink.positions) lower(pchannel, point);
    for (const own of sink.vchannels.values()) {
      const position = sink.positions.get(own.pchannel);
      if (position !== undefined && !own.held && position.tick >= own.ts) continue;
      lower(own.pchannel, { offset: own.offset, tick: own.ts });
    }
  }
  return points;
}

/**
 * From where a sink needs each pchannel: from where it goes on, and from where those of `collections` begin whose log it
 * has nothing of yet. pchannels that it needs nothing of are missing.
 */
export function neededFrom(sink: SinkState, collections: readonly Collection[]): Map<string, ResumePoint> {
  const needed = startPoints([sink]);
  for (const { id, pchannels, vchannels, startOffsets } of collections) {
    if (sink.collections.get(id)?.phase === "dropped") continue;
    pchannels.forEach((pchannel, i) => {
      // Behind a position everything is read, and rows of a collection without a cut are all behind it.
      if (sink.positions.has(pchannel) || sink.vchannels.has(vchannels[i]!)) return;
      const offset = startOffsets.get(pchannel) ?? 0n;
      const known = needed.get(pchannel);
      needed.set(pchannel, { offset: known !== undefined && known.offset < offset ? known.offset : offset, tick: 0n });
    });
  }
  return needed;
}

/**
 * Forgets the positions of pchannels that no collection of the sink is on any more: the source stops their ticks, so they
 * would grow old until the log's retention passes them, for nothing.
 */
export function prunePositions(sink: SinkState): void {
  const used = new Set<string>();
  for (const own of sink.collections.values()) {
    if (own.phase !== "dropped") { for (const vchannel of own.vchannels) used.add(pchannelOf(vchannel)); }
  }
  for (const pchannel of sink.positions.keys()) if (!used.has(pchannel)) sink.positions.delete(pchannel);
  for (const own of sink.vchannels.values()) if (!used.has(own.pchannel)) sink.vchannels.delete(own.vchannel);
}

/** `<pchannel>_<collection id>v<shard>` */
export function collectionOf(vchannel: string): bigint {
  const match = /_(\d+)v\d+$/.exec(vchannel);
  return match === null ? -1n : BigInt(match[1]!);
}

export function pchannelOf(vchannel: string): string {
  return vchannel.replace(/_\d+v\d+$/, "");
}

/** A pchannel whose needed position the log no longer has. */
export interface LostPosition {
  readonly pchannel: string;
  readonly error: TidemarkError;
}

/** Compares every start with what the log holds; also fills in `topicIds` of topics that are seen for the first time. */
export async function lostPositions(
  log: LogSource,
  points: ReadonlyMap<string, ResumePoint>,
  topicIds: Map<string, string>,
  signal: AbortSignal,
): Promise<LostPosition[]> {
  const lost: LostPosition[] = [];
  const { format } = positionsOf(log.queue);
  for (const [pchannel, point] of points) {
    const known = topicIds.get(pchannel) ?? "";
    const bounds = await log.bounds(pchannel, signal, known);
    const hint =
      "Set on_position_lost: resnapshot to copy the affected collections afresh, and give the topics a longer retention than the longest pause of this pipeline.";
    if (known !== "" && known !== bounds.topicId) {
      lost.push({
        pchannel,
        error: new TidemarkError(
          "position_lost",
          `The topic ${pchannel} was deleted and made again since the last run: its log is another one (wanted ${
            format(point.offset)
          } of topic id ${known}, there is topic id ${bounds.topicId})`,
          { hint },
        ),
      });
      continue;
    }
    if (point.offset < bounds.earliest || point.offset > bounds.latest) {
      lost.push({
        pchannel,
        error: new TidemarkError(
          "position_lost",
          `The log of ${pchannel} no longer holds the position of this pipeline: wanted ${format(point.offset)}${
            point.tick > 0n ? ` (${isoOfHybrid(point.tick)})` : ""
          }, it holds ${format(bounds.earliest)} to ${format(bounds.latest)}`,
          { hint },
        ),
      });
      continue;
    }
    topicIds.set(pchannel, bounds.topicId);
  }
  return lost;
}
