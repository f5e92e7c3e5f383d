/** A source in memory whose log is a Woodpecker on a real etcd and a real S3 server, written by the tests' own writer. */
import { connectEtcd } from "../../../stores/etcd.ts";
import { objectStoreSpec } from "../../../stores/objects/spec.ts";
import { openObjectStore } from "../../../stores/mod.ts";
import { etcdMetaSpec } from "../../../sources/meta/mod.ts";
import { openWoodpeckerLog, woodpeckerLogSpec } from "../../../sources/log/mod.ts";
import type { FakeQueue } from "../../fakes/queued_source.ts";
import { woodpeckerQueue } from "../../fakes/woodpecker_queue.ts";
import { type KeyWriter, WoodpeckerWriter } from "../../fakes/woodpecker_writer.ts";
import type { Versitygw } from "../versitygw.ts";

let queues = 0;

/** Keys and objects of its own on servers that it neither starts nor stops. */
export async function servedWoodpeckerQueue(etcd: string, s3: Versitygw, bucket: string): Promise<FakeQueue> {
  const name = `queue-${queues++}`;
  const storage = {
    type: "s3",
    endpoint: s3.endpoint,
    bucket,
    access_key_id: s3.root.accessKeyId,
    secret_access_key: s3.root.secretAccessKey,
  };
  const config = woodpeckerLogSpec.parse({
    type: "woodpecker",
    meta_prefix: `${name}/woodpecker`,
    storage,
    root_path: `${name}/wp`,
    poll_ms: "10ms",
    idle_poll_ms: "20ms",
  });
  const meta = etcdMetaSpec.parse({ type: "etcd", endpoints: [etcd] });
  const client = connectEtcd({ endpoints: [etcd] });
  const store = await openObjectStore(objectStoreSpec.parse(storage));
  let settled: Promise<unknown> = Promise.resolve();
  const then = (step: () => Promise<unknown>) => {
    settled = settled.then(step);
    settled.catch(() => {});
  };
  const keys: KeyWriter = {
    put: (key, value) => then(() => client.put(key, value)),
    delete: (key) => then(() => client.delete(key)),
  };
  // Objects and keys come in the order in which they are written.
  const ordered = {
    ...store,
    put: async (...args: Parameters<typeof store.put>) => {
      await settled;
      return await store.put(...args);
    },
    delete: async (...args: Parameters<typeof store.delete>) => {
      await settled;
      return await store.delete(...args);
    },
  };
  return await woodpeckerQueue({
    writer: new WoodpeckerWriter(ordered, keys, { prefix: `${name}/woodpecker`, root: `${name}/wp` }),
    open: () => openWoodpeckerLog(config, { etcd: meta }),
    settled: async () => void await settled,
    close: async () => {
      await client.close();
      await store.close();
    },
  });
}
