import { create } from "@bufbuild/protobuf";
import { deepStrictEqual } from "node:assert/strict";
import type { Catalog, Collection, HybridTs, LoggedAlteration } from "../../../pipeline/model/mod.ts";
import { CollectionSchemaSchema } from "../../../pipeline/proto/gen/schema_pb.ts";
import { catalogOf } from "../../../sources/backup/mod.ts";
import { type CatalogEntry, decodeCatalogEntry, encodeCatalogEntry } from "../../../stores/mod.ts";
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

const ids = (at: Catalog) => at.collections.map(({ id }) => id).sort();

for (const [clock, skew] of [["right", 0n], ["far behind", -70n], ["a little behind", -7n], ["ahead", 50n]] as const) {
  Deno.test(`catalogOf knows a collection from its creation to its drop by the source's time, noted by a clock that is ${clock}`, () => {
    const again = collection(120n, { name: "c1" });
    const other = collection(2n);
    const history = historyOf(
      catalog(collection(1n), other),
      [
        { revision: 2n, ts: 111n + skew, catalog: catalog(other) },
        { revision: 3n, ts: 121n + skew, catalog: catalog(other, again) },
        { revision: 4n, ts: 131n + skew, catalog: catalog(other) },
      ],
      new Map([[1n, 110n], [120n, 130n]]),
    );
    for (let ts = 100n; ts < 240n; ts++) {
      const there = [1n, 2n, 120n].filter((id) => id !== 1n || ts < 110n).filter((id) =>
        id !== 120n || (ts >= 120n && ts < 130n)
      );
      deepStrictEqual(ids(catalogOf(history, ts)), there.sort(), `at ${ts}`);
    }
  });
}

Deno.test("catalogOf has what was noted after a drop no earlier than the drop", () => {
  const renamed = collection(2n, { name: "c1" });
  const history = historyOf(
    catalog(collection(1n), collection(2n)),
    [
      { revision: 2n, ts: 90n, catalog: catalog(collection(2n)) },
      { revision: 3n, ts: 95n, catalog: catalog(renamed) },
    ],
    new Map([[1n, 110n]]),
  );
  deepStrictEqual(ids(catalogOf(history, 109n)), [1n, 2n]);
  deepStrictEqual(names(catalogOf(history, 109n)), ["c1", "c2"]);
  deepStrictEqual([ids(catalogOf(history, 110n)), names(catalogOf(history, 110n))], [[2n], ["c1"]]);
});

Deno.test("catalogOf keeps a collection whose name another one took before its new name was noted", () => {
  const history = historyOf(
    catalog(collection(1n)),
    [
      { revision: 2n, ts: 130n, catalog: catalog(collection(1n, { name: "old" })) },
      { revision: 3n, ts: 140n, catalog: catalog(collection(1n, { name: "old" }), collection(105n, { name: "c1" })) },
    ],
  );
  const at = (ts: bigint) => Object.fromEntries(catalogOf(history, ts).collections.map(({ name, id }) => [name, id]));
  deepStrictEqual(at(104n), { c1: 1n });
  deepStrictEqual(at(105n), { c1: 105n, old: 1n });
});

Deno.test("catalogOf goes by the log for names, columns and properties, noted by whatever clock, or never", () => {
  const schema = (version: number, ...ids: bigint[]) =>
    create(CollectionSchemaSchema, { version, fields: ids.map((fieldID) => ({ fieldID, name: `f${fieldID}` })) });
  const index = (fieldId: bigint) => ({ fieldId } as Collection["indexes"][number]);
  const old = { name: "old", schema: schema(0, 100n), properties: {}, indexes: [index(100n)] };
  const now = { name: "new", schema: schema(3, 100n, 102n), properties: { a: "2" }, indexes: [100n, 102n].map(index) };
  const alterations: LoggedAlteration[] = [
    { collectionId: 1n, ts: 110n, alteration: { schema: schema(1, 100n, 101n) } },
    { collectionId: 1n, ts: 120n, alteration: { schema: schema(2, 100n), properties: { a: "1" } } },
    { collectionId: 1n, ts: 130n, alteration: { schema: schema(3, 100n, 102n), name: "between" } },
    {
      collectionId: 1n,
      ts: 140n,
      alteration: { name: "new", database: { id: 7n, name: "db" }, properties: { a: "2" } },
    },
  ];
  for (const noted of [115n, 145n, 300n]) {
    const history = historyOf(
      catalog(collection(1n, old)),
      [{ revision: 2n, ts: noted, catalog: catalog(collection(1n, { ...now, dbId: 7n, dbName: "db" })) }],
      new Map(),
      alterations,
    );
    const at = (ts: bigint) => {
      const { dbName, name, schema, properties, indexes } = catalogOf(history, ts).collections[0]!;
      return [
        `${dbName}.${name}`,
        schema.fields.map(({ fieldID }) => fieldID),
        properties,
        indexes.map(({ fieldId }) => fieldId),
      ];
    };
    const { dbName } = collection(1n);
    deepStrictEqual(at(109n), [`${dbName}.old`, [100n], {}, [100n]]);
    if (noted > 140n) {
      deepStrictEqual(at(110n), [`${dbName}.old`, [100n, 101n], {}, [100n]]);
      deepStrictEqual(at(129n), [`${dbName}.old`, [100n], { a: "1" }, [100n]]);
      deepStrictEqual(at(130n), [`${dbName}.between`, [100n, 102n], { a: "1" }, [100n]]);
    }
    deepStrictEqual(at(140n).slice(0, 3), ["db.new", [100n, 102n], { a: "2" }]);
  }
});

Deno.test("catalogOf has the columns of then of a collection that was noted only later", () => {
  const schema = (version: number, ...ids: bigint[]) =>
    create(CollectionSchemaSchema, { version, fields: ids.map((fieldID) => ({ fieldID, name: `f${fieldID}` })) });
  const made = collection(110n, { schema: schema(2, 100n) });
  const history = historyOf(
    catalog(collection(1n)),
    [{ revision: 2n, ts: 300n, catalog: catalog(collection(1n), made) }],
    new Map(),
    [120n, 130n].map((ts, i) => ({
      collectionId: 110n,
      ts,
      alteration: { schema: i === 0 ? schema(1, 100n, 101n) : schema(2, 100n) },
    })),
  );
  const at = (ts: bigint) => catalogOf(history, ts).collections[1]!.schema.fields.map(({ fieldID }) => fieldID);
  deepStrictEqual([at(119n), at(120n), at(130n)], [[100n], [100n, 101n], [100n]]);
});

Deno.test("catalogOf takes unnumbered schemas of the log only where they have more than is noted", () => {
  const schema = (...ids: bigint[]) => create(CollectionSchemaSchema, { fields: ids.map((fieldID) => ({ fieldID })) });
  const history = historyOf(
    catalog(collection(1n, { schema: schema(100n) })),
    [{ revision: 2n, ts: 150n, catalog: catalog(collection(1n, { schema: schema(100n, 101n) })) }],
    new Map(),
    [{ collectionId: 1n, ts: 110n, alteration: { schema: schema(101n, 100n) } }],
  );
  const at = (ts: bigint) => catalogOf(history, ts).collections[0]!.schema.fields.map(({ fieldID }) => fieldID);
  deepStrictEqual([at(109n), at(110n), at(150n)], [[100n], [101n, 100n], [100n, 101n]]);
});

Deno.test("catalogOf has at every moment the collections that were there, whatever the clock of the notes said", () => {
  for (let seed = 1; seed <= 400; seed++) {
    const random = randomOf(seed);
    const skew = BigInt(random(160)) - 80n;
    const life = new Map<bigint, { from: HybridTs; to: HybridTs }>();
    let live = [collection(1n, { name: "a" }), collection(2n, { name: "b" })];
    for (const { id } of live) life.set(id, { from: id, to: 1000n });
    const base = catalog(...live);
    const notes: CatalogEntry[] = [];
    const dropped = new Map<bigint, HybridTs>();
    let now = 100n;
    for (let i = 0; i < 12; i++) {
      now += BigInt(random(10)) + 2n;
      const free = ["a", "b", "c", "d"].filter((name) => !live.some((item) => item.name === name));
      const some = live[random(live.length)];
      const name = free[random(free.length)];
      const what = random(3);
      if (what === 0 && some !== undefined) {
        live = live.filter((item) => item !== some);
        life.get(some.id)!.to = now;
        dropped.set(some.id, now);
      } else if (what === 1 && some !== undefined && name !== undefined) {
        live = live.map((item) => item === some ? { ...some, name } : item);
      } else if (name !== undefined) {
        live = [...live, collection(now, { name })];
        life.set(now, { from: now, to: 1000n });
      } else continue;
      notes.push({ revision: BigInt(i + 2), ts: now + 1n + skew, catalog: catalog(...live) });
    }
    const history = historyOf(base, notes, dropped);
    for (let ts = 90n; ts < now + 100n; ts++) {
      const there = [...life].filter(([, { from, to }]) => from <= ts && ts < to).map(([id]) => id);
      deepStrictEqual(ids(catalogOf(history, ts)), there.sort(), `seed ${seed}, skew ${skew}, at ${ts}`);
    }
  }
});

function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % Math.max(below, 1);
  };
}
