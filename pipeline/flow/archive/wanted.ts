/** Whose records belong into an archive. */
import { type Catalog, qualifiedName } from "../../model/mod.ts";
import type { FlowDependencies } from "../dependencies.ts";
import { ownCollectionState, type SinkState } from "../state/mod.ts";
import { noteBeginning } from "./beginning.ts";
import type { LeftOut } from "./left_out.ts";

export class Wanted {
  readonly #deps: Pick<FlowDependencies, "selects" | "report">;
  readonly #state: SinkState;
  readonly #left: Pick<LeftOut, "has">;
  readonly #not = new Set<bigint>();

  constructor(deps: Pick<FlowDependencies, "selects" | "report">, state: SinkState, left: Pick<LeftOut, "has">) {
    this.#deps = deps;
    this.#state = state;
    this.#left = left;
  }

  /**
   * A collection that nobody knows yet may turn out to be selected, so its records are kept: too many do no harm, a missing
   * one does.
   */
  has(id: bigint): boolean {
    return !this.#not.has(id);
  }

  /** New collections are archived from their creation. */
  learn(catalog: Catalog): void {
    const { collections } = this.#state;
    for (const collection of catalog.collections) {
      const { id } = collection;
      const selected = this.#deps.selects(collection.dbName, collection.name);
      const known = collections.get(id);
      if (selected && known === undefined && !this.#left.has(id)) {
        if (this.#not.has(id)) {
          this.#deps.report.warn(
            `passed over ${id}`,
            `${
              qualifiedName(collection)
            } is selected since it got its name: this backup lacks what it held before. Begin another backup to have it whole`,
          );
        }
        collections.set(id, ownCollectionState(collection, "tail"));
        noteBeginning(this.#state, collection);
      }
      if (selected || known !== undefined) this.#not.delete(id);
      else this.#not.add(id);
    }
  }
}
