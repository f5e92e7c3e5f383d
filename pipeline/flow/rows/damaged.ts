/** Collections whose metadata cannot be read: nothing is made by it. */
import { TidemarkError } from "../../errors.ts";
import type { Catalog, Collection } from "../../model/mod.ts";

/** Throws `damaged`. */
export function refuseDamaged({ damaged }: Pick<Collection, "damaged">): void {
  if (damaged !== undefined) throw new TidemarkError("damaged", damaged);
}

/** The live collections of a catalog by id; of one that is damaged what was known before, if that is anything. */
export function liveOf({ collections }: Catalog, before: ReadonlyMap<bigint, Collection>): Map<bigint, Collection> {
  return new Map(collections.map((collection) => {
    const { id, damaged } = collection;
    return [id, damaged === undefined ? collection : before.get(id) ?? collection];
  }));
}
