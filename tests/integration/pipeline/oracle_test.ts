/** Random work on the source, the run killed and started again while it goes on; then every row and definition is compared. */
import assert from "node:assert/strict";
import { assertSame } from "./comparison.ts";
import { RandomWorkload, seeded } from "./random_workload.ts";
import { cleanServers } from "./servers.ts";
import { TidemarkSetup } from "./tidemark_process.ts";
import { setting } from "../long.ts";

const PREFIX = "or_";
const STEPS = Number(setting("TIDEMARK_ORACLE_STEPS", "160", "500"));
const SEEDS = setting("TIDEMARK_ORACLE_SEEDS", "2", "1,2,3").split(",").map(Number);

for (const seed of SEEDS) {
  Deno.test(`run keeps both sides equal under random work with kills (seed ${seed}, ${STEPS} steps)`, async () => {
    await using servers = await cleanServers(PREFIX);
    const { env, source, target } = servers;
    const work = new RandomWorkload(source, PREFIX, seed);
    const random = seeded(seed + 1000);
    await work.begin(3);
    for (let i = 0; i < STEPS / 4; i++) await work.step();
    await using setup = await TidemarkSetup.make({ env, include: [`default.${PREFIX}*`] });
    let run = setup.start(["run"]);
    let kills = 0;
    for (let i = 0; i < STEPS; i++) {
      await work.step();
      if (random() < 0.04) {
        kills++;
        await run.kill();
        run = setup.start(["run"]);
      }
    }
    const { stderr } = await run.kill();
    await setup.once();
    const there = (await target.call("list_collections", {}) as string[]).filter((name) => name.startsWith(PREFIX));
    assert.deepEqual(
      there.sort(),
      work.names.sort(),
      `after ${kills} kills and ${JSON.stringify(work.done)}\n${stderr}`,
    );
    for (const name of work.names) await assertSame({ server: source, name }, { server: target, name });
  });
}
