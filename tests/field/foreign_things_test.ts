/** Somebody else's things are on the target: restored beside the original, after an operator's work, in two databases made one. */
import assert from "node:assert/strict";
import { folderVault, vaultSink } from "../integration/backup/backup_pipeline.ts";
import { RestoreSetup } from "../integration/backup/restore_setup.ts";
import { small, withServers } from "../integration/pipeline/servers.ts";
import { TidemarkSetup } from "../integration/pipeline/tidemark_process.ts";
import type { PyMilvus } from "../stack/pymilvus.ts";

const PREFIX = "ffo_";

interface Described {
  readonly aliases: readonly string[];
  readonly indexes: readonly { readonly name: string; readonly params: Record<string, string> }[];
  readonly partitions: Record<string, unknown>;
}

async function described(server: PyMilvus, name: string): Promise<Described> {
  return await server.call("describe_collection", { name }) as unknown as Described;
}

Deno.test("backup restore of orders beside the original leaves its alias where it is, and moves it where aliases: take says so", async () => {
  await withServers(PREFIX, async ({ env, source, target }) => {
    const [orders, yesterday, prod] = [`${PREFIX}orders`, `${PREFIX}orders_yesterday`, `${PREFIX}prod`];
    for (const server of [source, target]) {
      await server.call("create_collection", small(orders));
      await server.call("create_alias", { name: orders, alias: prod });
    }
    await source.call("insert_generated", { name: orders, start: 0, count: 20, seed: 1 });
    await using vault = await folderVault();
    await using setup = await TidemarkSetup.make({
      env,
      include: [`default.${orders}`],
      sinks: { vault: vaultSink(vault) },
    });
    await setup.once();
    const restored = async (aliases: Record<string, unknown>) => {
      await using restore = await RestoreSetup.make({
        env,
        backup: { name: "b", storage: vault.storage },
        transforms: { route: [{ from: `default.${orders}`, to: `default.${yesterday}` }], ...aliases },
        sink: { on_existing: "replace" },
      });
      const { stderr } = await restore.restore();
      assert.equal(await target.call("count", { name: yesterday }), 20);
      return stderr;
    };
    const move = `Alter alias default.${prod} from default.${orders} to default.${yesterday}`;
    const said = await restored({});
    assert.ok(
      said.includes(`${move}: default.${prod} is an alias of default.${orders}, which this run did not make`),
      said,
    );
    assert.deepEqual((await described(target, orders)).aliases, [prod]);
    const taken = await restored({ aliases: "take" });
    assert.match(taken, new RegExp(`${move}: .*taken, as transforms\\.aliases says`));
    assert.deepEqual((await described(target, yesterday)).aliases, [prod]);
  });
});

Deno.test("run leaves what an operator did on the target: an alias given away, an index of another kind, a partition, a database", async () => {
  await withServers(PREFIX, async ({ env, source, target }) => {
    const [a, keep, prod, mine] = [`${PREFIX}a`, `${PREFIX}keep`, `${PREFIX}prod`, `${PREFIX}mine`];
    const db = `${PREFIX}db`;
    await source.call("create_collection", small(a, { partitions: ["p1"] }));
    await source.call("create_alias", { name: a, alias: prod });
    await source.call("create_database", { name: db });
    await target.call("create_database", { name: db });
    await using setup = await TidemarkSetup.make({
      env,
      include: [],
      transforms: {
        select: { include: [`default.${PREFIX}*`, `${db}.*`] },
        ddl: { policy: "evolve", include: ["create_database", "drop_database", "create_partition", "create_alias"] },
      },
    });
    await setup.once();
    assert.deepEqual((await described(target, a)).aliases, [prod]);

    // What an operator does on the target, and what then comes from the source.
    await target.call("create_collection", small(keep));
    await target.call("alter_alias", { name: keep, alias: prod });
    await target.call("create_alias", { name: a, alias: mine });
    await target.call("release_collection", { name: a });
    await target.call("drop_index", { name: a, field: "vec", index_name: "vec" });
    const hnsw = { index_type: "HNSW", metric_type: "L2", params: '{"M":8,"efConstruction":64}' };
    await target.call("create_index", { name: a, field: "vec", index_name: "vec", params: hnsw });
    await target.call("load_collection", { name: a });
    await target.call("create_partition", { name: a, partition: "by_hand" });
    await source.call("drop_database", { name: db });
    await source.call("insert_generated", { name: a, start: 0, count: 10, seed: 1 });

    const plan = await setup.command(["plan"]);
    assert.equal(plan.code, 0, plan.stderr);
    assert.match(plan.stdout, new RegExp(`! Alter alias default\\.${prod} from default\\.${keep} to default\\.${a}: `));
    for (let start = 0; start < 2; start++) {
      const { stderr } = await setup.once();
      for (
        const words of [
          `Alter alias default.${prod} from default.${keep}`,
          `Drop alias default.${mine} of default.${a}: default.${a} has the alias ${mine}, which this run did not make`,
          `Replace index vec (HNSW, L2) by (FLAT, L2)`,
        ]
      ) assert.ok(stderr.includes(words), `${words}:\n${stderr}`);
      if (start === 0) assert.ok(stderr.includes(`Drop database ${db}: Database ${db} was there before`), stderr);
    }
    const there = await described(target, a);
    assert.deepEqual(there.aliases, [mine]);
    assert.deepEqual((await described(target, keep)).aliases, [prod]);
    assert.deepEqual(there.indexes.map(({ params }) => params.index_type), ["HNSW"]);
    assert.ok("by_hand" in there.partitions);
    assert.ok((await target.call("list_databases", {}) as string[]).includes(db));
    assert.equal(await target.call("count", { name: a }), 10);

    // One of that name on the source: rows of two would be mixed.
    await source.call("create_partition", { name: a, partition: "by_hand" });
    const { stdout, stderr } = await setup.once(3);
    assert.match(stdout + stderr, /has a partition by_hand, which this run did not make/);
    await target.call("release_collection", { name: a });
    await target.call("drop_partition", { name: a, partition: "by_hand", release: false });
    await setup.once();
    assert.ok("by_hand" in (await described(target, a)).partitions);
  });
});

Deno.test("run of two databases made one, where both have an alias of one name, names both before anything is made", async () => {
  await withServers(PREFIX, async ({ env, source, target }) => {
    const [one, two, all] = [`${PREFIX}one`, `${PREFIX}two`, `${PREFIX}all`];
    for (const db of [one, two]) {
      await source.call("create_database", { name: db });
      await source.call("create_collection", small(`docs_of_${db}`, { db }));
      await source.call("create_alias", { name: `docs_of_${db}`, alias: "docs2", db });
    }
    const select = { include: [`${PREFIX}*.*`] };
    const route = [{ from: `${one}.*`, to: `${all}.*` }, { from: `${two}.*`, to: `${all}.*` }];
    await using setup = await TidemarkSetup.make({ env, include: [], transforms: { select, route } });
    const { stderr } = await setup.once(10);
    const both = `${one}\\.docs_of_${one} and ${two}\\.docs_of_${two} have an alias that would be ${all}\\.docs2`;
    assert.match(stderr, new RegExp(both));
    assert.ok(!(await target.call("list_databases", {}) as string[]).includes(all));
    await setup.change({ transforms: { select, route, aliases: "none" } });
    await setup.once();
    assert.deepEqual(await target.call("list_collections", { db: all }), [`docs_of_${one}`, `docs_of_${two}`]);
  });
});
