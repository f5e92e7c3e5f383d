/** A recording of a Woodpecker cluster as a backup: base and archive of its log, restored to the last moment of the archive. */
import assert from "node:assert/strict";
import { metaAt, openBackupSource } from "../../../sources/backup/mod.ts";
import { followPchannel } from "../../../sources/log/mod.ts";
import { createMemoryStore } from "../../../stores/mod.ts";
import { ExactRowSink } from "../../fakes/exact_row_sink.ts";
import { stackEnv } from "../../stack/env.ts";
import { Player, readRecording } from "../../stack/recorded/mod.ts";
import { differencesAt, recordedPipeline, recordedSource, unexplained } from "./recorded_pipeline.ts";

Deno.test("a backup of the recording 2.6.19-woodpecker-v1 restores every row of every collection", async () => {
  const env = stackEnv();
  await using player = await Player.open(readRecording("2.6.19-woodpecker-v1"), env);
  await player.load();
  await using source = await recordedSource(player.servers, env, "woodpecker");
  const vault = createMemoryStore();
  const { blocked } = await recordedPipeline(source, { vaults: { vault } }).start({ kind: "once" }).result;
  assert.deepEqual(blocked, []);
  const backup = await openBackupSource(vault, "b");
  const { ts } = backup.restorable!.to;
  const log = backup.log!;
  const sink = new ExactRowSink("exact");
  const restoring = recordedPipeline({
    meta: metaAt(backup, ts),
    log,
    binlogs: backup.binlogs,
    describe: source.describe,
    follow: (request, signal) => followPchannel(log, request, signal),
  }, { rows: [sink] });
  await restoring.start({ kind: "until", ts }, { restore: `${ts}` }).result;
  assert.deepEqual(unexplained(differencesAt(player.recording.moments.at(-1)!, sink)), []);
});
