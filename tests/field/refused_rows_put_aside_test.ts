/** Somebody wants the copy to go on without rows that the target refuses: they are put aside, and written once the target can take them. */
import assert from "node:assert/strict";
import { eventually } from "../stack/eventually.ts";
import { withServers } from "../integration/pipeline/servers.ts";
import { TidemarkSetup } from "../integration/pipeline/tidemark_process.ts";
import { assertSameRows } from "../integration/pipeline/comparison.ts";
import { bulkImport, createNarrow, fitting, LONG_KEY, OVER_LONG, sourceShows } from "./over_long_rows.ts";

const PREFIX = "fpa_";

Deno.test("run puts refused rows aside in Parquet, replay keeps the copy honest about them, and widen takes them all", async () => {
  await withServers(PREFIX, async (servers) => {
    const { env, source, target } = servers;
    const name = `${PREFIX}c`;
    await createNarrow(servers, name);
    await bulkImport(servers, name, [fitting(1), ...OVER_LONG]);
    await sourceShows(servers, name, 4);
    await using aside = await TidemarkSetup.make({
      env,
      include: [`default.${name}`],
      transforms: { bad_rows: "dead_letter" },
    });
    assert.match((await aside.once(3)).stdout, /3 rows put aside as dead letters/);
    assert.ok((await Deno.stat(`${aside.folder}/state/test.dead_letters/00001.parquet`)).size > 0);
    await source.call("delete", { name, pks: [LONG_KEY] });
    await aside.once(3);
    const replayed = await aside.command(["replay"]);
    assert.equal(replayed.code, 3, replayed.stderr);
    assert.match(replayed.stdout, /3 dead letters: \d written, \d still refused, 1 passed over/);
    assert.match(replayed.stdout, /key k1001: field title has 40 bytes, the target's max_length is 8/);

    // Another copy, of all.
    await using wide = await TidemarkSetup.make({
      env,
      include: [`default.${name}`],
      route: [{ from: `default.${name}`, to: `default.${PREFIX}wide` }],
      transforms: { bad_rows: "widen" },
    });
    await wide.once(0);
    await eventually("the copy is loaded", async () => await target.call("count", { name: `${PREFIX}wide` }) === 3);
    await assertSameRows({ server: source, name }, { server: target, name: `${PREFIX}wide` });
  });
});
