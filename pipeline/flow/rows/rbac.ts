/** Users, roles, grants and privilege groups of one catalog on one sink, by the DDL policy. */
import type { Catalog, DdlStep, Grant, RowSink } from "../../model/mod.ts";
import type { FlowDependencies } from "../dependencies.ts";

type Needed = Pick<FlowDependencies, "ddl" | "report" | "route" | "routeDatabase">;

/** `initial`: part of the first copy, which the DDL policy does not concern. */
export async function reconcileRbac(
  deps: Needed,
  sink: RowSink,
  catalog: Catalog,
  initial: boolean,
  signal: AbortSignal,
): Promise<void> {
  const { ddl, report } = deps;
  const gate = (step: DdlStep) => initial || ddl.decide(step) === "apply" ? "apply" : "skip";
  const grants = catalog.rbac.grants.map((grant) => routedGrant(deps, grant));
  for (const outcome of await sink.reconcileRbac({ ...catalog, rbac: { ...catalog.rbac, grants } }, gate, signal)) {
    report.ddl(outcome);
  }
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
