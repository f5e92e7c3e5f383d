/** Deletes that only an older base still knows: the source's metadata forgot them, and the log has passed them. */
import assert from "node:assert/strict";
import { connectEtcd } from "../../../stores/mod.ts";
import { deleteRecordsBefore } from "../../stack/broker.ts";
import { small, withServers } from "../pipeline/servers.ts";
import { TidemarkSetup } from "../pipeline/tidemark_process.ts";
import {
  assertGood,
  assertRestores,
  copiedFiles,
  folderVault,
  listComplete,
  manifestOf,
  sourceBucket,
  vaultSink,
} from "./backup_pipeline.ts";
import { settled } from "./restore_setup.ts";

const PREFIX = "bkp_known_";

/** Takes the delta logs of a collection out of metadata and bucket, as a source loses them. What is returned puts them back. */
async function forgetDeltas(env: Record<string, string>, id: bigint): Promise<AsyncDisposable> {
  await using open = new AsyncDisposableStack();
  const etcd = open.adopt(await connectEtcd({ endpoints: [env.ETCD_ENDPOINT!] }), (client) => client.close());
  const { store } = open.use(sourceBucket(env));
  const prefix = `${env.SOURCE_ROOT}/meta/datacoord-meta/deltalog/${id}/`;
  const named: { key: string; value: Uint8Array }[] = [];
  for await (const { kvs } of etcd.range(prefix)) {
    named.push(...kvs.filter(({ value }) => value.length > 0).map(({ key, value }) => ({ key, value })));
  }
  const files: { key: string; bytes: Uint8Array }[] = [];
  for await (const { key } of store.list(`files/delta_log/${id}/`)) files.push({ key, bytes: await store.get(key) });
  assert.ok(named.length > 0 && files.length > 0, "the source has written a delta log");
  for (const { key } of named) await etcd.put(key, new Uint8Array());
  await store.delete(files.map(({ key }) => key));
  const kept = open.move();
  return {
    async [Symbol.asyncDispose]() {
      for (const { key, bytes } of files) await store.put(key, bytes);
      for (const { key, value } of named) await etcd.put(key, value);
      await kept.disposeAsync();
    },
  };
}

Deno.test("a new base has the deletes that only the base before still knows", async () => {
  await withServers(PREFIX, async ({ env, source, target }) => {
    const name = `${PREFIX}a`;
    const { collection_id: id } = await source.call("create_collection", small(name)) as { collection_id: bigint };
    await source.call("insert_generated", { name, start: 0, count: 800, seed: 1 });
    await source.call("flush", { name });
    await source.call("delete", { name, start: 10, count: 30 });
    await settled(source, [name]);
    await using vault = await folderVault();
    const sinks = { vault: vaultSink(vault, { name: "b_{date}_{time}", rebase_after: { age: "1s" } }) };
    await using setup = await TidemarkSetup.make({ env, include: [`default.${name}`], sinks });
    {
      await using _forgotten = await forgetDeltas(env, BigInt(id));
      assert.equal(copiedFiles(await setup.once()).own, 30, "the log still has them");
      const { cuts, knownDeletes } = await manifestOf(vault, (await listComplete(vault))[0]!);
      assert.deepEqual(knownDeletes.map(({ vchannel }) => vchannel), cuts.map(({ vchannel }) => vchannel));
      for (const { pchannel, offset } of cuts) await deleteRecordsBefore(env.KAFKA_BROKERS!, pchannel, offset);
      await source.call("insert_generated", { name, start: 800, count: 100, seed: 1 });
      await source.call("delete", { name, start: 100, count: 20 });
      const own = copiedFiles(await setup.once()).own;
      assert.ok(own >= 30 && own <= 50, `${own} deletes are in the new base`);
    }
    const [before, last] = (await listComplete(vault)).slice(-2) as [string, string];
    assert.equal((await manifestOf(vault, last)).previous, before);
    await assertGood(setup, vault, last);
    await assertRestores({ env, vault, backup: last, source, target, names: [name] });
  });
});
