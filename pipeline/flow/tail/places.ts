/** Where a sink's state says that each channel stands. */
import type { HybridTs, Position, ResumePoint } from "../../model/mod.ts";
import type { SinkState } from "../state/mod.ts";
import { pchannelOf } from "./pchannels.ts";

/** pchannel or vchannel -> events up to here are on the target from earlier runs, or in the base. */
export function startsOf({ positions, vchannels }: SinkState): Map<string, HybridTs> {
  const starts = new Map<string, HybridTs>();
  for (const [pchannel, { tick }] of positions) starts.set(pchannel, tick);
  for (const own of vchannels.values()) {
    const tick = positions.get(own.pchannel)?.tick ?? 0n;
    starts.set(own.vchannel, own.held || own.ts > tick ? own.ts : tick);
  }
  return starts;
}

/** The same of one vchannel, with the place in the log behind which all that is later stands. */
export function placeOf({ positions, vchannels }: SinkState, vchannel: string): ResumePoint {
  const own = vchannels.get(vchannel);
  const position = positions.get(pchannelOf(vchannel));
  if (own !== undefined && (own.held || own.ts > (position?.tick ?? 0n))) return { offset: own.offset, tick: own.ts };
  return position ?? { offset: own?.offset ?? 0n, tick: own?.ts ?? 0n };
}

/**
 * Notes that all that the log has of a vchannel up to `ts` is on the target, though the position of its pchannel may be before
 * that: after a crash none of it is to be brought again. `start`: where the log of the vchannel begins.
 */
export function passTo(
  { positions, vchannels }: SinkState,
  { vchannel, collectionId, ts, start }: {
    readonly vchannel: string;
    readonly collectionId: bigint;
    readonly ts: HybridTs;
    readonly start: Position;
  },
): void {
  const pchannel = pchannelOf(vchannel);
  const own = vchannels.get(vchannel);
  const position = positions.get(pchannel);
  if (own !== undefined) {
    if (own.ts < ts) own.ts = ts;
  } else if ((position?.tick ?? 0n) < ts) {
    vchannels.set(vchannel, { vchannel, pchannel, collectionId, offset: position?.offset ?? start, ts, held: false });
  }
}
