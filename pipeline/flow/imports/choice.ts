/** Whether a collection's base is imported or written by rows, and how an import that failed is given up. */
import { TidemarkError } from "../../errors.ts";
import { type BulkImport, type Collection, qualifiedName } from "../../model/mod.ts";
import type { FlowDependencies, RowSinkSetup } from "../dependencies.ts";
import { removeFolder } from "./files.ts";
import { importObstacle } from "./gate.ts";
import { settleImports } from "./tasks.ts";
import { ImportTrouble } from "./trouble.ts";
import type { CollectionState } from "../state/mod.ts";

/** What the choice needs of the row sink whose base it is. */
export interface ChoiceOptions {
  readonly deps: Pick<FlowDependencies, "report" | "now" | "waits">;
  readonly setup: RowSinkSetup;
  /** Makes the state durable. */
  readonly save: () => Promise<void>;
}

/**
 * What may take this collection's segments whole; undefined where its rows are written one by one, which is said with the reason
 * where the configuration asks for more. Throws {@link ImportTrouble}, stale, for one that an earlier run began to import.
 */
export async function chooseBulk(
  options: ChoiceOptions,
  collection: Collection,
  own: CollectionState,
  resumed: boolean,
  signal: AbortSignal,
): Promise<BulkImport | undefined> {
  const { deps, setup, save } = options;
  const { bulk } = setup.sink;
  const begun = own.importUnits.length > 0;
  const gate = { setup, collection, target: own.target, own, agreed: own.agreed, resumed, made: true };
  const reason = await importObstacle(gate, signal);
  if (reason === undefined) return bulk;
  if (begun) {
    throw new ImportTrouble(
      new TidemarkError("unexpected", `An earlier run began to import ${qualifiedName(collection)}, but ${reason}`),
      true,
    );
  }
  if (bulk !== undefined && own.importFolder !== "") {
    // An earlier run put files there and was killed before it asked for an import of them.
    await removeFolder(bulk, own.importFolder, signal);
    own.importFolder = "";
    await save();
  }
  if (bulk !== undefined && bulk.mode !== "rows") {
    const name = qualifiedName(collection);
    deps.report.warn(`by rows ${collection.id}`, `${name} is not imported but written by rows: ${reason}`);
  }
  return undefined;
}

/** Removes what only the imports of a collection need. */
export async function leaveImports(
  { report }: Pick<FlowDependencies, "report">,
  { sink: { bulk } }: Pick<RowSinkSetup, "sink">,
  { importFolder }: CollectionState,
  signal: AbortSignal,
): Promise<void> {
  if (bulk !== undefined) await removeFolder(bulk, importFolder, signal);
  else if (importFolder !== "") {
    report.warn(
      `left ${importFolder}`,
      `${importFolder} stays in the target's storage, which the configuration does not name any more: remove it by hand`,
    );
  }
}

/**
 * What an import left half done goes; then the base begins anew, by rows unless only the import of an earlier run is to blame.
 * Undefined if the collection is not to be on the target. `makeAnew` makes it there once more, empty.
 */
export async function beginAnew(
  { deps, setup, save }: ChoiceOptions,
  collection: Collection,
  own: CollectionState,
  { error, stale }: ImportTrouble,
  makeAnew: () => Promise<CollectionState | undefined>,
  signal: AbortSignal,
): Promise<CollectionState | undefined> {
  const { bulk } = setup.sink;
  deps.report.warn(
    `import ${collection.id}`,
    `${error.message}; ${qualifiedName(collection)} is begun anew${stale ? "" : ", by rows"}`,
  );
  if (bulk !== undefined) {
    const waiter = { component: `sinks.${setup.sink.name}`, collection: qualifiedName(collection), aside: true };
    const reason = "Its imports are given up: waits until those that the target works on have ended";
    await deps.waits.during(
      waiter,
      reason,
      () => settleImports(bulk, own.target, own.importUnits, deps.now, signal),
    );
  }
  await leaveImports(deps, setup, own, signal);
  const again = await makeAnew();
  if (again === undefined) return undefined;
  if (!stale) again.byRows = "its import failed";
  await save();
  return again;
}
