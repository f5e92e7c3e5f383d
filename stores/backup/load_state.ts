/** milvus-backup's words for whether a collection or partition is loaded. */
import type { Collection, LoadState } from "../../pipeline/model/mod.ts";

export function loadStateText({ load }: Collection): string {
  if (load === undefined) return "NotLoad";
  return load.loaded ? "Loaded" : "Loading";
}

export function partitionLoadStateText(collection: Collection, partitionId: bigint): string {
  const { load } = collection;
  // Partitions of a loaded collection can be released one by one; older releases name none of a collection.
  const named = load !== undefined && (load.scope === "partitions" || load.partitionIds.length > 0);
  if (named && !load.partitionIds.includes(partitionId)) return "NotLoad";
  return loadStateText(collection);
}

/** `partitions`: id and state text of each. */
export function parseLoadState(
  text: string,
  partitions: readonly (readonly [id: bigint, state: string])[],
): LoadState | undefined {
  const isLoaded = (state: string) => state === "Loaded" || state === "Loading";
  if (!isLoaded(text)) return undefined;
  const named = partitions.filter(([, state]) => state !== "");
  const loaded = named.filter(([, state]) => isLoaded(state)).map(([id]) => id);
  const some = loaded.length > 0 && loaded.length < named.length;
  return {
    scope: some ? "partitions" : "collection",
    partitionIds: some ? loaded : [],
    replicas: 1,
    loadFields: [],
    loaded: text === "Loaded",
  };
}
