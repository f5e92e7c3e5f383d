/**
 * Users who keep a row's tenant as partition key copied a collection, then added tenants: the target had every row, but a
 * tenant's own query found 18 of 200 there, because 2.3's upsert chooses the partition by another field than the key.
 */
import assert from "node:assert/strict";
import { assertSame } from "../integration/pipeline/comparison.ts";
import { withServers } from "../integration/pipeline/servers.ts";
import { TidemarkSetup } from "../integration/pipeline/tidemark_process.ts";
import { assertFound, byTenant, rowsOf, type TenantRow } from "./tenants.ts";

const PREFIX = "ft_";

for (const { key, partitions } of [{ key: "Int64", partitions: 10 }, { key: "VarChar", partitions: 64 }] as const) {
  Deno.test(`run --once keeps rows where their partition key (${key}, ${partitions} partitions) finds them`, () =>
    withServers(PREFIX, async ({ env, source, target }) => {
      const name = `${PREFIX}${key.toLowerCase()}`;
      const tenantOf = (id: number) => key === "Int64" ? id * 7 : `tenant ${id}`;
      await source.call("create_collection", byTenant(name, key, partitions, { shards: 2 }));
      const old = rowsOf(0, 300, (id) => tenantOf(id % 20));
      await source.call("insert", { name, rows: old });
      await source.call("flush", { name });
      await using setup = await TidemarkSetup.make({ env, include: [`default.${name}`] });
      await setup.once();
      await assertFound(target, name, old);

      // 200 tenants of one row, and one of 100 rows.
      const many = rowsOf(1000, 1200, tenantOf);
      const big = rowsOf(2000, 2100, () => tenantOf(77_000));
      await source.call("insert", { name, rows: [...many, ...big] });
      // Their rows move to another tenant (written as a careful client does it on 2.3), some go, some are replaced in place.
      const moved = rowsOf(1000, 1050, () => tenantOf(88_000), 1);
      await source.call("delete", { name, start: 1000, count: 50 });
      await source.call("insert", { name, rows: moved });
      await source.call("delete", { name, start: 2000, count: 40 });
      await source.call("delete", { name, start: 0, count: 30 });
      await setup.once();
      const rows: TenantRow[] = [...old.slice(30), ...many.slice(50), ...big.slice(40), ...moved];
      await assertFound(source, name, rows);
      await assertFound(target, name, rows);
      assert.deepEqual((await setup.command(["verify"])).code, 0);
      await assertSame({ server: source, name }, { server: target, name });
    }));
}
