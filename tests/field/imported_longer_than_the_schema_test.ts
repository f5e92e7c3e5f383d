/** Somebody bulk-imported rows that are longer than the schema says. All others are copied; those are named, and held. */
import assert from "node:assert/strict";
import { assertSame } from "../integration/pipeline/comparison.ts";
import { eventually } from "../stack/eventually.ts";
import { withServers } from "../integration/pipeline/servers.ts";
import { TidemarkSetup } from "../integration/pipeline/tidemark_process.ts";
import { bulkImport, createNarrow, fitting, LARGE, LONG_KEY, OVER_LONG, sourceShows } from "./over_long_rows.ts";

const PREFIX = "fbr_";

Deno.test("run copies all rows but those that the target refuses, names key, field, length and limit, and goes on once they are mended", async () => {
  await withServers(PREFIX, async (servers) => {
    const { env, source, target } = servers;
    const name = `${PREFIX}base`;
    await createNarrow(servers, name);
    await source.call("insert", { name, rows: Array.from({ length: 100 }, (_, i) => fitting(i)) });
    await source.call("flush", { name });
    const imported = [...Array.from({ length: 96 }, (_, i) => fitting(100 + i)), ...OVER_LONG, LARGE];
    await bulkImport(servers, name, imported);
    await sourceShows(servers, name, 200);
    await using setup = await TidemarkSetup.make({ env, include: [`default.${PREFIX}*`] });

    // Statistics of the source's files name the long text, and the long key; the run would not stop for them.
    const plan = await setup.command(["plan"]);
    assert.equal(plan.code, 0, plan.stderr);
    assert.match(plan.stdout, /! title: texts of up to 40 bytes in \d files?, max_length is 8/);
    assert.match(plan.stdout, /! id: texts of up to 41 bytes/);
    const first = await setup.once(3);
    // Loaded and indexed, with all rows but four.
    await eventually("the target is loaded", async () => await target.call("count", { name }) === 196);
    for (
      const words of [
        /the row with key "k1001" .* field title has 40 bytes, the target's max_length is 8/,
        /field tags has 5 elements, the target's max_capacity is 2/,
        /field id has 41 bytes, the target's max_length is 8/,
      ]
    ) assert.match(first.stderr, words);
    assert.match(first.stdout, new RegExp(`refused  default\\.${name}: 4 rows held \\(keys "k1001"`));
    assert.doesNotMatch(first.stderr + first.stdout, /x{40}|j{100}/);
    assert.match((await setup.command(["status"])).stdout, /partly held/);

    // What is held is no difference.
    const held = await setup.command(["verify"]);
    assert.equal(held.code, 3, held.stdout + held.stderr);
    assert.match(held.stdout, /held +200 +196 +0 +0 +0/);
    assert.match(held.stdout, /4 rows that the target refused are held, no difference: key "k1001"/);
    assert.match(held.stdout, /\nEqual but for 4 held rows\n/);

    // The tail goes on for the others; what is deleted or written anew on the source is mended.
    await source.call("upsert", { name, rows: [{ ...fitting(1001), title: "short" }, fitting(5000)] });
    await source.call("delete", { name, pks: [LONG_KEY, "k1002"] });
    await setup.once(3);
    assert.equal(await target.call("count", { name }), 198);
    assert.match(
      (await setup.command(["status"])).stdout,
      /1 row held \(keys "k1004"\): field doc has 200\d{3} bytes of JSON/,
    );
    await source.call("delete", { name, pks: ["k1004"] });
    await setup.once(0);
    await assertSame({ server: source, name }, { server: target, name });
  });
});

Deno.test("run that follows keeps on where an import brings rows that the target refuses, also through a kill", async () => {
  await withServers(PREFIX, async (servers) => {
    const { env, source, target } = servers;
    const name = `${PREFIX}tail`;
    await createNarrow(servers, name);
    await source.call("insert", { name, rows: [fitting(0), fitting(1)] });
    await using setup = await TidemarkSetup.make({ env, include: [`default.${name}`] });
    const run = setup.start(["run"]);
    await eventually("the first rows are there", async () => await target.call("count", { name }) === 2);
    await bulkImport(servers, name, [fitting(100), OVER_LONG[0]!, OVER_LONG[2]!, fitting(101)]);
    await sourceShows(servers, name, 6);
    await source.call("upsert", { name, rows: [fitting(200)] });
    await eventually("all others are there", async () => await target.call("count", { name }) === 5);
    await eventually(
      "the status has them",
      async () => (await setup.status())?.collections.some(({ refusedRows }) => refusedRows?.held === 2) === true,
    );
    await run.kill();
    await source.call("delete", { name, pks: [LONG_KEY] });
    await source.call("upsert", { name, rows: [{ ...fitting(1001), title: "short" }] });
    await setup.once(0);
    await assertSame({ server: source, name }, { server: target, name });
  });
});
