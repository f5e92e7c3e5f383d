/**
 * A target that an older release wrote with 2.3's upsert: verify said Equal, and users did not find their rows. And a source
 * whose own clients upserted: its users do not find theirs there, which is no fault of the copy.
 */
import assert from "node:assert/strict";
import { assertSameRows } from "../integration/pipeline/comparison.ts";
import { withServers } from "../integration/pipeline/servers.ts";
import { untilTail } from "../integration/pipeline/following.ts";
import { type ExitReport, TidemarkSetup } from "../integration/pipeline/tidemark_process.ts";
import { assertFound, byTenant, found, rowsOf, type TenantRow } from "./tenants.ts";

const PREFIX = "fv_";

interface Verdict {
  readonly verdict: string;
  readonly missing: number;
  readonly extra: number;
  readonly content: number;
  readonly unfindable: number;
  readonly unfindableAtSource: number;
  readonly keyValues: { readonly checked: number; readonly all: boolean };
  readonly repaired: Record<string, number> | null;
}

function verdictOf({ code, stdout, stderr }: ExitReport, expected: number): Verdict {
  assert.equal(code, expected, stderr + stdout);
  return JSON.parse(stdout).collections[0];
}

Deno.test("verify asks by partition key as users do, tells the source's own lost rows apart, and repairs the target", () =>
  withServers(PREFIX, async ({ env, source, target }) => {
    const name = `${PREFIX}tenants`;
    await source.call("create_collection", byTenant(name, "Int64", 10));
    const tenantOf = (id: number) => id % 50;
    const rows: TenantRow[] = rowsOf(0, 300, tenantOf);
    await source.call("insert", { name, rows });
    await source.call("flush", { name });
    await source.call("upsert", { name, rows: rows.slice(0, 60) });
    await using setup = await TidemarkSetup.make({ env, include: [`default.${name}`] });
    await setup.once();
    await assertFound(target, name, rows);

    const tenants = rows.map(({ tenant }) => tenant);
    const lost = async (server: typeof source) => {
      const there = await found(server, name, tenants);
      return rows.filter(({ id, tenant }) => !there.get(tenant)!.includes(id)).length;
    };
    const atSource = await lost(source);
    assert.ok(atSource > 0, "2.3.5 loses rows of a partition key that are upserted");
    const equal = verdictOf(await setup.command(["verify", "--json"]), 0);
    assert.deepEqual([equal.unfindable, equal.unfindableAtSource], [0, atSource]);
    assert.deepEqual(equal.keyValues, { checked: 50, all: true });

    // What an older release did, and somebody else.
    await target.call("upsert", { name, rows: rows.slice(100, 200) });
    await target.call("delete", { name, start: 200, count: 5 });
    await target.call("delete", { name, start: 210, count: 3 });
    await target.call("insert", { name, rows: [...rowsOf(210, 213, tenantOf, 1), ...rowsOf(900, 904, tenantOf)] });
    const misplaced = await lost(target) - 5;
    assert.ok(misplaced > 0);
    const different = verdictOf(await setup.command(["verify", "--json"]), 15);
    const { missing, extra, content, unfindable } = different;
    assert.deepEqual({ missing, extra, content, unfindable }, {
      missing: 5,
      extra: 4,
      content: 3,
      unfindable: misplaced,
    });
    const some = await setup.command(["verify", "--key-values", "10"]);
    assert.match(some.stdout, /asked for by a sample of 10 values of its partition key/);

    const following = setup.start(["run"]);
    await untilTail(setup, following);
    assert.equal((await setup.command(["verify", "--repair"])).code, 13);
    await following.kill();
    const mended = verdictOf(await setup.command(["verify", "--repair", "--json"]), 0);
    assert.deepEqual(mended.repaired, { missing: 5, content: 3, unfindable: misplaced, extra: 4, left: 0 });
    assert.equal(mended.verdict, "equal");
    await assertFound(target, name, rows);
    await assertSameRows({ server: source, name }, { server: target, name });
  }));
