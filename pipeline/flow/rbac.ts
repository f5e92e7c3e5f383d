/** Users, roles, grants and privilege groups of one catalog on one sink, by the DDL policy. */
import type { Catalog, RowSink } from "../model/mod.ts";
import type { FlowDependencies } from "./dependencies.ts";

export async function reconcileRbac(
  { ddl, report }: Pick<FlowDependencies, "ddl" | "report">,
  sink: RowSink,
  catalog: Catalog,
  signal: AbortSignal,
): Promise<void> {
  const gate = (step: Parameters<typeof ddl.decide>[0]) => ddl.decide(step) === "apply" ? "apply" : "skip";
  for (const outcome of await sink.reconcileRbac(catalog, gate, signal)) {
    report.ddl(outcome);
    if (outcome.result === "refused") report.warn(outcome.sentence, `${outcome.sentence}: ${outcome.detail}`);
  }
}
