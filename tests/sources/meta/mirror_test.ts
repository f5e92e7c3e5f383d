import assert from "node:assert/strict";
import fc from "fast-check";
import { type CatalogChange, mergeChanges } from "../../../pipeline/model/mod.ts";
import { readCatalog } from "../../../sources/meta/catalog.ts";
import { CatalogKeys } from "../../../sources/meta/catalog_keys.ts";
import { CatalogMirror } from "../../../sources/meta/mirror.ts";
import { oldImportBytes } from "./old_import_bytes.ts";
import { collectionRecord } from "./records_of.ts";
import { ROOTS, vectorRecords } from "./vectors.ts";

const TOMBSTONE = new Uint8Array([0xe2, 0x9b, 0xbc]);
const below = (key: string): string => key.slice(ROOTS.metaRoot.length + 1);
const put = (entry: { key: string; value: Uint8Array }) => ({ key: below(entry.key), value: entry.value });

Deno.test("CatalogMirror, changed key by key in any order, ends with the catalog that reading all keys gives", () => {
  const names = ["meta-v22", "meta-v23", "meta-v25", "meta-v26"];
  fc.assert(
    fc.property(fc.constantFrom(...names), fc.infiniteStream(fc.nat()), (name, random) => {
      const next = () => random.next().value!;
      const records = vectorRecords(name).filter(({ key }) =>
        key.startsWith(`${ROOTS.metaRoot}/`) && !key.includes("/snapshots/")
      );
      // Milvus makes a collection visible after its children; all else comes in any order.
      const rank = (key: string): number => /\/(collection|collection-info\/\d+)\/\d+$/.test(key) ? 1 : 0;
      const shuffled = records.map((entry) => ({ entry, at: rank(entry.key) * 2 ** 40 + next() }))
        .sort((a, b) => a.at - b.at).map(({ entry }) => entry);
      const mirror = new CatalogMirror(new CatalogKeys());
      const removed = new Set<string>();
      let revision = 0n;
      while (shuffled.length > 0) {
        mirror.apply(revision++, shuffled.splice(0, next() % 5 + 1).map(put));
      }
      const victim = records[next() % records.length]!;
      if (!victim.key.includes("/fields/")) {
        mirror.apply(revision, [{ key: below(victim.key), value: undefined }]);
        removed.add(victim.key);
      }
      const keys = new CatalogKeys();
      for (const entry of records) if (!removed.has(entry.key)) keys.apply(below(entry.key), entry.value);
      const expected = readCatalog(keys).catalog;
      assert.deepEqual(mirror.catalog().collections, expected.collections);
      assert.deepEqual(mirror.catalog().databases, expected.databases);
    }),
    { numRuns: 60 },
  );
});

Deno.test("CatalogMirror tells of a collection when it becomes usable and when it goes, not in between", () => {
  const mirror = new CatalogMirror(new CatalogKeys());
  assert.equal(mirror.apply(1n, [put(collectionRecord({ state: 1 }))]), undefined);
  const created = mirror.apply(2n, [put(collectionRecord())])!;
  assert.deepEqual([created.changed, created.gone, created.catalog.collections.length], [[100n], [], 1]);
  assert.equal(mirror.apply(3n, [put(collectionRecord())]), undefined);
  const altered = mirror.apply(4n, [put(collectionRecord({ properties: [{ key: "a", value: "1" }] }))])!;
  assert.deepEqual(altered.changed, [100n]);
  const dropped = mirror.apply(5n, [put(collectionRecord({ state: 2 }))])!;
  assert.deepEqual([dropped.changed, dropped.gone, dropped.catalog.collections.length], [[], [100n], 0]);
  assert.equal(mirror.apply(6n, [{ key: "root-coord/collection/100", value: TOMBSTONE }]), undefined);
});

Deno.test("CatalogMirror tells of a collection that a key damages, its record included, and of its being whole again", () => {
  for (const key of ["root-coord/collection/100", "root-coord/fields/100/100"]) {
    const mirror = new CatalogMirror(new CatalogKeys());
    mirror.apply(1n, [put(collectionRecord())]);
    const broken = mirror.apply(2n, [{ key, value: new Uint8Array([0x0a, 0xff]) }])!;
    const [{ name, damaged }] = broken.catalog.collections as [typeof broken.catalog.collections[0]];
    assert.deepEqual([broken.changed, broken.gone, name], [[100n], [], "c"]);
    assert.match(damaged!, new RegExp(`${key} does not hold`));
    const mended = mirror.apply(3n, [
      key.includes("fields") ? { key, value: undefined } : put(collectionRecord()),
    ])!;
    assert.deepEqual([mended.changed, mended.catalog.collections[0]!.damaged], [[100n], undefined]);
  }
});

Deno.test("CatalogMirror tells of an import once, when it completes", () => {
  const mirror = new CatalogMirror(new CatalogKeys());
  const task = (code: number) => ({
    key: "importtask/8",
    value: oldImportBytes({ id: 8, collectionId: 100, code, segments: [5, 6], rows: 12 }),
  });
  const begun = mirror.apply(1n, [task(0)])!;
  assert.deepEqual([begun.importsCompleted, begun.importsUnderWay?.map(({ id, state }) => [id, state])], [[], [[
    8n,
    "pending",
  ]]]);
  assert.deepEqual(mirror.apply(2n, [task(5)])!.importsUnderWay?.map(({ state }) => state), ["persisted"]);
  assert.deepEqual(
    mirror.apply(3n, [task(6)])!.importsCompleted.map(({ id, segmentIds, rows }) => [id, segmentIds, rows]),
    [
      [8n, [5n, 6n], 12n],
    ],
  );
  assert.equal(mirror.apply(4n, [task(6)]), undefined);
});

Deno.test("mergeChanges keeps what either changed; what is gone is no longer changed", () => {
  const change = (revision: bigint, changed: bigint[], gone: bigint[]): CatalogChange => ({
    revision,
    catalog: {
      databases: [],
      collections: [],
      rbac: { users: [], roles: [], grants: [], privilegeGroups: [] },
      notLive: [],
    },
    changed,
    gone,
    databasesChanged: revision === 1n,
    rbacChanged: false,
    importsCompleted: [],
  });
  const merged = mergeChanges(change(1n, [1n, 2n], []), change(2n, [3n], [2n]));
  assert.deepEqual([merged.revision, merged.changed, merged.gone, merged.databasesChanged], [2n, [1n, 3n], [2n], true]);
});
