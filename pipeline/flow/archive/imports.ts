/** Imports of the source that an archive's base does not hold: their rows are in no log, so only a new base brings them. */
import { type Catalog, type Collection, type ImportTask, qualifiedName, type Snapshot } from "../../model/mod.ts";
import { toTidemarkError } from "../../errors.ts";
import { importedSegments } from "../../transforms/mod.ts";
import type { FlowDependencies } from "../dependencies.ts";
import { unexplainedImports } from "../imports/mod.ts";
import type { SinkState } from "../state/mod.ts";
import { placeOf } from "../tail/mod.ts";
import type { ArchiveExtra } from "./extra.ts";

type Held = Pick<ArchiveExtra, "imports" | "importSegments">;

/** Why a new base is due after these imports; undefined: it is not. */
export function importDemand(
  imports: readonly ImportTask[],
  { collections }: Catalog,
  held: Held,
  selects: FlowDependencies["selects"],
): string | undefined {
  const wanted = imports.filter(({ id }) => !held.imports.includes(id)).flatMap(({ collectionId }) =>
    collections.filter(({ id, dbName, name }) => id === collectionId && selects(dbName, name))
  );
  const last = wanted.at(-1);
  return last === undefined
    ? undefined
    : `an import into ${qualifiedName(last)} was completed, and its rows are in no log`;
}

/** Why a new base is due after what the metadata tells of imports that are done, or has forgotten; undefined: it is not. */
export async function importsDue(
  deps: FlowDependencies,
  snapshot: Snapshot,
  collections: readonly Collection[],
  held: { readonly state: SinkState; readonly extra: ArchiveExtra },
  signal: AbortSignal,
): Promise<string | undefined> {
  const completed = snapshot.imports.filter(({ state }) => state === "completed");
  return importDemand(completed, snapshot.catalog, held.extra, deps.selects) ??
    await forgottenDemand(deps, snapshot, collections, held, signal);
}

/** What the base holds of imports, as of the snapshot that it is made of. */
export function heldImports(snapshot: Snapshot, collections: readonly Collection[]): Held {
  return {
    imports: snapshot.imports.filter((task) => task.state === "completed").map(({ id }) => id),
    importSegments: collections.flatMap((collection) => importedSegments(snapshot, collection)).map(({ id }) => id),
  };
}

/**
 * The same for imports that came and went while no run was there, and that the source has forgotten since. An archive of before
 * their segments were noted is taken to hold those that there are.
 */
export async function forgottenDemand(
  deps: FlowDependencies,
  snapshot: Snapshot,
  collections: readonly Collection[],
  { state, extra }: { readonly state: SinkState; readonly extra: ArchiveExtra },
  signal: AbortSignal,
): Promise<string | undefined> {
  const named = new Set(snapshot.imports.flatMap(({ segmentIds }) => segmentIds));
  extra.importSegments ??= heldImports(snapshot, collections).importSegments;
  const held = new Set(extra.importSegments);
  for (const collection of collections) {
    const reason = `an import into ${
      qualifiedName(collection)
    } was forgotten by the source, and its rows are in no log`;
    if (importedSegments(snapshot, collection).some(({ id }) => !held.has(id) && !named.has(id))) return reason;
    try {
      const place = (vchannel: string) => placeOf(state, vchannel);
      if ((await unexplainedImports(deps, snapshot, collection, place, signal)).length > 0) return reason;
    } catch (thrown) {
      // The source compacts under it: a new base is right whatever it was.
      if (signal.aborted || toTidemarkError(thrown).code !== "not_found") throw thrown;
      return `whether ${qualifiedName(collection)} has rows that are in no log could not be read`;
    }
  }
  return undefined;
}
