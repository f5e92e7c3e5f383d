/** What a collection's rows are by all that happened to them, each at its time. */
import type { Collection, HybridTs } from "../../../pipeline/model/mod.ts";
import { shardOf } from "../../../pipeline/transforms/mod.ts";

/** Partition -> key -> value. */
export type Content = Map<string, Map<bigint, bigint>>;

/** Of all partitions. */
export const ALL = -1n;

/** What happened to a key, or to all of a shard. */
export interface Deed {
  readonly ts: HybridTs;
  readonly partition: bigint;
  readonly shard: number;
  readonly key?: bigint;
  readonly value?: bigint;
  /** No record of the log has it. */
  readonly imported?: true;
}

export function contentOf(collection: Collection, deeds: readonly Deed[]): Content {
  const content: Content = new Map(collection.partitions.map(({ name }) => [name, new Map()]));
  const names = new Map(collection.partitions.map(({ id, name }) => [id, name]));
  const rank = (deed: Deed) => deed.value === undefined ? 0 : 1;
  for (const deed of [...deeds].sort((a, b) => a.ts < b.ts ? -1 : a.ts > b.ts ? 1 : rank(a) - rank(b))) {
    const places = deed.partition === ALL ? [...content.values()] : [content.get(names.get(deed.partition) ?? "")];
    for (const place of places) {
      if (place === undefined) continue;
      if (deed.key === undefined) {
        for (const key of place.keys()) {
          if (shardOf(key, collection.pchannels.length) === deed.shard) place.delete(key);
        }
      } else if (deed.value === undefined) place.delete(deed.key);
      else place.set(deed.key, deed.value);
    }
  }
  return content;
}
