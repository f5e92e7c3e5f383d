/**
 * A collection whose rows live for a minute was copied; the source expired and compacted them before the target did, and
 * verify called all of the target's rows extra.
 */
import assert from "node:assert/strict";
import { small, withServers } from "../integration/pipeline/servers.ts";
import { TidemarkSetup } from "../integration/pipeline/tidemark_process.ts";
import { eventually } from "../stack/eventually.ts";

const PREFIX = "fl_";

Deno.test("verify counts rows past their time to live apart, whichever side has compacted them away", () =>
  withServers(PREFIX, async ({ env, source, target }) => {
    const name = `${PREFIX}short`;
    await source.call("create_collection", small(name));
    await source.call("insert_generated", { name, start: 0, count: 300 });
    await source.call("flush", { name });
    await using setup = await TidemarkSetup.make({ env, include: [`default.${name}`] });
    await setup.once();
    // As if they had been written long ago. 2.3.5 writes an altered property with the next change of the collection.
    for (let i = 0; i < 2; i++) {
      await source.call("alter_collection", { name, properties: { "collection.ttl.seconds": "1" } });
    }
    const verify = async () => {
      const { code, stdout, stderr } = await setup.command(["verify", "--json"]);
      assert.equal(code, 0, stderr + stdout);
      const { verdict, missing, extra, expired } = JSON.parse(stdout).collections[0];
      assert.deepEqual({ verdict, missing, extra, expired }, { verdict: "equal", missing: 0, extra: 0, expired: 300 });
    };
    await verify();
    await source.call("compact", { name });
    await eventually("the source has compacted them away", async () => {
      return await source.call("stored_rows", { name }) === 0;
    });
    await verify();
    await target.call("insert_generated", { name, start: 5000, count: 3 });
    const report = await setup.command(["verify", "--json"]);
    assert.equal(report.code, 15, "rows that the source never had are no expired ones");
    assert.equal(JSON.parse(report.stdout).collections[0].extra, 3);
  }));
