/** Where the log of a collection begins that came after the base. */
import type { Collection } from "../../model/mod.ts";
import type { SinkState } from "../state/mod.ts";

/** When it is dropped before anything of it is archived, nobody else knows where its log begins. */
export function noteBeginning(
  { positions, vchannels: known }: Pick<SinkState, "positions" | "vchannels">,
  { id, vchannels, pchannels, startOffsets, createTs }: Collection,
): void {
  vchannels.forEach((vchannel, i) => {
    const pchannel = pchannels[i]!;
    const offset = startOffsets.get(pchannel);
    if (offset === undefined || positions.has(pchannel)) return;
    known.set(vchannel, { vchannel, pchannel, collectionId: id, offset, ts: createTs, held: false });
  });
}
