/** Collections whose own checkpoints on the source lie where the log no longer is: what lies between is in no log. */
import {
  type Collection,
  type Cut,
  isoOfHybrid,
  type LogSource,
  qualifiedName,
  type Snapshot,
} from "../../model/mod.ts";
import { positionsOf } from "../../positions/mod.ts";
import { makeCuts } from "../../transforms/mod.ts";

/**
 * Those of `collections` whose copy could not be followed from its cut, by id, with what helps. `kept`: somebody has all records
 * behind such a cut, whatever the log still holds.
 */
export async function staleCuts(
  log: Pick<LogSource, "bounds" | "queue">,
  snapshot: Snapshot,
  collections: readonly Collection[],
  signal: AbortSignal,
  kept: (cut: Pick<Cut, "pchannel" | "offset">) => boolean = () => false,
): Promise<Map<bigint, string>> {
  const { format } = positionsOf(log.queue);
  const bounds = new Map<string, { readonly earliest: bigint; readonly latest: bigint }>();
  const found = new Map<bigint, string>();
  for (const collection of collections) {
    for (const { pchannel, offset, ts } of makeCuts(snapshot, [collection])) {
      if (kept({ pchannel, offset })) continue;
      let known = bounds.get(pchannel);
      if (known === undefined) bounds.set(pchannel, known = await log.bounds(pchannel, signal));
      const { earliest, latest } = known;
      if (offset >= earliest && offset <= latest) continue;
      found.set(
        collection.id,
        `The source's own checkpoint on ${pchannel} is ${format(offset)} (${isoOfHybrid(ts)}), and the log ` +
          `holds ${format(earliest)} to ${format(latest)}: what lies between is in no log. Flush ` +
          `${qualifiedName(collection)} on the source: that moves its checkpoint`,
      );
      break;
    }
  }
  return found;
}
