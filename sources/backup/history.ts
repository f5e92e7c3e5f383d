/**
 * The catalog over time, from the base's and what was noted after it. Collections and partitions carry the source's own
 * time of creation, collections that of their drop where the log has it, and from generation 2 on those of new names, columns and
 * properties; everything else of a note counts from when the writer saw it, by its own clock, some milliseconds after it was
 * made, or when it came back, where it was down. A drop that was seen too late for a moment is in the log before it.
 */
import {
  type Catalog,
  type Collection,
  hybridFromMs,
  type HybridTs,
  type LoggedAlteration,
  type Partition,
  type Snapshot,
} from "../../pipeline/model/mod.ts";
import { type CatalogEntry, readAlterations, readCatalogJournal, readDrops } from "../../stores/mod.ts";
import { altered } from "./altered.ts";
import type { OpenedBackup } from "./read.ts";

export interface CatalogHistory {
  /** The catalog of the base. */
  readonly base: Catalog;
  /** What was noted after it, by revision. */
  readonly notes: readonly CatalogEntry[];
  /** When collections and partitions were dropped, where their log says so, by id. */
  readonly dropped: ReadonlyMap<bigint, HybridTs>;
  /** What collections became, where their log says so, in the order of time. */
  readonly alterations: ReadonlyMap<bigint, readonly LoggedAlteration[]>;
  /** Of a moment before, the base lacks what was dropped when it was made; 0 where nothing was. */
  readonly baseLacksTo: HybridTs;
  /** Those of `dropped` that are in no catalog, and in the base neither as failed. */
  readonly unseen: ReadonlyMap<bigint, HybridTs>;
}

/** By how much the source's clock and that of who made the base are thought to differ, at most. */
const CLOCKS_APART_MS = 60_000;

/** What the log says. */
type Logged = Pick<CatalogHistory, "dropped" | "alterations">;

/** Reads what was noted after the base. A collection whose base failed stays out: the log alone does not bring its rows. */
export async function readHistory(
  { store, name, manifest }: OpenedBackup,
  snapshot: Snapshot,
  signal?: AbortSignal,
): Promise<CatalogHistory> {
  const { catalog, revision } = snapshot;
  if (manifest === undefined) return catalogHistory(catalog, [], { dropped: new Map(), alterations: new Map() });
  const failed = new Set(manifest.failed.map(({ id }) => id));
  const notes = (await readCatalogJournal(store, name, signal)).filter((note) => note.revision > revision);
  const kept = notes.map((note) => ({
    ...note,
    catalog: { ...note.catalog, collections: note.catalog.collections.filter(({ id }) => !failed.has(id)) },
  }));
  const drops = await readDrops(store, name, signal);
  const dropped = new Map([...drops].map(([id, { first }]) => [id, first]));
  const history = catalogHistory(catalog, kept, { dropped, alterations: await readAlterations(store, name, signal) });
  const unseen = new Map([...history.unseen].filter(([id]) => !failed.has(id)));
  const before = baseIsAfter(snapshot);
  const lasts = [...unseen.keys()].map((id) => ({ id, ts: drops.get(id)!.last })).filter(before);
  return { ...history, unseen, baseLacksTo: lasts.reduce((max, { ts }) => ts > max ? ts : max, 0n) };
}

/**
 * Whether something that is in no catalog was dropped before the base was made, or made and dropped later while nobody looked:
 * what was made later has a larger id than all that the base has. Where that says nothing, the time has to.
 */
function baseIsAfter(
  { catalog: { collections }, segments, takenAtMs }: Snapshot,
): (drop: { readonly id: bigint; readonly ts: HybridTs }) => boolean {
  const ids = [...collections, ...collections.flatMap(({ partitions }) => partitions), ...segments].map(({ id }) => id);
  const newest = ids.reduce((max, id) => id > max ? id : max, 0n);
  const made = hybridFromMs(takenAtMs + CLOCKS_APART_MS);
  return ({ id, ts }) => id < newest || ts <= made;
}

/**
 * What a catalog without a collection shows is later than the drop of it, and so is what was noted after: a note that says
 * otherwise is by a clock behind the source's, and counts from the drop on.
 */
export function catalogHistory(
  base: Catalog,
  notes: readonly CatalogEntry[],
  { dropped, alterations }: Logged,
): CatalogHistory {
  const there = new Set(base.collections.map(({ id }) => id));
  let last: HybridTs = 0n;
  const counted = notes.map((note) => {
    const now = new Set(note.catalog.collections.map(({ id }) => id));
    for (const id of there.difference(now)) {
      there.delete(id);
      const end = dropped.get(id) ?? 0n;
      if (end > last) last = end;
    }
    for (const id of now) there.add(id);
    return note.ts < last ? { ...note, ts: last } : note;
  });
  const all = [base, ...notes.map(({ catalog }) => catalog)].flatMap(({ collections }) => collections);
  const seen = new Set(all.flatMap((collection) => [collection.id, ...partitionIds(collection)]));
  const unseen = new Map([...dropped].filter(([id]) => !seen.has(id)));
  return { base, notes: counted, dropped, alterations, baseLacksTo: 0n, unseen };
}

/** The catalog as it was at `ts`. */
export function catalogOf({ base, notes, dropped, alterations }: CatalogHistory, ts: HybridTs): Catalog {
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
  const asOf = (later: boolean) => (collection: Collection) =>
    altered(collection, alterations.get(collection.id) ?? [], ts, later);
  const there = [
    ...now.collections.filter(({ createTs }) => createTs <= ts).map(asOf(false)),
    ...late.map(asOf(true)),
  ].filter(({ id }) => {
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
  const named = ofOneName(collections, now, after);
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

/**
 * A name belongs to one at a time, but the catalog of a moment can be older than a collection that was made before it. Where
 * two have a name, the one that is known by the older catalog was given another name by the time of the newer, which says so,
 * or was dropped.
 */
function ofOneName(collections: readonly Collection[], now: Catalog, after: readonly Catalog[]): Collection[] {
  const known = new Set(now.collections.map(({ id }) => id));
  const named = new Map<string, { readonly collection: Collection; readonly at: number }>();
  const at = (collection: Collection, index: number) => {
    const later = after[index]!.collections.find(({ id }) => id === collection.id);
    if (later === undefined) return undefined;
    const { dbId, dbName, name } = later;
    return { collection: { ...collection, dbId, dbName, name }, at: index };
  };
  for (const collection of collections) {
    const { id } = collection;
    const index = known.has(id) ? -1 : after.findIndex((catalog) => catalog.collections.some((item) => item.id === id));
    for (let next: ReturnType<typeof at> = { collection, at: index }; next !== undefined;) {
      const name = nameOfCollection(next.collection);
      const holder = named.get(name);
      const [older, newer]: [typeof next | undefined, typeof next] = holder !== undefined && holder.at > next.at
        ? [next, holder]
        : [holder, next];
      named.set(name, newer);
      next = older === undefined || older.at === newer.at ? undefined : at(older.collection, newer.at);
    }
  }
  return [...named.values()].map(({ collection }) => collection);
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
