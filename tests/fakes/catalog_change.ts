import type { Catalog, CatalogChange } from "../../pipeline/model/mod.ts";

/** What the watch of a source tells; nothing but what `change` says. */
export function catalogChange(revision: bigint, catalog: Catalog, change: Partial<CatalogChange>): CatalogChange {
  return {
    revision,
    catalog,
    changed: [],
    gone: [],
    databasesChanged: false,
    rbacChanged: false,
    importsCompleted: [],
    ...change,
  };
}
