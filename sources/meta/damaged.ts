/**
 * Values of segments and channels that are not what their keys say. Each concerns the collection that its key names: the others
 * can be copied without it.
 */
import { TidemarkError } from "../../pipeline/errors.ts";

export class DamagedCollections {
  readonly #reasons = new Map<bigint, string>();

  /** Does what may throw `damaged` for a key of `datacoord-meta/`. Throws on where the key names no collection. */
  guard(key: string, work: () => void): void {
    try {
      work();
    } catch (thrown) {
      const id = collectionIn(key);
      if (!(thrown instanceof TidemarkError) || thrown.code !== "damaged" || id === undefined) throw thrown;
      this.note(id, thrown);
    }
  }

  /** The first counts. */
  readonly note = (collectionId: bigint, { message, hint }: TidemarkError): void => {
    if (!this.#reasons.has(collectionId)) {
      this.#reasons.set(collectionId, hint === undefined ? message : `${message}. ${hint}`);
    }
  };

  get reasons(): ReadonlyMap<bigint, string> {
    return this.#reasons;
  }
}

/** `datacoord-meta/<kind>/<collection>/…`, or `datacoord-meta/channel-…/<pchannel>_<collection>v<shard>`. */
function collectionIn(key: string): bigint | undefined {
  const found = /^datacoord-meta\/(?:s|binlog|deltalog|predicate-deltalog|statslog|bm25log)\/(\d{1,20})\//.exec(key) ??
    /^datacoord-meta\/channel-.*_(\d{1,20})v\d+$/.exec(key);
  return found === null ? undefined : BigInt(found[1]!);
}
