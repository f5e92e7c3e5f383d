/** Users, roles, grants and privilege groups of one catalog on one sink, by the DDL policy. */
import type { Catalog, DdlStep, Grant, RowSink } from "../../model/mod.ts";
import type { FlowDependencies } from "../dependencies.ts";
import type { SinkState } from "../state/mod.ts";
import { TargetNotes } from "./target_notes.ts";
import { whoseTarget } from "./whose.ts";

type Needed = Pick<FlowDependencies, "ddl" | "report" | "route" | "routeDatabase">;

export interface RbacTarget {
  readonly sink: RowSink;
  readonly state: SinkState;
  /** Makes the state durable. */
  readonly save: () => Promise<void>;
}

/** `initial`: part of the first copy, which the DDL policy does not concern. */
export async function reconcileRbac(
  deps: Needed,
  { sink, state, save }: RbacTarget,
  catalog: Catalog,
  initial: boolean,
  signal: AbortSignal,
): Promise<void> {
  const { ddl, report } = deps;
  const notes = new TargetNotes({ made: state.made, sink: sink.name, report, save });
  const gate = (step: DdlStep) => notes.gate(step, initial || ddl.decide(step) === "apply");
  for (const outcome of await sink.reconcileRbac(routedCatalog(deps, catalog), whoseTarget(state), gate, signal)) {
    notes.settle(outcome);
  }
}

/** With the grants as the target's names make them. */
export function routedCatalog(deps: Pick<Needed, "route" | "routeDatabase">, catalog: Catalog): Catalog {
  const grants = catalog.rbac.grants.map((grant) => routedGrant(deps, grant));
  return { ...catalog, rbac: { ...catalog.rbac, grants } };
}

/** A grant names databases and collections, which have the names of their routes on the target. */
export function routedGrant({ route, routeDatabase }: Pick<Needed, "route" | "routeDatabase">, grant: Grant): Grant {
  if (grant.dbName === "*") return grant;
  const db = grant.dbName || "default";
  if (grant.objectType !== "Collection" || grant.object === "*") {
    const to = routeDatabase(db);
    return to === db ? grant : { ...grant, dbName: to };
  }
  const to = route(db, grant.object);
  return to.db === db && to.name === grant.object ? grant : { ...grant, dbName: to.db, object: to.name };
}
