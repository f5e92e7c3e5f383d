import { TidemarkError } from "../errors.ts";
import { type Collection, qualifiedName, type TargetName } from "../model/mod.ts";
import type { FlowDependencies, RowSinkSetup } from "./dependencies.ts";
import { Held } from "./held.ts";

/** The target's name is taken by something that this run did not make: `on_existing` says what happens. */
export async function makeRoom(
  deps: Pick<FlowDependencies, "report">,
  setup: RowSinkSetup,
  collection: Collection,
  target: TargetName,
  rows: bigint,
  signal: AbortSignal,
): Promise<void> {
  switch (setup.onExisting) {
    case "merge":
      return;
    case "replace":
      deps.report.info(`Replaces ${target.db}.${target.name} (${rows} rows) on ${setup.sink.name}`);
      await setup.sink.dropCollection(target, signal);
      return;
    case "fail":
      throw new Held(
        new TidemarkError(
          "target_not_empty",
          `${target.db}.${target.name} exists on ${setup.sink.name} already (${rows} rows), so ${
            qualifiedName(collection)
          } cannot be copied there`,
          {
            hint:
              `Set sinks.${setup.sink.name}.on_existing to merge (upsert into it) or replace (drop it first), or route the collection elsewhere.`,
          },
        ),
      );
  }
}
