/**
 * The catalog over time, from the base's and what was noted after it. Collections and partitions carry the source's own
 * time of creation; everything else of a note counts from when the writer saw it, some milliseconds after it was made. A drop
 * that was seen too late for a moment is in the log before it; of a collection whose log ended with it, a note says when it was.
 */
import type { Catalog, Collection, HybridTs, Partition, Snapshot } from "../../pipeline/model/mod.ts";
import { type CatalogEntry, readCatalogJournal } from "../../stores/mod.ts";
import type { OpenedBackup } from "./read.ts";

export interface CatalogHistory {
  /** The catalog of the base. */
  readonly base: Catalog;
  /** What was noted after it, by revision. */
  readonly notes: readonly CatalogEntry[];
  /** When collections were dropped, where their log says so. */
  readonly dropped: ReadonlyMap<bigint, HybridTs>;
}

/** Reads what was noted after the base. A collection whose base failed stays out: the log alone does not bring its rows. */
export async function readHistory(
  { store, name, manifest }: OpenedBackup,
  { catalog, revision }: Snapshot,
  signal?: AbortSignal,
): Promise<CatalogHistory> {
  if (manifest === undefined) return { base: catalog, notes: [], dropped: new Map() };
  const failed = new Set(manifest.failed.map(({ id }) => id));
  const notes = (await readCatalogJournal(store, name, signal)).filter((note) => note.revision > revision);
  const dropped = new Map<bigint, HybridTs>();
  for (const [id, ts] of notes.flatMap((note) => [...note.dropped])) {
    const known = dropped.get(id);
    if (known === undefined || ts < known) dropped.set(id, ts);
  }
  return {
    base: catalog,
    dropped,
    notes: notes.map((note) => ({
      ...note,
      catalog: { ...note.catalog, collections: note.catalog.collections.filter(({ id }) => !failed.has(id)) },
    })),
  };
}

/** The catalog as it was at `ts`. */
export function catalogOf({ base, notes, dropped }: CatalogHistory, ts: HybridTs): Catalog {
  const before = notes.filter((note) => note.ts <= ts);
  const after = notes.filter((note) => note.ts > ts).map(({ catalog }) => catalog);
  const now = before.at(-1)?.catalog ?? base;
  const past = [base, ...before.map(({ catalog }) => catalog)];
  const seen = new Set(past.flatMap(({ collections }) => collections.map(({ id }) => id)));
  const late = missed(after.flatMap(({ collections }) => collections), seen, ts);
  const seenPartitions = new Set(past.flatMap(({ collections }) => collections.flatMap(partitionIds)));
  const laterPartitions = Map.groupBy(
    after.flatMap((catalog) => catalog.collections).flatMap(({ id, partitions }) =>
      partitions.map((of) => ({ id, of }))
    ),
    ({ id }) => id,
  );
  const there = [...now.collections.filter(({ createTs }) => createTs <= ts), ...late].filter(({ id }) => {
    const end = dropped.get(id);
    return end === undefined || end > ts;
  });
  const collections = there.map((collection) => {
    const later = (laterPartitions.get(collection.id) ?? []).map(({ of }) => of).filter(({ id }) =>
      !seenPartitions.has(id)
    );
    return {
      ...collection,
      partitions: newestByName([
        ...collection.partitions.filter(({ createTs }) => createTs <= ts),
        ...missed(later, new Set(partitionIds(collection)), ts),
      ], nameOfPartition),
    };
  });
  const named = newestByName(collections, nameOfCollection);
  // A database's time of creation is no hybrid timestamp in all releases: it is there once a collection of it is.
  const absent = new Set(named.map(({ dbId }) => dbId).filter((id) => !now.databases.some((known) => known.id === id)));
  const lateDatabases = new Map(
    after.toReversed().flatMap(({ databases }) => databases.map((item) => [item.id, item])),
  );
  return {
    ...now,
    databases: [...now.databases, ...[...lateDatabases.values()].filter(({ id }) => absent.has(id))],
    collections: named,
  };
}

/** What of later catalogs was there at `ts` already, each as it was seen first. A time of 0 is not known. */
function missed<T extends { readonly id: bigint; readonly createTs: HybridTs }>(
  later: readonly T[],
  seen: ReadonlySet<bigint>,
  ts: HybridTs,
): T[] {
  const found = new Map<bigint, T>();
  for (const item of later) {
    if (item.createTs > 0n && item.createTs <= ts && !seen.has(item.id) && !found.has(item.id)) {
      found.set(item.id, item);
    }
  }
  return [...found.values()];
}

/** A name belongs to one at a time: where two have it, the older one was dropped before the newer was made. */
function newestByName<T extends { readonly createTs: HybridTs }>(
  items: readonly T[],
  nameOf: (item: T) => string,
): T[] {
  const newest = new Map<string, T>();
  for (const item of items) {
    const other = newest.get(nameOf(item));
    if (other === undefined || item.createTs > other.createTs) newest.set(nameOf(item), item);
  }
  return [...newest.values()];
}

function partitionIds(collection: Collection): bigint[] {
  return collection.partitions.map(({ id }) => id);
}

function nameOfPartition({ name }: Partition): string {
  return name;
}

function nameOfCollection({ dbName, name }: Collection): string {
  return `${dbName}.${name}`;
}
