/** Where the log has lost records that an archive does not have: it is stated, and the archive goes on behind. */
import { after, type BackupSession, type LogSource } from "../../model/mod.ts";
import type { SinkState } from "../state/mod.ts";

/** False where the log counts from the beginning again, in a topic that was made anew: that can follow no archive. */
export async function stateGaps(
  log: Pick<LogSource, "bounds">,
  session: Pick<BackupSession, "progress" | "gap">,
  { positions, vchannels }: Pick<SinkState, "positions" | "vchannels">,
  pchannels: readonly string[],
  signal: AbortSignal,
): Promise<boolean> {
  const gaps = await Promise.all(pchannels.map(async (pchannel) => {
    const { earliest } = await log.bounds(pchannel, signal);
    const { lastOffset } = await session.progress(pchannel, signal);
    return { pchannel, from: after(lastOffset), to: earliest };
  }));
  if (gaps.some(({ from, to }) => to <= from)) return false;
  for (const { pchannel, from, to } of gaps) {
    await session.gap(pchannel, from, to, "the log's retention had passed it");
    positions.set(pchannel, { offset: to, tick: 0n });
    // Cuts before the gap are no place to go on from.
    for (const own of [...vchannels.values()]) {
      if (own.pchannel === pchannel) vchannels.delete(own.vchannel);
    }
  }
  return true;
}
