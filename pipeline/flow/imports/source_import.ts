/** Rows that a bulk import of the source brought, as they are still to be loaded. */
import type { Collection, HybridTs, ImportTask, Segment, Snapshot } from "../../model/mod.ts";
import { importedAt } from "../../transforms/mod.ts";

/** Of an import that the source has forgotten `id` is what tells of it: a segment, or a time. */
export interface SourceImport extends ImportTask {
  /** Only the rows of this time are the import's: it has no segment of its own any more. */
  readonly rowsAt?: HybridTs;
}

/** pchannel -> from when on its rows count there. Before the log is applied up to there, they must not be loaded. */
export function importTimes(
  snapshot: Pick<Snapshot, "segments">,
  { vchannels, pchannels }: Collection,
  { segmentIds, rowsAt }: SourceImport,
): Map<string, HybridTs> {
  const byId = new Map<bigint, Segment>(snapshot.segments.map((segment) => [segment.id, segment]));
  const times = new Map<string, HybridTs>();
  for (const id of segmentIds) {
    const segment = byId.get(id);
    const pchannel = segment === undefined ? undefined : pchannels[vchannels.indexOf(segment.vchannel)];
    if (segment === undefined || pchannel === undefined) continue;
    const ts = rowsAt ?? importedAt(segment);
    if (ts > (times.get(pchannel) ?? 0n)) times.set(pchannel, ts);
  }
  return times;
}
