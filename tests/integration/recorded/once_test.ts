/** Recordings of real clusters at rest: `run --once` makes of them what their clients know to be true. */
import assert from "node:assert/strict";
import { ExactRowSink } from "../../fakes/exact_row_sink.ts";
import { stackEnv } from "../../stack/env.ts";
import { Player, readRecording } from "../../stack/recorded/mod.ts";
import { differencesAt, recordedPipeline, recordedSource, unexplained } from "./recorded_pipeline.ts";

for (
  const name of ["2.6.19-kafka-v1", "2.6.19-kafka-v2", "3.0.0-kafka-v2", "2.5.27-kafka-random", "2.6.19-woodpecker-v1"]
) {
  Deno.test(`run --once of the recording ${name} at rest ends, with every row of every collection`, async () => {
    const env = stackEnv();
    await using player = await Player.open(readRecording(name), env);
    await player.load();
    await using source = await recordedSource(
      player.servers,
      env,
      name.includes("woodpecker") ? "woodpecker" : "kafka",
    );
    const sink = new ExactRowSink("exact");
    const pipeline = recordedPipeline(source, { rows: [sink] });
    const { blocked } = await pipeline.start({ kind: "once" }).result;
    assert.deepEqual(blocked, []);
    assert.deepEqual(unexplained(differencesAt(player.recording.moments.at(-1)!, sink)), []);
  });
}
