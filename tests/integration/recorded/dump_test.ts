/** A recorded cluster whose log is read through its own DumpMessages, by a stand-in with the recorded server's manners. */
import assert from "node:assert/strict";
import { timeTick } from "../../../sources/log/gen2/properties.ts";
import { DumpServer } from "../../fakes/dump_server.ts";
import { ExactRowSink } from "../../fakes/exact_row_sink.ts";
import { stackEnv } from "../../stack/env.ts";
import { eventually } from "../../stack/eventually.ts";
import { Player, readRecording } from "../../stack/recorded/mod.ts";
import { woodpeckerRecords } from "../../stack/recorded/woodpecker_records.ts";
import { differencesAt, recordedPipeline, recordedSource, unexplained } from "./recorded_pipeline.ts";

const RECORDING = "2.6.19-woodpecker-v1";
/** Of a tick behind the first changes that the last checkpoints do not hold, and before the transactions. */
const FIRST_PART = 470796360000000000n;

Deno.test("run of a recorded cluster over its DumpMessages, killed and run again, has every row of every collection", async () => {
  const env = stackEnv();
  await using player = await Player.open(readRecording(RECORDING), env);
  await player.load();
  await using server = await DumpServer.start();
  const channels = await woodpeckerRecords(player.recording);
  // They are of the end, which is still to come.
  await player.servers.write(
    [...channels.keys()].map((topic) => ({
      key: `by-dev/meta/streamingnode-meta/wal/${topic}/consume-checkpoint`,
      value: undefined,
    })),
  );
  for (const [topic, { records, begin }] of channels) {
    server.create(topic);
    server.append(topic, records.filter((record) => timeTick(record) <= FIRST_PART));
    server.truncate(topic, begin);
  }
  await using source = await recordedSource(player.servers, env, "woodpecker", server);
  const sink = new ExactRowSink("exact");
  const pipeline = recordedPipeline(source, { rows: [sink] });
  const run = pipeline.start();
  await eventually("every channel has a position and every collection its base", () => {
    const saved = pipeline.saved("exact");
    return saved !== undefined && saved.positions.size === channels.size && saved.collections.size > 0 &&
      [...saved.collections.values()].every(({ phase }) => phase !== "base");
  });
  await run.kill();
  for (const [topic, { records }] of channels) {
    server.append(topic, records.filter((record) => timeTick(record) > FIRST_PART));
  }
  const { blocked } = await pipeline.start({ kind: "once" }).result;
  assert.deepEqual(blocked, []);
  assert.deepEqual(unexplained(differencesAt(player.recording.moments.at(-1)!, sink)), []);
});

Deno.test("run of a recorded cluster over a DumpMessages that leaves out transactions blocks their collections, and no others", async () => {
  const env = stackEnv();
  await using player = await Player.open(readRecording(RECORDING), env);
  await player.load();
  await using server = await DumpServer.start({ whole: false, version: "2.6.19" });
  for (const [topic, { records, begin }] of await woodpeckerRecords(player.recording)) {
    server.create(topic);
    server.append(topic, records);
    server.truncate(topic, begin);
  }
  await using source = await recordedSource(player.servers, env, "woodpecker", server);
  const sink = new ExactRowSink("exact");
  const { blocked } = await recordedPipeline(source, { rows: [sink] }).start({ kind: "once" }).result;
  // Clients had upserted into these: into one behind its checkpoints, into the other before them, where its deletes are needed.
  assert.deepEqual(blocked.map(({ collection }) => collection).sort(), ["default.types", "shop.users"]);
  for (const { reason } of blocked) assert.match(reason, /a transaction without its rows.*2\.6\.20/);
  const found = unexplained(differencesAt(player.recording.moments.at(-1)!, sink));
  assert.deepEqual(found.filter((line) => !/^(default\.types|shop\.users) /.test(line)), []);
});
