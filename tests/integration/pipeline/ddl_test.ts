/** Changes of structure while the pipeline follows, and while it is stopped: both sides end equal in everything. */
import assert from "node:assert/strict";
import type { PyMilvus } from "../../stack/pymilvus.ts";
import { eventually } from "../../stack/eventually.ts";
import { assertSame } from "./comparison.ts";
import { FLAT_INDEX, small, SMALL_FIELDS, withServers } from "./servers.ts";
import { TidemarkSetup } from "./tidemark_process.ts";

const PREFIX = "h9_";

const HNSW = { index_type: "HNSW", metric_type: "L2", params: '{"M":8,"efConstruction":64}' };

/** A list with drop_database in it: without one, every kind but that is included. */
const INCLUDED = [
  ...["create_database", "drop_database", "create_collection", "drop_collection"],
  ...["create_index", "create_alias", "drop_alias", "load", "release"],
];

async function indexesOf(server: PyMilvus, name: string, db = ""): Promise<string[]> {
  const { indexes } = await server.call("describe_collection", { name, db }) as unknown as {
    indexes: { name: string; field: string; params: Record<string, string> }[];
  };
  return indexes.map(({ name, field, params }) => `${name}/${field}/${params.index_type}/${params.params ?? ""}`);
}

/** Waits until a function of the driver answers alike on both sides. */
async function alike(
  { source, target }: { source: PyMilvus; target: PyMilvus },
  what: string,
  ask: (server: PyMilvus, isTarget: boolean) => Promise<unknown>,
): Promise<void> {
  let told = "";
  try {
    await eventually(what, async () => {
      const [a, b] = await Promise.all([ask(source, false), ask(target, true)]);
      told = `source ${JSON.stringify(a)}, target ${JSON.stringify(b)}`;
      return JSON.stringify(a) === JSON.stringify(b);
    });
  } catch (error) {
    throw new Error(`${(error as Error).message}: ${told}`);
  }
}

Deno.test("run carries every change of a collection while it follows", async () => {
  await withServers(PREFIX, async (servers) => {
    const { env, source, target } = servers;
    const a = `${PREFIX}a`;
    const fields = [
      ...SMALL_FIELDS,
      { name: "word", type: "VarChar", max_length: 64 },
      { name: "n", type: "Int64" },
    ];
    await source.call("create_collection", { name: a, fields, shards: 2, consistency: "Strong" });
    await source.call("insert_generated", { name: a, start: 0, count: 60, seed: 1 });
    await using setup = await TidemarkSetup.make({ env, include: [`default.${PREFIX}*`] });
    const run = setup.start(["run"]);
    const there = async (server: PyMilvus) =>
      (await server.call("list_collections", {}) as string[]).filter((name) => name.startsWith(PREFIX));
    await alike(servers, "the first collection is there", there);

    // Scenarios 1 and 2 of milvus-cdc: ten at once, gone at once.
    const ten = Array.from({ length: 10 }, (_, i) => `${PREFIX}ten_${i}`);
    await Promise.all(
      ten.map((name, i) => source.call("create_collection", { name, fields: SMALL_FIELDS, shards: 1 + i % 3 })),
    );
    await alike(servers, "ten collections are there", there);
    await Promise.all(ten.map((name) => source.call("drop_collection", { name })));
    await alike(servers, "ten collections are gone", there);

    // 6 and 7: partitions.
    const partitions = Array.from({ length: 10 }, (_, i) => `p_${i}_default`);
    await Promise.all(partitions.map((partition) => source.call("create_partition", { name: a, partition })));
    await source.call("insert_generated", { name: a, start: 500, count: 20, seed: 1, partition: partitions[3] });
    await source.call("insert_generated", { name: a, start: 520, count: 20, seed: 1, partition: partitions[4] });
    const list = (server: PyMilvus) => server.call("list_partitions", { name: a });
    await alike(servers, "ten partitions are there", list);
    for (const partition of partitions.slice(1, 4)) await source.call("drop_partition", { name: a, partition });
    await alike(servers, "three partitions are gone", list);

    // 8, 9: indexes, also of a scalar and of a loaded field; other parameters under the same name.
    const indexes = (server: PyMilvus) => indexesOf(server, a);
    await source.call("create_index", { name: a, field: "vec", index_name: "vec_idx", params: HNSW });
    await source.call("create_index", { name: a, field: "word", index_name: "words", params: { index_type: "Trie" } });
    await alike(servers, "two indexes are there", indexes);
    await source.call("drop_index", { name: a, field: "vec", index_name: "vec_idx" });
    const flat = { index_type: "IVF_FLAT", metric_type: "COSINE", params: '{"nlist":16}' };
    await source.call("create_index", { name: a, field: "vec", index_name: "vec_idx", params: flat });
    await alike(servers, "the index has other parameters", indexes);
    await source.call("load_collection", { name: a });
    await source.call("create_index", {
      name: a,
      field: "n",
      index_name: "numbers",
      params: { index_type: "STL_SORT" },
    });
    await alike(servers, "a field of the loaded collection has an index", indexes);
    await assertSame({ server: source, name: a }, { server: target, name: a });

    // 10: load and release, of partitions too.
    const load = async (server: PyMilvus) =>
      (await server.call("describe_collection", { name: a }) as { load: string; partitions: unknown }).partitions;
    await source.call("release_partitions", { name: a, partitions: ["p_5_default", "p_6_default"] });
    await alike(servers, "two partitions are released", load);
    await source.call("release_collection", { name: a });
    await alike(servers, "the collection is released", load);
    await source.call("load_partitions", { name: a, partitions: ["p_4_default"] });
    await alike(servers, "one partition is loaded", load);
    await source.call("load_partitions", { name: a, partitions: ["p_7_default"] });
    await alike(servers, "another partition is loaded", load);
    await source.call("release_collection", { name: a });
    await source.call("drop_index", { name: a, field: "word", index_name: "words" });
    await alike(servers, "an index is gone", indexes);
    await source.call("load_collection", { name: a });
    await alike(servers, "the collection is loaded", load);

    // Properties.
    const properties = async (server: PyMilvus) =>
      (await server.call("describe_collection", { name: a }) as { properties: unknown }).properties;
    // 2.3.5 writes altered properties into its metadata only with the next change of the record.
    await source.call("alter_collection", { name: a, properties: { "collection.ttl.seconds": "864000" } });
    await source.call("alter_collection", { name: a, properties: { "collection.ttl.seconds": "864000" } });
    await alike(servers, "a property is set", properties);
    await source.call("alter_collection", { name: a, properties: { "collection.ttl.seconds": "999000" } });
    await source.call("alter_collection", { name: a, properties: { "collection.ttl.seconds": "999000" } });
    await alike(servers, "a property is changed", properties);

    // Aliases: made, moved both ways between two collections, dropped.
    const b = `${PREFIX}b`;
    await source.call("create_collection", small(b));
    const aliases = async (server: PyMilvus) => {
      const of = async (name: string) =>
        (await server.call("describe_collection", { name }) as { aliases: string[] }).aliases;
      return [await of(a), await of(b)];
    };
    const alias = `${PREFIX}alias`;
    await source.call("create_alias", { name: a, alias });
    await source.call("create_alias", { name: b, alias: `${alias}_2` });
    await alike(servers, "aliases are there", aliases);
    await source.call("alter_alias", { name: b, alias });
    await alike(servers, "the alias has moved", aliases);
    await source.call("alter_alias", { name: a, alias });
    await source.call("alter_alias", { name: a, alias: `${alias}_2` });
    await alike(servers, "the aliases have moved back", aliases);
    await source.call("drop_alias", { alias: `${alias}_2` });
    await alike(servers, "an alias is gone", aliases);

    // 11: what was not flushed is not in the target's files either, what was is.
    const stored = (server: PyMilvus) => server.call("stored_rows", { name: b });
    await source.call("insert_generated", { name: b, start: 0, count: 70, seed: 2 });
    await eventually("the rows are there", async () => await target.call("count", { name: b }) === 70);
    assert.equal(await stored(target), 0);
    await source.call("flush", { name: b });
    await alike(servers, "both are flushed", stored);

    await source.call("drop_collection", { name: b });
    await source.call("rename_collection", { name: a, new_name: b });
    await alike(servers, "one is renamed to another that was just dropped", there);
    await assertSame({ server: source, name: b }, { server: target, name: b });
    const report = await run.stop();
    assert.equal(report.code, 143, report.stderr);
    assert.doesNotMatch(report.stderr, /blocked|refused/);
  });
});

Deno.test("run carries databases, routed and selected, and drops one only where that is included by name", async () => {
  await withServers(PREFIX, async (servers) => {
    const { env, source, target } = servers;
    const sales = `${PREFIX}sales`;
    const dr = `${PREFIX}sales_dr`;
    const other = `${PREFIX}other`;
    const scratch = `${PREFIX}scratch`;
    await source.call("create_database", { name: sales });
    await source.call("create_database", { name: scratch });
    await source.call("create_collection", small("items", { db: sales }));
    await source.call("insert_generated", { name: "items", db: sales, start: 0, count: 40, seed: 1 });
    await using setup = await TidemarkSetup.make({
      env,
      include: [`${PREFIX}*.*`],
      route: [{ from: `${sales}.*`, to: `${dr}.*` }],
      transforms: {
        select: { include: [`${PREFIX}*.*`], exclude: [`${scratch}.*`, "*.*_temp"] },
        ddl: { policy: "evolve", include: INCLUDED },
      },
    });
    const run = setup.start(["run"]);
    const databases = async (server: PyMilvus, isTarget = true) =>
      (await server.call("list_databases", {}) as string[])
        .filter((name) => name.startsWith(PREFIX) && name !== scratch)
        .map((name) => !isTarget && name === sales ? dr : name).sort();
    await alike(servers, "the database is there", databases);
    const items = [{ server: source, db: sales, name: "items" }, { server: target, db: dr, name: "items" }] as const;
    await eventually(
      "the rows are there",
      async () => await target.call("count", { name: "items", db: dr }) === 40,
    );
    await assertSame(...items);

    await source.call("create_database", { name: other });
    await alike(servers, "the empty database is there", databases);
    await source.call("create_collection", small("items", { db: other }));
    await source.call("create_collection", small("items_temp", { db: sales }));
    await source.call("create_collection", small("work", { db: scratch }));
    await source.call("insert_generated", { name: "items", db: other, start: 100, count: 10, seed: 2 });
    await source.call("insert_generated", { name: "items", db: sales, start: 100, count: 10, seed: 2 });
    await source.call("create_alias", { name: "items", alias: "goods", db: sales });
    await eventually(
      "the rows are there",
      async () =>
        await target.call("count", { name: "items", db: other }) === 10 &&
        await target.call("count", { name: "items", db: dr }) === 50,
    );
    await eventually(
      "the alias is there",
      async () =>
        (await target.call("describe_collection", { name: "items", db: dr }) as { aliases: string[] }).aliases.length >
          0,
    );
    await assertSame(...items);
    await assertSame({ server: source, db: other, name: "items" }, { server: target, db: other, name: "items" });
    assert.deepEqual(await target.call("list_collections", { db: dr }), ["items"]);
    assert.ok(!(await target.call("list_databases", {}) as string[]).includes(scratch));

    await source.call("drop_database", { name: other });
    await source.call("drop_database", { name: sales });
    await alike(servers, "the databases are gone", databases);
    const report = await run.stop();
    assert.equal(report.code, 143, report.stderr);
    assert.doesNotMatch(report.stderr, /blocked|refused/);
  });
});

Deno.test("run --once brings what happened while it was stopped: rings of renames, names used again, drops", async () => {
  await withServers(PREFIX, async ({ env, source, target }) => {
    const [a, b, c, d, e] = ["a", "b", "c", "d", "e"].map((letter) => `${PREFIX}${letter}`) as [
      string,
      string,
      string,
      string,
      string,
    ];
    for (const [i, name] of [a, b, c, d, e].entries()) {
      await source.call("create_collection", small(name, { shards: 1 + i % 2, partitions: ["p"] }));
      await source.call("insert_generated", { name, start: i * 1000, count: 30, seed: i + 1 });
      await source.call("insert_generated", { name, start: i * 1000 + 500, count: 10, seed: i + 1, partition: "p" });
    }
    await using setup = await TidemarkSetup.make({ env, include: [`default.${PREFIX}*`] });
    await setup.once();
    const same = async (names: readonly string[]) => {
      const there = (await target.call("list_collections", {}) as string[]).filter((name) => name.startsWith(PREFIX));
      assert.deepEqual(there, [...names].sort());
      for (const name of names) await assertSame({ server: source, name }, { server: target, name });
    };
    await same([a, b, c, d, e]);

    // A -> tmp, B -> A, tmp -> B, with rows before and after.
    await source.call("insert_generated", { name: a, start: 100, count: 5, seed: 9 });
    await source.call("rename_collection", { name: a, new_name: `${PREFIX}tmp` });
    await source.call("rename_collection", { name: b, new_name: a });
    await source.call("rename_collection", { name: `${PREFIX}tmp`, new_name: b });
    await source.call("insert_generated", { name: a, start: 200, count: 5, seed: 9 });
    await source.call("delete", { name: b, start: 0, count: 10 });
    // One name, three collections, with another number of shards and other fields.
    await source.call("insert_generated", { name: c, start: 2100, count: 5, seed: 3 });
    await source.call("drop_collection", { name: c });
    await source.call("create_collection", small(c, { shards: 2 }));
    await source.call("insert_generated", { name: c, start: 1, count: 8, seed: 4 });
    await source.call("drop_collection", { name: c });
    const fields = [{ name: "id", type: "Int64", primary: true }, { name: "vec", type: "FloatVector", dim: 8 }];
    await source.call("create_collection", small(c, { shards: 1, fields }));
    await source.call("insert_generated", { name: c, start: 5, count: 8, seed: 5 });
    // A partition dropped and made again, its keys in use before and after.
    await source.call("insert_generated", { name: d, start: 3600, count: 5, seed: 6, partition: "p" });
    await source.call("drop_partition", { name: d, partition: "p" });
    await source.call("create_partition", { name: d, partition: "p" });
    await source.call("insert_generated", { name: d, start: 3505, count: 5, seed: 7, partition: "p" });
    await source.call("load_collection", { name: d });
    // Gone.
    await source.call("drop_collection", { name: e });
    await setup.once();
    await same([a, b, c, d]);

    // A ring of three, of which one is dropped and its name taken over.
    await source.call("drop_collection", { name: c });
    await source.call("rename_collection", { name: a, new_name: c });
    await source.call("rename_collection", { name: b, new_name: a });
    await source.call("rename_collection", { name: d, new_name: b });
    await source.call("create_collection", small(d));
    await source.call("insert_generated", { name: d, start: 1, count: 3, seed: 8 });
    await source.call("insert_generated", { name: c, start: 700, count: 3, seed: 8 });
    await setup.once();
    await same([a, b, c, d]);
    await setup.once();
    await same([a, b, c, d]);
  });
});

Deno.test("run goes on when a collection is dropped while its base is copied", async () => {
  await withServers(PREFIX, async ({ env, source, target }) => {
    const [a, b] = [`${PREFIX}a`, `${PREFIX}b`];
    for (const name of [a, b]) {
      await source.call("create_collection", small(name, { shards: 2 }));
      await source.call("insert_generated", { name, start: 0, count: 200, seed: 1 });
      await source.call("flush", { name });
    }
    await using setup = await TidemarkSetup.make({ env, include: [`default.${PREFIX}*`] });
    // Killed inside the base; dropped before it is taken up again.
    const killed = await setup.start(["run", "--once"], { TIDEMARK_CRASH_AT: "between_segments:1" }).ends();
    assert.match(killed.stderr, /killed at/);
    await source.call("drop_collection", { name: b });
    await setup.once();
    assert.equal(await target.call("has_collection", { name: b }), false);
    await assertSame({ server: source, name: a }, { server: target, name: a });

    // Dropped and made again while the base of the first is under way.
    await source.call("create_collection", small(b, { shards: 2 }));
    await source.call("insert_generated", { name: b, start: 0, count: 300, seed: 2 });
    await source.call("flush", { name: b });
    await using second = await TidemarkSetup.make({
      env,
      include: [`default.${b}`],
      sink: { on_existing: "replace" },
    });
    const half = await second.start(["run", "--once"], { TIDEMARK_CRASH_AT: "mid_segment:1" }).ends();
    assert.match(half.stderr, /killed at/);
    await source.call("drop_collection", { name: b });
    await source.call("create_collection", small(b, { shards: 1, indexes: FLAT_INDEX }));
    await source.call("insert_generated", { name: b, start: 1000, count: 20, seed: 3 });
    await second.once();
    await assertSame({ server: source, name: b }, { server: target, name: b });
  });
});
