/** Recordings of real clusters played beside a run that is killed and resumed: at each moment the copy is what was true then. */
import assert from "node:assert/strict";
import { ExactRowSink } from "../../fakes/exact_row_sink.ts";
import type { FakePipeline } from "../../fakes/pipeline.ts";
import { stackEnv } from "../../stack/env.ts";
import { type Moment, Player, readRecording } from "../../stack/recorded/mod.ts";
import { setting } from "../long.ts";
import { seeded } from "../pipeline/random_workload.ts";
import { differencesAt, recordedPipeline, recordedSource, unexplained } from "./recorded_pipeline.ts";

/** Steps between two kills, on average. */
const STEPS_PER_KILL = 250;
const LIMIT_MS = 180_000;

const NAMES = setting("RECORDINGS", "2.6.19-kafka-v2 3.0.0-kafka-v2", "2.6.19-kafka-v1 2.6.19-kafka-v2 3.0.0-kafka-v2");
const SEEDS = Number(setting("SEEDS", "1", "5"));

for (const name of NAMES.split(" ")) {
  for (let seed = 1; seed <= SEEDS; seed++) {
    Deno.test(`run beside the recording ${name}, killed at random (seed ${seed}), has the true rows at every moment`, async () => {
      const env = stackEnv();
      await using player = await Player.open(readRecording(name), env);
      await using source = await recordedSource(player.servers, env);
      const sink = new ExactRowSink("exact");
      const pipeline = recordedPipeline(source, { rows: [sink] });
      const random = seeded(seed);
      const [first, ...moments] = player.recording.moments;
      await player.play({}, first!.label);
      let run = pipeline.start();
      for (const moment of moments) {
        await player.play({
          speed: 50,
          longestMs: 20,
          onStep: async () => {
            if (random() >= 1 / STEPS_PER_KILL) return;
            await run.kill();
            run = pipeline.start();
          },
        }, moment.label);
        await applied(pipeline, player, moment);
        assert.deepEqual(unexplained(differencesAt(moment, sink)), [], moment.label);
      }
      await run.stop();
    });
  }
}

/** Every pchannel that has a position has reached the moment's end of its log, and every collection of it is there. */
async function applied(pipeline: FakePipeline, { servers }: Player, moment: Moment): Promise<void> {
  const isThere = () => {
    const saved = pipeline.saved("exact");
    if (saved === undefined || saved.positions.size === 0) return false;
    const names = new Set([...saved.collections.values()].map(({ target }) => `${target.db}.${target.name}`));
    return moment.rows.every(({ db, collection }) => names.has(`${db}.${collection}`)) &&
      [...saved.collections.values()].every(({ phase, blocked }) => phase !== "base" || blocked !== undefined) &&
      [...moment.offsets].every(([topic, end]) => {
        const position = saved.positions.get(servers.topicOf(topic));
        return position === undefined || position.offset >= BigInt(end);
      });
  };
  for (const end = performance.now() + LIMIT_MS; !isThere();) {
    if (performance.now() > end) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  // The metadata's last word is applied beside the log.
  await new Promise((resolve) => setTimeout(resolve, 500));
}
