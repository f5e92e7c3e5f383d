/** Recordings of real clusters played beside a run that is killed and resumed: at each moment the copy is what was true then. */
import assert from "node:assert/strict";
import { ExactRowSink } from "../../fakes/exact_row_sink.ts";
import type { FakePipeline } from "../../fakes/pipeline.ts";
import { stackEnv } from "../../stack/env.ts";
import { eventually } from "../../stack/eventually.ts";
import { type Moment, Player, readRecording } from "../../stack/recorded/mod.ts";
import { setting } from "../long.ts";
import { seeded } from "../pipeline/random_workload.ts";
import { differencesAt, recordedPipeline, recordedSource, unexplained } from "./recorded_pipeline.ts";

/** Steps between two kills, on average. */
const STEPS_PER_KILL = 250;

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
        await applied(pipeline, sink, player, moment);
        assert.deepEqual(unexplained(differencesAt(moment, sink)), [], moment.label);
      }
      await run.stop();
      const last = moments.at(-1)!;
      assert.deepEqual(unexplained(differencesAt(last, sink)), [], `${last.label}, when it has stopped`);
    });
  }
}

/**
 * Waits until every pchannel that has a position has reached the moment's end of its log, every collection of it is there and
 * the rows are those of then: the metadata's last word is applied beside the log. Who does not come there is for the caller to say.
 */
async function applied(
  pipeline: FakePipeline,
  sink: ExactRowSink,
  { servers }: Player,
  moment: Moment,
): Promise<void> {
  const isRead = () => {
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
  const progress = () =>
    [...pipeline.saved("exact")?.positions ?? []].map(([topic, { offset }]) => `${topic} ${offset}`).join(", ");
  await eventually(
    `${moment.label} is applied`,
    () => isRead() && unexplained(differencesAt(moment, sink)).length === 0,
    { progress },
  ).catch((error) => console.error(error));
}
