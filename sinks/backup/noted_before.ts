/** Collections that can no longer be read, as the backup's own notes have them. */
import type { Catalog, Collection, ObjectStore } from "../../pipeline/model/mod.ts";
import { readCatalogJournal } from "../../stores/mod.ts";

export class NotedBefore {
  readonly #store: ObjectStore;
  readonly #name: string;
  #noted: ReadonlyMap<bigint, Collection> | undefined;

  constructor(store: ObjectStore, name: string) {
    this.#store = store;
    this.#name = name;
  }

  /** Without those that no note has: a base left them out, or there has been nothing to note of them. */
  async instead(catalog: Catalog, signal: AbortSignal): Promise<Catalog> {
    if (catalog.collections.every(({ damaged }) => damaged === undefined)) return catalog;
    const noted = this.#noted ??= await this.#read(signal);
    const collections = catalog.collections.flatMap((collection) =>
      collection.damaged === undefined ? [collection] : noted.get(collection.id) ?? []
    );
    return { ...catalog, collections };
  }

  async #read(signal: AbortSignal): Promise<ReadonlyMap<bigint, Collection>> {
    const notes = await readCatalogJournal(this.#store, this.#name, signal);
    notes.sort((a, b) => a.revision < b.revision ? -1 : 1);
    return new Map(
      notes.flatMap(({ catalog }) => catalog.collections.map((collection) => [collection.id, collection])),
    );
  }
}
