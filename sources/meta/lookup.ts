/** One collection, read from etcd at once. */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { CollectionLookup } from "../../pipeline/model/mod.ts";
import type { EtcdClient } from "../../stores/mod.ts";
import { readAliases } from "./aliases.ts";
import { readCollection, readDatabases } from "./catalog.ts";
import { CatalogKeys } from "./catalog_keys.ts";
import type { MetaRoots } from "./keys.ts";

/** Everything that hangs on `collectionId`, at one revision. Throws as the client does, and `damaged`. */
export async function lookupCollection(
  etcd: EtcdClient,
  { metaRoot, positions }: MetaRoots,
  collectionId: bigint,
  signal: AbortSignal,
): Promise<CollectionLookup> {
  const keys = new CatalogKeys(positions);
  let revision: bigint | undefined;
  const take = async (prefix: string): Promise<void> => {
    const options = revision === undefined ? {} : { revision };
    for await (const page of etcd.range(`${metaRoot}/${prefix}`, options, signal)) {
      revision ??= page.revision;
      for (const { key, value } of page.kvs) keys.apply(key.slice(metaRoot.length + 1), value);
    }
  };
  // Databases first: the key of a collection contains the id of its database.
  await take("root-coord/database/db-info/");
  const one = async (name: string): Promise<void> => {
    for await (const page of etcd.range(`${metaRoot}/${name}`, { revision: revision!, limit: 1 }, signal)) {
      // As a prefix, .../12 also finds .../123; the exact key comes first.
      const kv = page.kvs[0];
      if (kv?.key === `${metaRoot}/${name}`) keys.apply(name, kv.value);
    }
  };
  await Promise.all([
    ...[...keys.databases.keys()].map((db) => one(`root-coord/database/collection-info/${db}/${collectionId}`)),
    one(`root-coord/collection/${collectionId}`),
    one(`querycoord-collection-loadinfo/${collectionId}`),
    ...["partitions", "fields", "functions", "struct-array-fields"].map((child) =>
      take(`root-coord/${child}/${collectionId}/`)
    ),
    ...["database/aliases", "aliases", "collection-alias"].map((layout) => take(`root-coord/${layout}/`)),
    take(`field-index/${collectionId}/`),
    take(`querycoord-partition-loadinfo/${collectionId}/`),
    take(`querycoord-replica/${collectionId}/`),
  ]);
  const reading = readCollection(keys, collectionId, readDatabases(keys), readAliases(keys));
  const damaged = reading.collection?.damaged;
  if (damaged !== undefined) throw new TidemarkError("damaged", damaged);
  switch (reading.state) {
    case "live":
      return { state: "live", collection: reading.collection!, revision: revision! };
    case "creating":
    case "dropping":
      return { state: reading.state, name: reading.name, dbId: reading.dbId };
    case "deleted":
    case "orphan":
      return { state: "unknown" };
  }
}
