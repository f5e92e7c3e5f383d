/** Keys of the catalog whose value is not what Milvus keeps there, by the collection that the key names: it alone is held. */
import { TidemarkError } from "../../pipeline/errors.ts";

/** The record of a collection, and what hangs on it. */
const RECORD = /^root-coord\/(?:collection|database\/collection-info\/\d{1,20})\/(\d{1,20})$/;
const CHILD =
  /^(?:root-coord\/(?:partitions|fields|functions|struct-array-fields)|field-index|querycoord-(?:collection-loadinfo|partition-loadinfo|replica))\/(\d{1,20})(?:\/|$)/;

export class DamagedCatalog {
  /** Collection id, then key. */
  readonly #errors = new Map<bigint, Map<string, TidemarkError>>();

  /** Takes a key as it is now. Throws `damaged` where the key names no collection. */
  guard(key: string, take: () => void): void {
    const found = RECORD.exec(key) ?? CHILD.exec(key);
    if (found === null) return take();
    const id = BigInt(found[1]!);
    const errors = this.#errors.get(id);
    errors?.delete(key);
    if (errors?.size === 0) this.#errors.delete(id);
    try {
      take();
    } catch (thrown) {
      if (!(thrown instanceof TidemarkError) || thrown.code !== "damaged") throw thrown;
      this.#errors.set(id, (this.#errors.get(id) ?? new Map<string, TidemarkError>()).set(key, thrown));
    }
  }

  get collectionIds(): Iterable<bigint> {
    return this.#errors.keys();
  }

  /** Of any key of the collection. */
  of(id: bigint): TidemarkError | undefined {
    return this.#errors.get(id)?.values().next().value;
  }

  /** Of its record, which is where its name is. */
  ofRecord(id: bigint): TidemarkError | undefined {
    return [...this.#errors.get(id) ?? []].find(([key]) => RECORD.test(key))?.[1];
  }
}

/** What a collection is held with. */
export function reasonOf({ message, hint }: TidemarkError): string {
  return hint === undefined ? message : `${message}. ${hint}`;
}
