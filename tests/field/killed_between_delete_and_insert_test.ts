/**
 * Where rows of a partition key are replaced by a delete and an insert, the process can die between the two: then the rows
 * are gone from the target until the next run writes them, once.
 */
import assert from "node:assert/strict";
import { assertSame } from "../integration/pipeline/comparison.ts";
import { withServers } from "../integration/pipeline/servers.ts";
import { TidemarkSetup } from "../integration/pipeline/tidemark_process.ts";
import { eventually } from "../stack/eventually.ts";
import { assertFound, byTenant, rowsOf } from "./tenants.ts";

const PREFIX = "fk_";
const KILLED = /killed at between_delete_and_insert/;

Deno.test("run killed between the delete and the insert of its base and of its tail loses and doubles no row", () =>
  withServers(PREFIX, async ({ env, source, target }) => {
    const name = `${PREFIX}tenants`;
    const tenantOf = (id: number) => id % 40;
    await source.call("create_collection", byTenant(name, "Int64", 10, { shards: 2 }));
    const old = rowsOf(0, 400, tenantOf);
    await source.call("insert", { name, rows: old });
    await source.call("flush", { name });
    await using setup = await TidemarkSetup.make({ env, include: [`default.${name}`] });
    // A base that is gone on with writes over what it may have written.
    const begun = await setup.start(["run", "--once"], { TIDEMARK_CRASH_AT: "mid_segment" }).exit;
    assert.match(begun.stderr, /killed at mid_segment/);
    const again = await setup.start(["run", "--once"], { TIDEMARK_CRASH_AT: "between_delete_and_insert" }).exit;
    assert.match(again.stderr, KILLED);
    await setup.once();
    await assertFound(target, name, old);

    const moved = rowsOf(0, 50, () => 41, 1);
    const fresh = rowsOf(400, 500, tenantOf);
    await source.call("delete", { name, start: 0, count: 50 });
    await source.call("insert", { name, rows: [...moved, ...fresh] });
    const tail = await setup.start(["run", "--once"], { TIDEMARK_CRASH_AT: "between_delete_and_insert" }).exit;
    assert.match(tail.stderr, KILLED);
    await eventually("rows are away between the two requests", async () => {
      return await target.call("count", { name }) as number < 500;
    });
    await setup.once();
    assert.equal(await target.call("count", { name }), 500);
    await assertFound(target, name, [...old.slice(50), ...moved, ...fresh]);
    await assertSame({ server: source, name }, { server: target, name });
  }));
