/** Which moments a backup can be restored to. */
import { type Catalog, type Collection, type HybridTs, isoOfHybrid, qualifiedName } from "../../pipeline/model/mod.ts";
import type { ArchiveReport } from "./continuity.ts";
import type { CatalogEntry } from "../../stores/mod.ts";
import { type CatalogHistory, catalogOf } from "./history.ts";

/** A moment, exact over all channels. */
export interface Moment {
  readonly ts: HybridTs;
  readonly iso: string;
}

/** Moments that cannot be restored, the first and the last included. */
export interface RestorableGap {
  readonly from: Moment;
  readonly to: Moment;
  /** Collections that were there then, as far as the backup knows, and whose log ends before. */
  readonly collections: readonly string[];
}

/** Any moment from the first to the last, both included, that is in none of the gaps. */
export interface Restorable {
  readonly from: Moment;
  readonly to: Moment;
  /** In order; none reaches `from` or `to`. */
  readonly gaps: readonly RestorableGap[];
}

/**
 * A moment is exact if the archive of every pchannel that a collection is on at that moment reaches it. Milvus stops the ticks
 * of a pchannel with its last collection, so the archive of that one ends some moments before the drop itself, or before it
 * was noted where nobody read the record of it. Between the two the collection can still have been written to: no tick says
 * that what is there is all, so these moments are a gap. The files of the base may be complete to some moments before it was made:
 * what was dropped between the two is neither in them nor in its catalog, so the range begins behind these drops.
 */
export function restorableRange(
  exactFrom: HybridTs | undefined,
  archive: ArchiveReport | undefined,
  history: CatalogHistory,
): Restorable | undefined {
  if (exactFrom === undefined || archive === undefined) return undefined;
  const reach = new Map(archive.pchannels.map(({ pchannel, until }) => [pchannel, until]));
  const furthest = [...reach.values()].reduce((max, until) => until > max ? until : max, 0n);
  const gaps = [...byPchannel(history)].flatMap(([pchannel, own]) =>
    unreached(pchannel, own, reach.get(pchannel) ?? 0n, furthest)
  );
  const { baseLacksTo } = history;
  let from = exactFrom > baseLacksTo ? exactFrom : baseLacksTo;
  let to = furthest;
  const between: Span[] = [];
  for (const gap of merged(gaps)) {
    if (gap.to < from) continue;
    if (gap.from <= from) from = gap.to + 1n;
    else if (gap.to >= furthest) to = gap.from - 1n;
    else between.push(gap);
  }
  if (to < from) return undefined;
  return {
    from: momentOf(from),
    to: momentOf(to),
    gaps: between.map(({ from, to, collections }) => ({
      from: momentOf(from),
      to: momentOf(to),
      collections: [...collections].sort(),
    })),
  };
}

interface Span {
  readonly from: HybridTs;
  readonly to: HybridTs;
  readonly collections: ReadonlySet<string>;
}

/**
 * pchannel -> the history of the collections on it, and of those that ever bore the name of one: what changed nothing of them
 * is left out.
 */
function byPchannel(history: CatalogHistory): Map<string, CatalogHistory> {
  const { base, notes, alterations } = history;
  const pchannelsOf = new Map<string, Set<string>>();
  const all = [base, ...notes.map(({ catalog }) => catalog)].flatMap(({ collections }) => collections);
  const namesOf = (collection: Collection) => [
    qualifiedName(collection),
    ...(alterations.get(collection.id) ?? []).map(({ alteration: { name, database } }) =>
      qualifiedName({ dbName: database?.name ?? collection.dbName, name: name ?? collection.name })
    ),
  ];
  for (const collection of all) {
    for (const name of namesOf(collection)) {
      pchannelsOf.set(name, (pchannelsOf.get(name) ?? new Set()).union(new Set(collection.pchannels)));
    }
  }
  const shownOn = new Map<bigint, Set<string>>();
  for (const collection of all) {
    for (const name of namesOf(collection)) {
      shownOn.set(collection.id, (shownOn.get(collection.id) ?? new Set()).union(pchannelsOf.get(name)!));
    }
  }
  const parts = (catalog: Catalog) => {
    const found = new Map<string, Collection[]>();
    for (const collection of catalog.collections) {
      for (const pchannel of shownOn.get(collection.id)!) {
        const part = found.get(pchannel);
        if (part === undefined) found.set(pchannel, [collection]);
        else part.push(collection);
      }
    }
    return found;
  };
  const first = parts(base);
  const later = notes.map((note) => ({ note, parts: parts(note.catalog) }));
  const pchannels = new Set([...pchannelsOf.values()].flatMap((some) => [...some]));
  return new Map([...pchannels].map((pchannel) => {
    const kept: CatalogEntry[] = [];
    let before = first.get(pchannel) ?? [];
    for (const { note, parts } of later) {
      const collections = parts.get(pchannel) ?? [];
      if (isSame(before, collections) && note.ts >= (kept.at(-1)?.ts ?? 0n)) continue;
      kept.push({ ...note, catalog: { ...note.catalog, collections } });
      before = collections;
    }
    return [pchannel, { ...history, base: { ...base, collections: first.get(pchannel) ?? [] }, notes: kept }];
  }));
}

function isSame(some: readonly Collection[], others: readonly Collection[]): boolean {
  return some.length === others.length && some.every(({ id, dbName, name }, i) => {
    const other = others[i]!;
    return id === other.id && name === other.name && dbName === other.dbName;
  });
}

/** When a collection was on `pchannel` behind `reach`, up to `end`. */
function unreached(pchannel: string, history: CatalogHistory, reach: HybridTs, end: HybridTs): Span[] {
  if (reach >= end) return [];
  const { base, notes, dropped, alterations } = history;
  const changes = [base, ...notes.map(({ catalog }) => catalog)].flatMap(({ collections }) =>
    collections.map(({ createTs }) => createTs)
  );
  const alteredAt = [...alterations.values()].flat().map(({ ts }) => ts);
  const points = [...new Set([...changes, ...dropped.values(), ...alteredAt, ...notes.map(({ ts }) => ts)])].filter((
    ts,
  ) => ts > reach + 1n && ts <= end);
  const begins = [reach + 1n, ...points.sort((a, b) => a < b ? -1 : 1)];
  return begins.flatMap((from, i) => {
    const used = catalogOf(history, from).collections.filter(({ pchannels }) => pchannels.includes(pchannel));
    const to = i + 1 < begins.length ? begins[i + 1]! - 1n : end;
    return used.length === 0 ? [] : [{ from, to, collections: new Set(used.map(qualifiedName)) }];
  });
}

/** In order, those that touch as one. */
function merged(spans: readonly Span[]): Span[] {
  const whole: Span[] = [];
  for (const span of spans.toSorted((a, b) => a.from < b.from ? -1 : 1)) {
    const last = whole.at(-1);
    if (last === undefined || span.from > last.to + 1n) whole.push(span);
    else {
      whole.pop();
      const to = span.to > last.to ? span.to : last.to;
      whole.push({ from: last.from, to, collections: last.collections.union(span.collections) });
    }
  }
  return whole;
}

function momentOf(ts: HybridTs): Moment {
  return { ts, iso: isoOfHybrid(ts) };
}
