import { deepStrictEqual, strictEqual } from "node:assert/strict";
import type { Catalog, Collection } from "../../../pipeline/model/mod.ts";
import {
  type ArchiveReport,
  backupSnapshot,
  catalogOf,
  readBackup,
  restorableRange,
} from "../../../sources/backup/mod.ts";
import { createFileStore, decodeCatalogEntry, encodeCatalogEntry } from "../../../stores/mod.ts";

const samples = createFileStore(new URL("../../samples", import.meta.url).pathname);
const sample = backupSnapshot(await readBackup(samples, "milvus-backup-0.5.16")).catalog.collections[0]!;

/** A collection of which only what the history looks at matters. */
function collection(id: bigint, more: Partial<Collection> = {}): Collection {
  const partitions = [{ id: id * 10n, name: "_default", createTs: id }];
  return { ...sample, id, name: `c${id}`, createTs: id, pchannels: [`p${id}`], partitions, aliases: [], ...more };
}

function catalog(...collections: Collection[]): Catalog {
  const rbac = { users: [], roles: [], grants: [], privilegeGroups: [] };
  return { databases: [], collections, rbac, notLive: [] };
}

const names = (at: Catalog) => at.collections.map(({ name }) => name).sort();

Deno.test("catalogOf gives what was noted last, and what was made before the moment but noted after it", () => {
  const history = {
    base: catalog(collection(1n)),
    notes: [
      { revision: 2n, ts: 110n, catalog: catalog(collection(1n, { name: "renamed" })) },
      { revision: 3n, ts: 130n, catalog: catalog(collection(1n, { name: "renamed" }), collection(120n)) },
      { revision: 4n, ts: 140n, catalog: catalog(collection(120n)) },
    ],
  };
  deepStrictEqual(names(catalogOf(history, 100n)), ["c1"]);
  deepStrictEqual(names(catalogOf(history, 119n)), ["renamed"]);
  deepStrictEqual(names(catalogOf(history, 120n)), ["c120", "renamed"]);
  deepStrictEqual(names(catalogOf(history, 140n)), ["c120"]);
});

Deno.test("catalogOf knows a partition from its creation on, not from its note on", () => {
  const old = collection(1n);
  const made = { ...old, partitions: [...old.partitions, { id: 77n, name: "p", createTs: 105n }] };
  const again = { ...old, partitions: [...old.partitions, { id: 88n, name: "p", createTs: 125n }] };
  const history = {
    base: catalog(old),
    notes: [
      { revision: 2n, ts: 110n, catalog: catalog(made) },
      { revision: 3n, ts: 130n, catalog: catalog(again) },
    ],
  };
  const partitions = (ts: bigint) => catalogOf(history, ts).collections[0]!.partitions.map(({ id }) => id);
  deepStrictEqual(partitions(104n), [10n]);
  deepStrictEqual(partitions(105n), [10n, 77n]);
  // Dropped and made again under its name: the drop was noted late.
  deepStrictEqual(partitions(125n), [10n, 88n]);
});

Deno.test("catalogOf gives a name to the newer collection where the older one's drop was noted late", () => {
  const again = collection(120n, { name: "c1" });
  const history = { base: catalog(collection(1n)), notes: [{ revision: 2n, ts: 130n, catalog: catalog(again) }] };
  deepStrictEqual(catalogOf(history, 121n).collections.map(({ id }) => id), [120n]);
});

function report(reach: Record<string, bigint>): ArchiveReport {
  const pchannels = Object.entries(reach).map(([pchannel, until]) => ({
    pchannel,
    files: 1,
    bytes: 1n,
    firstOffset: 0n,
    lastOffset: 1n,
    until,
  }));
  return { pchannels, findings: [], until: undefined };
}

Deno.test("restorableRange ends with the pchannel that reaches least, of those that a collection is on", () => {
  const both = { base: catalog(collection(1n), collection(2n)), notes: [] };
  strictEqual(restorableRange(50n, report({ p1: 100n, p2: 90n }), both)?.to.ts, 90n);
  // Its last collection was dropped at 80: nothing ticks there any more.
  const dropped = { ...both, notes: [{ revision: 2n, ts: 80n, catalog: catalog(collection(1n)) }] };
  strictEqual(restorableRange(50n, report({ p1: 100n, p2: 79n }), dropped)?.to.ts, 100n);
  strictEqual(restorableRange(101n, report({ p1: 100n }), dropped), undefined);
  // A pchannel of the base without any archive.
  strictEqual(restorableRange(50n, report({ p1: 100n }), both), undefined);
});

Deno.test("encodeCatalogEntry keeps when partitions were made, which milvus-backup's metadata does not", () => {
  const partitions = [{ id: 10n, name: "_default", createTs: 1n }, {
    id: 77n,
    name: "p",
    createTs: 470614418234802190n,
  }];
  const noted = catalog(collection(1n, { partitions }));
  const read = decodeCatalogEntry(encodeCatalogEntry("b", { revision: 2n, ts: 3n, catalog: noted }), "entry").catalog;
  deepStrictEqual(read.collections[0]!.partitions, partitions);
});
