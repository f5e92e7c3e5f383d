import { deepStrictEqual } from "node:assert/strict";
import type { Catalog } from "../../../pipeline/model/mod.ts";
import { catalogOf } from "../../../sources/backup/mod.ts";
import { decodeCatalogEntry, encodeCatalogEntry } from "../../../stores/mod.ts";
import { catalog, collection, historyOf } from "./sample_catalog.ts";

const names = (at: Catalog) => at.collections.map(({ name }) => name).sort();

Deno.test("catalogOf gives what was noted last, and what was made before the moment but noted after it", () => {
  const history = historyOf(
    catalog(collection(1n)),
    [
      { revision: 2n, ts: 110n, catalog: catalog(collection(1n, { name: "renamed" })) },
      { revision: 3n, ts: 130n, catalog: catalog(collection(1n, { name: "renamed" }), collection(120n)) },
      { revision: 4n, ts: 140n, catalog: catalog(collection(120n)) },
    ],
  );
  deepStrictEqual(names(catalogOf(history, 100n)), ["c1"]);
  deepStrictEqual(names(catalogOf(history, 119n)), ["renamed"]);
  deepStrictEqual(names(catalogOf(history, 120n)), ["c120", "renamed"]);
  deepStrictEqual(names(catalogOf(history, 140n)), ["c120"]);
});

Deno.test("catalogOf knows a partition from its creation on, not from its note on", () => {
  const old = collection(1n);
  const made = { ...old, partitions: [...old.partitions, { id: 77n, name: "p", createTs: 105n }] };
  const again = { ...old, partitions: [...old.partitions, { id: 88n, name: "p", createTs: 125n }] };
  const history = historyOf(
    catalog(old),
    [
      { revision: 2n, ts: 110n, catalog: catalog(made) },
      { revision: 3n, ts: 130n, catalog: catalog(again) },
    ],
  );
  const partitions = (ts: bigint) => catalogOf(history, ts).collections[0]!.partitions.map(({ id }) => id);
  deepStrictEqual(partitions(104n), [10n]);
  deepStrictEqual(partitions(105n), [10n, 77n]);
  // Dropped and made again under its name: the drop was noted late.
  deepStrictEqual(partitions(125n), [10n, 88n]);
});

Deno.test("catalogOf gives a name to the newer collection where the older one's drop was noted late", () => {
  const again = collection(120n, { name: "c1" });
  const history = historyOf(catalog(collection(1n)), [{ revision: 2n, ts: 130n, catalog: catalog(again) }]);
  deepStrictEqual(catalogOf(history, 121n).collections.map(({ id }) => id), [120n]);
});

Deno.test("catalogOf knows a collection until its drop where the log says when that was", () => {
  const notes = [{ revision: 2n, ts: 130n, catalog: catalog(collection(1n)) }];
  const history = historyOf(catalog(collection(1n), collection(2n)), notes, new Map([[2n, 110n]]));
  deepStrictEqual(names(catalogOf(history, 109n)), ["c1", "c2"]);
  deepStrictEqual(names(catalogOf(history, 110n)), ["c1"]);
  deepStrictEqual(names(catalogOf(history, 130n)), ["c1"]);
});

Deno.test("encodeCatalogEntry keeps when partitions were made and collections dropped, which milvus-backup's metadata does not", () => {
  const partitions = [{ id: 10n, name: "_default", createTs: 1n }, {
    id: 77n,
    name: "p",
    createTs: 470614418234802190n,
  }];
  const noted = catalog(collection(1n, { partitions }));
  const dropped = new Map([[470614418234802191n, 470614418234802192n]]);
  const entry = decodeCatalogEntry(encodeCatalogEntry("b", { revision: 2n, ts: 3n, catalog: noted, dropped }), "entry");
  deepStrictEqual(entry.catalog.collections[0]!.partitions, partitions);
  deepStrictEqual(entry.dropped, dropped);
});
