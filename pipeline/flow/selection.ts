/** What is looked at of the configuration against the catalog, before anything is made: is there anything, has each its name. */
import { TidemarkError } from "../errors.ts";
import { type Catalog, type Collection, qualifiedName, type Snapshot, type UnsettledChange } from "../model/mod.ts";
import type { FlowDependencies } from "./dependencies.ts";
import type { RunState } from "./state/mod.ts";

type Needed = Pick<FlowDependencies, "selects" | "selectsDatabase" | "selection">;

/** Names of collections that a message lists; of more it says how many each database has. */
const NAMES = 12;
/** A broadcast takes some milliseconds; one that takes so long is of a source that does not run. */
export const SETTLE_MS = 30_000;

/** Collections of the catalog that are carried. */
export function selectedOf({ selects }: Pick<FlowDependencies, "selects">, { collections }: Catalog): Collection[] {
  return collections.filter(({ dbName, name }) => selects(dbName, name));
}

/** Of those that are selected, the ones whose metadata can be used. */
export function usableOf(
  deps: Pick<FlowDependencies, "selects">,
  { catalog, unusable }: Pick<Snapshot, "catalog" | "unusable">,
): Collection[] {
  return selectedOf(deps, catalog).filter(({ id }) => unusable?.has(id) !== true);
}

/** A change of a selected collection that some channels have passed and others not: a copy does not begin in the middle of it. */
export function unsettledOf(deps: Pick<FlowDependencies, "selects">, snapshot: Snapshot): UnsettledChange | undefined {
  const ids = new Set(selectedOf(deps, snapshot.catalog).map(({ id }) => id));
  return snapshot.unsettled?.find(({ collectionId }) => ids.has(collectionId));
}

/** Why a copy of a collection with such a change does not begin. */
export function untilSettled({ typeName }: UnsettledChange): string {
  return `Waits until ${typeName} has reached every channel of its collection`;
}

/**
 * Throws `config` where the selection takes nothing of the source: more likely than an intention is a mistake in a pattern,
 * and a copy of nothing would be called complete. A database without collections is something. `state`: what it names was
 * selected once and may have been dropped since; the run has that to carry.
 */
export function requireSelection(deps: Needed, catalog: Catalog, state: RunState | undefined): void {
  const { selects, selectsDatabase, selection: { allowEmpty, include, exclude, source } } = deps;
  if (allowEmpty || selectedOf(deps, catalog).length > 0) return;
  if (catalog.databases.some(({ name }) => name !== "default" && selectsDatabase(name))) return;
  const known = [...state?.sinks.values() ?? []].flatMap(({ collections }) => [...collections.values()]);
  if (known.some((own) => selects(own.source.db, own.source.name))) return;
  const meanwhile = "transforms.select.allow_empty: true begins with nothing and takes what comes.";
  if (catalog.collections.length === 0) {
    throw new TidemarkError("config", `Nothing to copy: ${source} is empty, it has no collection`, {
      hint: `If it should have some, this is another one than you mean: look at sources. ${meanwhile}`,
    });
  }
  const excluded = exclude.length === 0 ? "" : ` without ${exclude.join(", ")}`;
  throw new TidemarkError(
    "config",
    `Nothing is selected: transforms.select (${include.join(", ")}${excluded}) takes none of what ${source} has: ${
      namesOf(catalog.collections)
    }`,
    { hint: `Patterns are database.collection; * stands for any characters, ? for one. ${meanwhile}` },
  );
}

function namesOf(collections: readonly Collection[]): string {
  const names = collections.map(qualifiedName).sort();
  if (names.length <= NAMES) return names.join(", ");
  const databases = [...Map.groupBy(collections, ({ dbName }) => dbName)].map(([db, { length }]) =>
    `${length} in ${db}`
  );
  const most = databases.slice(0, NAMES).sort().join(", ") + (databases.length > NAMES ? ", …" : "");
  return `${names.slice(0, NAMES).join(", ")} and ${names.length - NAMES} more (${most})`;
}

type Routed = Pick<FlowDependencies, "selects" | "route" | "aliases">;

/** One sentence for each name of the target, of a collection or an alias, that several selected collections would have. */
export function nameClashes(deps: Routed, catalog: Catalog): string[] {
  const byTarget = Map.groupBy(selectedOf(deps, catalog), ({ dbName, name }) => {
    const target = deps.route(dbName, name);
    return `${target.db}.${target.name}`;
  });
  return [...collectionClashes(byTarget), ...deps.aliases === "none" ? [] : aliasClashes(deps, catalog, byTarget)];
}

type ByTarget = ReadonlyMap<string, readonly Collection[]>;

function aliasClashes(deps: Routed, catalog: Catalog, byTarget: ByTarget): string[] {
  const claims = selectedOf(deps, catalog).flatMap((collection) => {
    const { db } = deps.route(collection.dbName, collection.name);
    return collection.aliases.map((alias) => ({ name: `${db}.${alias}`, collection }));
  });
  return [...Map.groupBy(claims, ({ name }) => name)].flatMap(([name, all]) => {
    const those = all.map(({ collection }) => collection);
    const said = those.map(qualifiedName).join(" and ");
    const named = byTarget.get(name)?.filter((collection) => !those.includes(collection)) ?? [];
    return [
      ...those.length > 1 ? [`${said} have an alias that would be ${name} on the target for each`] : [],
      ...named.map((other) => `The alias of ${said} and the collection ${qualifiedName(other)} would both be ${name}`),
    ];
  });
}

function collectionClashes(byTarget: ByTarget): string[] {
  return [...byTarget].filter(([, { length }]) => length > 1).map(([target, those]) =>
    `${those.map(qualifiedName).join(" and ")} ${those.length === 2 ? "both" : "all"} go to ${target}`
  );
}

/** Throws `config` where {@link nameClashes} finds some. */
export function refuseClashes(deps: Routed, catalog: Catalog): void {
  const clashes = nameClashes(deps, catalog);
  if (clashes.length === 0) return;
  throw new TidemarkError("config", `${clashes.join("; ")}: one name of the target is for one collection`, {
    hint:
      "Change transforms.route so that every collection and alias has a name of its own, or leave one out; transforms.aliases: none carries no aliases. Nothing was made.",
  });
}
