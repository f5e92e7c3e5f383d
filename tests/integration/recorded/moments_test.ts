/** The recorded moments of real clusters, each met exactly by runs that end there. */
import assert from "node:assert/strict";
import { ExactRowSink } from "../../fakes/exact_row_sink.ts";
import { stackEnv } from "../../stack/env.ts";
import { Player, readRecording, timestampOf } from "../../stack/recorded/mod.ts";
import { setting } from "../long.ts";
import { differencesAt, recordedPipeline, recordedSource, unexplained } from "./recorded_pipeline.ts";

const NAMES = setting("RECORDINGS", "2.6.19-kafka-v2 3.0.0-kafka-v2", "2.6.19-kafka-v1 2.6.19-kafka-v2 3.0.0-kafka-v2");

for (const name of NAMES.split(" ")) {
  Deno.test(`run --until the moments of ${name}, one run after the other, has the true rows at each`, async () => {
    const env = stackEnv();
    await using player = await Player.open(readRecording(name), env);
    await using source = await recordedSource(player.servers, env);
    const sink = new ExactRowSink("exact");
    const pipeline = recordedPipeline(source, { rows: [sink] });
    const [first, ...moments] = player.recording.moments;
    await player.load(first!.label);
    for (const moment of moments) {
      await player.load(moment.label);
      const ts = timestampOf(player.recording, moment);
      const { blocked } = await pipeline.start({ kind: "until", ts }).result;
      assert.deepEqual(blocked, [], moment.label);
      assert.deepEqual(unexplained(differencesAt(moment, sink)), [], moment.label);
    }
  });
}
