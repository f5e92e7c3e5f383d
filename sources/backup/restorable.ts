/** Which moments a backup can be restored to. */
import { type HybridTs, isoOfHybrid } from "../../pipeline/model/mod.ts";
import type { ArchiveReport } from "./continuity.ts";
import { type CatalogHistory, catalogOf } from "./history.ts";

/** A moment, exact over all channels. */
export interface Moment {
  readonly ts: HybridTs;
  readonly iso: string;
}

/**
 * From the first exact moment to the last that the archive of every pchannel reaches. Milvus stops the ticks of a pchannel with
 * its last collection, so the archive of one that no collection is on at that moment need not reach it.
 */
export function restorableRange(
  exactFrom: HybridTs | undefined,
  archive: ArchiveReport | undefined,
  history: CatalogHistory,
): { readonly from: Moment; readonly to: Moment } | undefined {
  if (exactFrom === undefined || archive === undefined) return undefined;
  const reach = new Map(archive.pchannels.map(({ pchannel, until }) => [pchannel, until]));
  let to = [...reach.values()].reduce((max, until) => until > max ? until : max, 0n);
  for (;;) {
    const used = catalogOf(history, to).collections.flatMap(({ pchannels }) => pchannels);
    const least = used.reduce((min, pchannel) => smaller(min, reach.get(pchannel) ?? 0n), to);
    if (least === to) break;
    to = least;
  }
  if (to < exactFrom) return undefined;
  return { from: { ts: exactFrom, iso: isoOfHybrid(exactFrom) }, to: { ts: to, iso: isoOfHybrid(to) } };
}

function smaller(a: HybridTs, b: HybridTs): HybridTs {
  return b < a ? b : a;
}
