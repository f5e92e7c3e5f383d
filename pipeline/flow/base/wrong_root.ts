/** A file that is not there: gone with a compaction, or is the whole root another one, or another cluster's? */
import { TidemarkError } from "../../errors.ts";
import type { BinlogSource, CheckLine, MetaSource, Segment, Snapshot } from "../../model/mod.ts";
import { plural } from "../../units/mod.ts";

/** Segments whose files are asked for, of as many collections as there are. */
const ASKED = 8;
/** Of each, the first files of this many fields: one alone may be damaged. */
const FIELDS = 3;
/** Between reading the metadata and asking for its files all of them may be compacted and collected; hardly again. */
const LOOKS = 2;

/**
 * Throws `not_found` with what to set where the source's files are not at the place that the configuration names at all, or
 * those there are of another cluster.
 */
export async function refuseWrongRoot(
  { binlogs, meta }: {
    readonly binlogs: Pick<BinlogSource, "check" | "object">;
    readonly meta: Pick<MetaSource, "snapshot">;
  },
  signal: AbortSignal,
): Promise<void> {
  let fault = (await binlogs.check(signal)).find(({ ok, code }) => ok === "fail" && code === "not_found");
  for (let look = 0; fault === undefined; look++) {
    const line = (await checkFiles(await meta.snapshot(signal), binlogs, signal)).find(({ ok }) => ok === "fail");
    if (line === undefined) return;
    if (look + 1 === LOOKS) fault = line;
  }
  throw new TidemarkError("not_found", `${fault.what}: ${fault.detail}`, {
    hint: "`tidemark check` looks at everything that the configuration names.",
  });
}

/**
 * Whether the files that the metadata names are where the configuration says: a root may be another cluster's. One line; none
 * where the metadata names no file yet. Throws what the store throws.
 */
export async function checkFiles(
  snapshot: Pick<Snapshot, "segments">,
  binlogs: Pick<BinlogSource, "object">,
  signal: AbortSignal,
): Promise<CheckLine[]> {
  const segments = chosen(snapshot.segments.filter((segment) => segment.class === "rows" && named(segment).length > 0));
  if (segments.length === 0) return [];
  const found = await Promise.all(segments.map(async (segment) => {
    for (const file of named(segment)) {
      const { store, key } = binlogs.object(file);
      if (await store.head(key, signal) !== undefined) return true;
    }
    return false;
  }));
  const there = found.filter((is) => is).length;
  const what = "binlogs of the metadata";
  const count = `${segments.length} ${plural(segments.length, "segment")} that`;
  if (there > 0) return [{ what, ok: "ok", detail: `Files of ${there} of ${count} it names are there` }];
  const { store, key } = binlogs.object(named(segments.at(-1)!)[0]!);
  return [{
    what,
    ok: "fail",
    code: "not_found",
    detail: `No file of ${count} the metadata names is in ${store.location}, for example ${key}: ` +
      "it is the storage of another Milvus than the metadata, has another root_path, or has lost its files",
  }];
}

function named({ binlogs }: Segment) {
  return binlogs.flatMap(({ files }) => files[0] ?? []).slice(0, FIELDS);
}

/** In turn of each collection, the newest first. */
function chosen(segments: readonly Segment[]): Segment[] {
  const groups = [...Map.groupBy(segments, ({ collectionId }) => collectionId).values()].reverse();
  const found: Segment[] = [];
  for (let turn = 1; found.length < ASKED && groups.some(({ length }) => length >= turn); turn++) {
    found.push(...groups.flatMap((group) => group.at(-turn) ?? []));
  }
  return found.slice(0, ASKED);
}
