/** Which alias points where; the same alias can be in three layouts, the newest counts. */
import { AliasState } from "../../pipeline/proto/gen/etcd_meta_pb.ts";
import { type AliasLayout, type CatalogKeys, DEFAULT_DB, type StoredAlias } from "./catalog_keys.ts";
import { DELETED } from "./keys.ts";
import type { NotLiveReading } from "./readings.ts";

const NEWEST_FIRST: readonly AliasLayout[] = ["database/aliases", "aliases", "collection-alias"];

export interface AliasReading {
  /** Collection id -> its live aliases, sorted. */
  readonly byCollection: ReadonlyMap<bigint, readonly string[]>;
  readonly notLive: readonly NotLiveReading[];
  /** Aliases that are in more than one layout: name and the layout that counts. */
  readonly doubled: readonly { readonly name: string; readonly layout: AliasLayout }[];
}

export function readAliases(keys: CatalogKeys): AliasReading {
  const winners = new Map<string, StoredAlias>();
  const doubled = new Map<string, { name: string; layout: AliasLayout }>();
  const ordered = [...keys.aliases.values()].sort((a, b) => rank(a) - rank(b));
  for (const alias of ordered) {
    const dbId = dbOf(alias);
    const identity = `${dbId}/${alias.name}`;
    const winner = winners.get(identity);
    if (winner === undefined) winners.set(identity, alias);
    else if (winner.layout !== alias.layout) doubled.set(identity, { name: alias.name, layout: winner.layout });
  }
  const byCollection = new Map<bigint, string[]>();
  const notLive: NotLiveReading[] = [];
  for (const { name, value } of winners.values()) {
    if (value === DELETED) notLive.push({ kind: "alias", id: name, name, reason: "tombstone" });
    else if (value.state !== AliasState.AliasCreated) {
      notLive.push({ kind: "alias", id: name, name, reason: AliasState[value.state] ?? `state ${value.state}` });
    } else {
      const names = byCollection.get(value.collectionId);
      if (names === undefined) byCollection.set(value.collectionId, [name]);
      else names.push(name);
    }
  }
  for (const names of byCollection.values()) names.sort();
  return { byCollection, notLive, doubled: [...doubled.values()] };
}

function rank(alias: StoredAlias): number {
  return NEWEST_FIRST.indexOf(alias.layout);
}

function dbOf({ dbId, value }: StoredAlias): bigint {
  const id = dbId ?? (value === DELETED ? 0n : value.dbId);
  return id === 0n ? DEFAULT_DB : id;
}
