import assert from "node:assert/strict";
import { eventually } from "../../stack/eventually.ts";
import { EVERY_TYPE } from "../every_type.ts";
import { assertSame } from "./comparison.ts";
import { withServers } from "./servers.ts";
import { TidemarkSetup } from "./tidemark_process.ts";

const PREFIX = "cp_";

const INDEX = [{
  field: "vec",
  name: "vec_idx",
  params: { index_type: "HNSW", metric_type: "L2", params: '{"M":8,"efConstruction":64}' },
}];

Deno.test("run --once copies every type, partition, index, alias, property and load state, and again only what is new", async () => {
  await withServers(PREFIX, async ({ env, source, target }) => {
    const name = `${PREFIX}types`;
    await source.call("create_collection", {
      name,
      fields: EVERY_TYPE,
      description: "all types",
      shards: 2,
      dynamic: true,
      partitions: ["p1"],
      properties: { "collection.ttl.seconds": "864000" },
      indexes: INDEX,
      load: true,
    });
    await source.call("create_alias", { name, alias: `${name}_alias` });
    await source.call("insert_generated", { name, start: 0, count: 1200, seed: 1 });
    await source.call("insert_generated", { name, start: 1200, count: 800, seed: 1, partition: "p1" });
    await source.call("flush", { name });
    await source.call("delete", { name, start: 10, count: 50 });
    await source.call("insert_generated", { name, start: 100, count: 40, seed: 2, upsert: true });
    await source.call("flush", { name });
    await source.call("insert_generated", { name, start: 2000, count: 300, seed: 1 });
    await source.call("delete", { name, start: 1190, count: 20 });
    await using setup = await TidemarkSetup.make({ env, include: [`default.${PREFIX}*`] });
    await setup.once();
    await assertSame({ server: source, name }, { server: target, name });

    await source.call("insert_generated", { name, start: 15, count: 5, seed: 3 });
    await source.call("delete", { name, start: 300, count: 30 });
    await source.call("insert_generated", { name, start: 1990, count: 30, seed: 4, partition: "p1", upsert: true });
    await setup.once();
    await assertSame({ server: source, name }, { server: target, name });
    await setup.once();
    await assertSame({ server: source, name }, { server: target, name });
  });
});

Deno.test("run copies text keys, autoID keys and partition-key collections", async () => {
  await withServers(PREFIX, async ({ env, source, target }) => {
    const text = `${PREFIX}text`;
    await source.call("create_collection", {
      name: text,
      fields: [
        { name: "key", type: "VarChar", max_length: 128, primary: true },
        { name: "bits", type: "BinaryVector", dim: 64 },
        { name: "n", type: "Int64" },
      ],
      indexes: [{ field: "bits", params: { index_type: "BIN_FLAT", metric_type: "HAMMING" } }],
      load: true,
    });
    const auto = `${PREFIX}auto`;
    await source.call("create_collection", {
      name: auto,
      fields: [
        { name: "id", type: "Int64", primary: true, auto_id: true },
        { name: "vec", type: "FloatVector", dim: 4 },
      ],
      dynamic: true,
      indexes: [{ field: "vec", params: { index_type: "FLAT", metric_type: "L2" } }],
      load: true,
    });
    const keyed = `${PREFIX}keyed`;
    await source.call("create_collection", {
      name: keyed,
      fields: [
        { name: "id", type: "Int64", primary: true },
        { name: "tenant", type: "VarChar", max_length: 32, partition_key: true },
        { name: "vec", type: "FloatVector", dim: 4 },
      ],
      num_partitions: 8,
      indexes: [{ field: "vec", params: { index_type: "FLAT", metric_type: "L2" } }],
      load: true,
    });
    for (const name of [text, auto, keyed]) {
      await source.call("insert_generated", { name, start: 0, count: 500, seed: 5 });
      await source.call("flush", { name });
      await source.call("insert_generated", { name, start: 500, count: 100, seed: 5 });
    }
    await source.call("delete", { name: text, start: 0, count: 50 });
    await source.call("delete", { name: keyed, start: 20, count: 20 });
    await using setup = await TidemarkSetup.make({ env, include: [`default.${PREFIX}*`] });
    await setup.once();
    for (const name of [text, auto, keyed]) await assertSame({ server: source, name }, { server: target, name });
    for (const name of [text, keyed]) {
      await source.call("insert_generated", { name, start: 590, count: 60, seed: 6, upsert: true });
    }
    await source.call("insert_generated", { name: auto, start: 600, count: 20, seed: 6 });
    await setup.once();
    for (const name of [text, auto, keyed]) await assertSame({ server: source, name }, { server: target, name });
  });
});

Deno.test("run follows: new collections, partitions, drops, recreation under one name, aliases and renames arrive while it runs", async () => {
  await withServers(PREFIX, async ({ env, source, target }) => {
    const fields = [
      { name: "id", type: "Int64", primary: true },
      { name: "vec", type: "FloatVector", dim: 4 },
    ];
    const indexes = [{ field: "vec", params: { index_type: "FLAT", metric_type: "L2" } }];
    const a = `${PREFIX}a`;
    await source.call("create_collection", { name: a, fields, indexes, load: true, shards: 2 });
    await source.call("insert_generated", { name: a, start: 0, count: 100, seed: 1 });
    await using setup = await TidemarkSetup.make({ env, include: [`default.${PREFIX}*`] });
    const run = setup.start(["run"]);
    const has = async (name: string) => await target.call("has_collection", { name }) as boolean;
    const rows = async (name: string) => await target.call("count", { name }) as number;
    await eventually("the first collection is there", async () => await has(a) && await rows(a) === 100);

    const b = `${PREFIX}b`;
    await source.call("create_collection", { name: b, fields, indexes, load: true, dynamic: true });
    await source.call("insert_generated", { name: b, start: 0, count: 50, seed: 1 });
    await source.call("create_partition", { name: a, partition: "p9" });
    await source.call("load_partitions", { name: a, partitions: ["p9"] }).catch(() => {});
    await source.call("insert_generated", { name: a, start: 500, count: 20, seed: 1, partition: "p9" });
    await eventually(
      "the new collection and partition are there",
      async () => await rows(b) === 50 && await rows(a) === 120,
    );

    await source.call("drop_collection", { name: b });
    await source.call("create_collection", { name: b, fields, indexes, load: true, shards: 2 });
    await source.call("insert_generated", { name: b, start: 1000, count: 7, seed: 2 });
    await source.call("drop_partition", { name: a, partition: "p9" });
    await source.call("create_alias", { name: a, alias: `${PREFIX}alias` });
    await eventually(
      "the recreated collection is there and the partition is gone",
      async () => await rows(b) === 7 && await rows(a) === 100,
    );
    await assertSame({ server: source, name: b }, { server: target, name: b });

    await source.call("rename_collection", { name: b, new_name: `${PREFIX}c` });
    await source.call("insert_generated", { name: `${PREFIX}c`, start: 2000, count: 3, seed: 2 });
    await eventually(
      "the renamed collection is there",
      async () => !(await has(b)) && await rows(`${PREFIX}c`) === 10,
    );
    await source.call("drop_collection", { name: `${PREFIX}c` });
    await eventually("the dropped collection is gone", async () => !(await has(`${PREFIX}c`)));
    const report = await run.stop();
    assert.equal(report.code, 143, report.stderr);
    await assertSame({ server: source, name: a }, { server: target, name: a });
  });
});
