/**
 * Random work on a cluster of generation 2 in real etcd, Kafka and S3, with flushes, L0 deletes, compactions and files of storage V1
 * and V2, beside a run that is killed at random phases and resumed: in the end every row is what the work left.
 */
import assert from "node:assert/strict";
import * as lives from "../../fakes/world/lives.ts";
import { ExactRowSink } from "../../fakes/exact_row_sink.ts";
import { Mortal } from "../../fakes/world/mortal.ts";
import { workOf } from "../../fakes/world/work.ts";
import { WrittenWorld } from "../../fakes/world/written.ts";
import { stackEnv } from "../../stack/env.ts";
import { RecordedServers } from "../../stack/recorded/servers.ts";
import { setting } from "../long.ts";
import { seeded } from "../pipeline/random_workload.ts";
import { recordedPipeline, recordedSource } from "./recorded_pipeline.ts";

/** `1 2 3`, or `1-20`. */
const SEEDS = setting("WORLD_SEEDS", "2 5", "1-20").split(" ").flatMap((part) => {
  const [from, to = from] = part.split("-").map(Number) as [number, number?];
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
});
const STEPS = Number(setting("WORLD_STEPS", "100", "200"));

for (const seed of SEEDS) {
  Deno.test(`run beside a cluster of generation 2 under random work, killed at random, has every row (seed ${seed})`, async () => {
    const env = stackEnv();
    await using servers = await RecordedServers.open(env);
    const cluster = await WrittenWorld.open(servers, seed);
    const { world } = cluster;
    world.create("default", "a", ...world.pchannels);
    world.create("default", "anchor", ...world.pchannels);
    await cluster.bring();
    await using source = await recordedSource(servers, env);
    const [sink, mortal] = [new ExactRowSink("exact"), new Mortal()];
    const pipeline = recordedPipeline(source, { rows: [mortal.wrap(sink)] });
    const random = seeded(seed);

    /** A run that dies behind so many phases. */
    const live = () => {
      let left = Math.floor(random() * (random() < 0.5 ? 6 : 25));
      let died: Promise<unknown> | undefined;
      const pass = () => {
        if (left-- > 0 || died !== undefined) return;
        mortal.gone = true;
        died = run.kill().catch(() => {});
        world.said.push("killed");
      };
      pipeline.override = { ...pipeline.override, crash: pass };
      pipeline.saving = mortal.passing = pass;
      const run = pipeline.start();
      const failed = run.result.then(() => undefined, (error) => died === undefined ? error : undefined);
      const over = async () => {
        const error = await failed;
        await died;
        mortal.gone = false;
        return error;
      };
      const stop = () => {
        died ??= run.kill().catch(() => {});
        return over();
      };
      return { dead: () => died !== undefined, over, stop };
    };

    let one = live();
    for (const step of workOf(seed, STEPS)) {
      step(cluster);
      if (random() < 0.5) world.tick();
      await cluster.bring();
      if (!one.dead()) continue;
      assert.equal(await one.over(), undefined, world.said.join("\n"));
      one = live();
    }
    assert.equal(await one.stop(), undefined, world.said.join("\n"));
    mortal.passing = pipeline.saving = () => {};
    pipeline.override = { ...pipeline.override, crash: () => {} };

    lives.finish(world);
    cluster.upkeep.flush();
    world.tick();
    await cluster.bring();
    // What the lives left of the copy, and one that begins now: from files that were compacted, and what is in the log only.
    const late = new ExactRowSink("late");
    for (const [copy, target] of [[pipeline, sink], [recordedPipeline(source, { rows: [late] }), late]] as const) {
      const { blocked } = await copy.start({ kind: "once" }).result;
      assert.deepEqual(blocked, [], world.said.join("\n"));
      lives.assertSame(world, target, copy.warnings);
    }
  });
}
