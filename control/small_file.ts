/** A file of the source to try things with. */
import type { BinlogSource, ObjectStore, Snapshot } from "../pipeline/model/mod.ts";

/** A file up to this size is copied to try whether it can be. */
const TRIED_BYTES = 8n << 20n;

/** Files that are asked for, of different segments: the smallest. */
const ASKED = 8;

/** A small file that the metadata vouches for and that is there; undefined where there is none. */
export async function smallFile(
  snapshot: Snapshot,
  binlogs: Pick<BinlogSource, "object">,
  signal: AbortSignal,
): Promise<{ readonly store: ObjectStore; readonly key: string } | undefined> {
  const files = snapshot.segments.filter((segment) => segment.class === "rows")
    .flatMap(({ binlogs }) => binlogs[0]?.files[0] ?? [])
    .sort((a, b) => Number(a.size - b.size)).slice(0, ASKED);
  for (const file of files) {
    const object = binlogs.object(file);
    const info = await object.store.head(object.key, signal);
    if (info !== undefined && info.size > 1n && info.size <= TRIED_BYTES) return object;
  }
  return undefined;
}
