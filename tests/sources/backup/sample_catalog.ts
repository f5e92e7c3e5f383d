/** Catalogs for tests of what they were at a moment. */
import type { Catalog, Collection, HybridTs, LoggedAlteration } from "../../../pipeline/model/mod.ts";
import { backupSnapshot, type CatalogHistory, catalogHistory, readBackup } from "../../../sources/backup/mod.ts";
import { type CatalogEntry, createFileStore } from "../../../stores/mod.ts";

const samples = createFileStore(new URL("../../samples", import.meta.url).pathname);
const sample = backupSnapshot(await readBackup(samples, "milvus-backup-0.5.16")).catalog.collections[0]!;

/** On the pchannel `p<id>`, made at `id`: a collection of which only what the history looks at matters. */
export function collection(id: bigint, more: Partial<Collection> = {}): Collection {
  const partitions = [{ id: id * 10n, name: "_default", createTs: id }];
  return { ...sample, id, name: `c${id}`, createTs: id, pchannels: [`p${id}`], partitions, aliases: [], ...more };
}

export function catalog(...collections: Collection[]): Catalog {
  const rbac = { users: [], roles: [], grants: [], privilegeGroups: [] };
  return { databases: [], collections, rbac, notLive: [] };
}

export function historyOf(
  base: Catalog,
  notes: readonly CatalogEntry[],
  dropped: ReadonlyMap<bigint, HybridTs> = new Map(),
  alterations: readonly LoggedAlteration[] = [],
): CatalogHistory {
  return catalogHistory(base, notes, {
    dropped,
    alterations: Map.groupBy(alterations, ({ collectionId }) => collectionId),
  });
}
