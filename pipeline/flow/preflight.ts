/** What is looked at before anything is made on a target: a mistake in the setup must leave nothing behind there. */
import { TidemarkError } from "../errors.ts";
import type { BinlogSource, Collection, Snapshot } from "../model/mod.ts";
import { liveSegments } from "../transforms/mod.ts";

/**
 * Throws what keeps the files of `collections` from being read at all: wrong bucket, root path or key. A source whose
 * collections have no files yet may have an empty bucket.
 */
export async function preflight(
  binlogs: BinlogSource,
  snapshot: Snapshot,
  collections: readonly Collection[],
  signal: AbortSignal,
): Promise<void> {
  const needed = collections.some((collection) =>
    liveSegments(snapshot, collection).some((segment) => segment.binlogs.length > 0)
  );
  if (!needed) return;
  const failed = (await binlogs.check(signal)).find((line) => line.ok === "fail");
  if (failed === undefined) return;
  throw new TidemarkError(failed.code ?? "not_found", `${failed.what}: ${failed.detail}`, {
    hint:
      "Mend sources.binlogs; `tidemark check` looks at everything that the configuration names. Nothing was changed.",
  });
}
