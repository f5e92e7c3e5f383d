/** A recorded cluster whose files lie in the emulators of Azure and Google: copied, kept there as a backup, and restored from it. */
import assert from "node:assert/strict";
import { metaAt, openBackupSource } from "../../../sources/backup/mod.ts";
import { type BinlogConfig, binlogSpec, openBinlogSource } from "../../../sources/binlog/mod.ts";
import { followPchannel } from "../../../sources/log/mod.ts";
import { objectStoreSpec, openObjectStore } from "../../../stores/mod.ts";
import { ExactRowSink } from "../../fakes/exact_row_sink.ts";
import { AZURITE_ACCOUNT, AZURITE_KEY, startAzurite } from "../../stack/azurite.ts";
import { stackEnv } from "../../stack/env.ts";
import { startFakeGcs } from "../../stack/fake_gcs.ts";
import { Player, readRecording } from "../../stack/recorded/mod.ts";
import { differencesAt, recordedPipeline, recordedSource, unexplained } from "./recorded_pipeline.ts";

interface Cloud extends AsyncDisposable {
  /** Makes a bucket, or what is one there. Gives its store's configuration. */
  bucket(name: string): Promise<Record<string, unknown>>;
}

const CLOUDS: Readonly<Record<string, () => Promise<Cloud>>> = {
  async azure() {
    const server = await startAzurite();
    return {
      async bucket(container) {
        await server.createContainer(container);
        const login = { account: AZURITE_ACCOUNT, account_key: AZURITE_KEY };
        return { type: "azure", endpoint: server.endpoint, ...login, container };
      },
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },
  async gcs() {
    const server = await startFakeGcs();
    return {
      async bucket(bucket) {
        await server.createBucket(bucket);
        return { type: "gcs", endpoint: server.endpoint, anonymous: true, bucket };
      },
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },
};

/** A source whose files are those of the recording, below the folder of a real bucket. */
async function openFiles(player: Player, bucket: Record<string, unknown>) {
  const config: BinlogConfig = binlogSpec.parse(bucket);
  const store = await openObjectStore(objectStoreSpec.parse(bucket));
  // Of the log's own files a source of Kafka has none.
  for (const [key, content] of player.recording.objects) await store.put(key, content);
  await store.close();
  return await openBinlogSource(config);
}

Deno.test("run of a recorded cluster whose files are in Azure or in Google's storage has every row, as has its backup there", async (t) => {
  const env = stackEnv();
  await using player = await Player.open(readRecording("2.6.19-kafka-v2"), env);
  await player.load();
  const truth = player.recording.moments.at(-1)!;
  for (const [name, start] of Object.entries(CLOUDS)) {
    await t.step(name, async () => {
      await using cloud = await start();
      await using source = await recordedSource(player.servers, env);
      const binlogs = await openFiles(player, await cloud.bucket("a-bucket"));
      await using opened = new AsyncDisposableStack();
      opened.defer(() => binlogs.close());
      const vault = await openObjectStore(objectStoreSpec.parse(await cloud.bucket("vault")));
      opened.defer(() => vault.close());
      const copy = new ExactRowSink("exact");
      const { blocked } = await recordedPipeline({ ...source, binlogs }, { rows: [copy], vaults: { vault } })
        .start({ kind: "once" }).result;
      assert.deepEqual(blocked, []);
      assert.deepEqual(unexplained(differencesAt(truth, copy)), []);

      const backup = await openBackupSource(vault, "b");
      const { ts } = backup.restorable!.to;
      const log = backup.log!;
      const restored = new ExactRowSink("restored");
      await recordedPipeline({
        meta: metaAt(backup, ts),
        log,
        binlogs: backup.binlogs,
        describe: source.describe,
        follow: (request, signal) => followPchannel(log, request, signal),
      }, { rows: [restored] }).start({ kind: "until", ts }, { restore: `${ts}` }).result;
      assert.deepEqual(unexplained(differencesAt(truth, restored)), []);
    });
  }
});
