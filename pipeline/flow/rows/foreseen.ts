/** What a run would change on a target, for `plan`: nothing is changed. */
import type { Collection, DdlStep, Snapshot, TargetName, WhoseCollection } from "../../model/mod.ts";
import type { FlowDependencies, RowSinkSetup } from "../dependencies.ts";
import { type CollectionState, newCollectionState, newSinkState, type SinkState } from "../state/mod.ts";
import { wantedDatabases } from "./databases.ts";
import { routedCatalog } from "./rbac.ts";
import { whoseCollection, whoseTarget } from "./whose.ts";
import { plural } from "../../units/mod.ts";

/** Whose is what is there of a collection. `own`: undefined where nothing of it was copied yet. */
export function foreseeWhose(
  deps: FlowDependencies,
  { onExisting }: RowSinkSetup,
  { catalog }: Snapshot,
  collection: Collection,
  place: {
    readonly target: TargetName;
    readonly state: SinkState | undefined;
    readonly own: CollectionState | undefined;
    /** Something has the name there. */
    readonly exists: boolean;
  },
): WhoseCollection {
  const { target, exists, state = newSinkState() } = place;
  const { dbName, name, id, vchannels } = collection;
  const fresh = newCollectionState(id, { db: dbName, name }, target, vchannels, "creating");
  if (!exists || onExisting === "replace") fresh.made.add("collection");
  const live = (id: bigint) => catalog.collections.find((one) => one.id === id);
  const own = place.own ?? fresh;
  const whose = whoseCollection({ aliases: deps.aliases, onExisting, state, own, target, live });
  // What is replaced goes, with all that is on it.
  return place.own === undefined && onExisting === "replace" ? { ...whose, made: () => true } : whose;
}

/** That the target lets nobody create what it must have for this copy. */
export async function foreseeDatabases(
  sink: RowSinkSetup["sink"],
  steps: readonly DdlStep[],
  signal: AbortSignal,
): Promise<string[]> {
  const made = steps.flatMap(({ makes = [] }) => makes).flatMap((thing) =>
    thing.kind === "database" ? [thing.name] : []
  );
  if (made.length === 0) return [];
  const words = await sink.databasesRefused?.(signal);
  const which = `The ${plural(made.length, `database ${made[0]} is`, `databases ${made.join(", ")} are`)}`;
  return words === undefined ? [] : [
    `${which} not on ${sink.name}, and its user may not create ${
      plural(made.length, "it", "them")
    }: ${words}. Create what is missing there, or grant the user CreateDatabase`,
  ];
}

/** Databases, users and roles. */
export async function foreseeTarget(
  deps: FlowDependencies,
  { sink }: RowSinkSetup,
  { catalog }: Snapshot,
  state: SinkState | undefined,
  signal: AbortSignal,
): Promise<DdlStep[]> {
  const whose = whoseTarget(state ?? newSinkState());
  const skip = () => "skip" as const;
  const databases = [...wantedDatabases(deps, catalog).values()];
  return [
    ...await sink.reconcileDatabases(databases, [], whose, skip, signal),
    ...deps.rbac ? await sink.reconcileRbac(routedCatalog(deps, catalog), whose, skip, signal) : [],
  ];
}
