/** Interoperation with the real milvus-backup: it lists and restores what is written here, and the other way round. */
import { deepStrictEqual, match, ok } from "node:assert/strict";
import { createFileStore, objectStoreSpec, openObjectStore } from "../../../stores/mod.ts";
import { type PyMilvus, stackEnv } from "../../stack/mod.ts";
import { assertSame, assertSameRows } from "../pipeline/comparison.ts";
import { small, withServers } from "../pipeline/servers.ts";
import { TidemarkSetup } from "../pipeline/tidemark_process.ts";
import { assertSampleIsBack, milvusBackup, milvusConfig, NAME, writeSample } from "./milvus_backup_program.ts";
import { RestoreSetup, settled } from "./restore_setup.ts";

function localConfig(path: string): string {
  return `log: { level: error, console: false, file: { filename: ${path}.log } }
milvus: { address: 127.0.0.1, port: 1 }
minio: { storageType: local, backupStorageType: local, backupRootPath: ${path}, backupBucketName: unused }
`;
}

/** In the bucket that the target's Milvus reads. */
function targetStorage(env: Record<string, string>, prefix: string): Record<string, unknown> {
  return {
    type: "s3",
    endpoint: env.S3_ENDPOINT,
    bucket: env.TARGET_BUCKET,
    prefix,
    access_key_id: env.S3_ACCESS_KEY,
    secret_access_key: env.S3_SECRET_KEY,
  };
}

/** Of one Milvus and its bucket; backups are in the target's bucket below `prefix`. */
function s3Config(env: Record<string, string>, of: { milvus: string; bucket: string; prefix: string }): string {
  const s3 = new URL(env.S3_ENDPOINT!);
  const [key, secret] = [env.S3_ACCESS_KEY, env.S3_SECRET_KEY];
  return milvusConfig(
    env,
    of,
    `
  backupStorageType: minio, backupAddress: ${s3.hostname}, backupPort: ${s3.port}, backupAccessKeyID: ${key},
  backupSecretAccessKey: ${secret}, backupUseSSL: false, backupBucketName: ${env.TARGET_BUCKET},
  backupRootPath: ${of.prefix}, crossStorage: ${of.bucket !== env.TARGET_BUCKET}`,
  );
}

Deno.test("milvus-backup lists and gets what Tidemark wrote into a folder", async () => {
  const path = await Deno.makeTempDir();
  try {
    const store = createFileStore(path);
    await writeSample(store);
    match(await milvusBackup(localConfig(path), ["list"]), new RegExp(`^${NAME}$`, "m"));
    const text = await milvusBackup(localConfig(path), ["get", "-n", NAME]);
    const got = JSON.parse(text.slice(text.indexOf("{"), text.lastIndexOf("}") + 1));
    deepStrictEqual(
      got.collection_backups?.map((item: { collection_name: string }) => item.collection_name) ?? got.data,
      [
        "peer_sample",
      ],
    );
  } finally {
    await Deno.remove(path, { recursive: true });
    await Deno.remove(`${path}.log`).catch(() => {});
  }
});

Deno.test("milvus-backup restores what Tidemark wrote to S3, all deletes included", async () => {
  const env = stackEnv();
  const prefix = `interop-${crypto.randomUUID()}`;
  const store = await openObjectStore(objectStoreSpec.parse(targetStorage(env, prefix)));
  const config = s3Config(env, { milvus: env.TARGET_URI!, bucket: env.TARGET_BUCKET!, prefix });
  const suffix = `_${prefix.slice(-8)}`;
  try {
    await writeSample(store);
    await milvusBackup(config, ["restore", "-n", NAME, "-s", suffix, "--rebuild_index"]);
    await assertSampleIsBack(env, suffix);
  } finally {
    const keys = (await Array.fromAsync(store.list(""))).map(({ key }) => key);
    ok(keys.length > 0);
    await store.delete(keys);
    await store.close();
  }
});

const PREFIX = "mbi_";

/** Two shards, two partitions, rows flushed and compacted away in part, deletes and upserts in delta logs. */
async function fill(source: PyMilvus, name: string): Promise<void> {
  await source.call("create_collection", small(name, { shards: 2, partitions: ["p1"] }));
  await source.call("insert_generated", { name, start: 0, count: 2000, seed: 1 });
  await source.call("insert_generated", { name, start: 2000, count: 500, seed: 1, partition: "p1" });
  await source.call("flush", { name });
  await source.call("delete", { name, start: 100, count: 300 });
  await source.call("insert_generated", { name, start: 500, count: 200, seed: 2, upsert: true });
  await source.call("delete", { name, start: 2100, count: 50, partition: "p1" });
  await source.call("flush", { name });
}

async function remove(env: Record<string, string>, prefix: string): Promise<void> {
  const store = await openObjectStore(objectStoreSpec.parse(targetStorage(env, prefix)));
  await store.delete((await Array.fromAsync(store.list(""))).map(({ key }) => key));
  await store.close();
}

Deno.test("backup restore brings back what milvus-backup made of a running Milvus, deletes included", () =>
  withServers(PREFIX, async ({ env, source, target }) => {
    const name = `${PREFIX}made`;
    const prefix = `interop-${crypto.randomUUID()}`;
    await fill(source, name);
    try {
      const config = s3Config(env, { milvus: env.SOURCE_URI!, bucket: env.SOURCE_BUCKET!, prefix });
      await milvusBackup(config, ["create", "-n", "theirs", "-c", name]);
      await using restore = await RestoreSetup.make({
        env,
        backup: { name: "theirs", storage: targetStorage(env, prefix) },
        transforms: { route: [{ from: "default.*", to: `${PREFIX}db.*` }] },
      });
      await restore.restore();
      await assertSame({ server: source, name }, { server: target, db: `${PREFIX}db`, name });
    } finally {
      await remove(env, prefix);
    }
  }));

Deno.test("milvus-backup restores the base that a run wrote, deletes included", () =>
  withServers(PREFIX, async ({ env, source, target }) => {
    const name = `${PREFIX}ours`;
    const prefix = `interop-${crypto.randomUUID()}`;
    await fill(source, name);
    try {
      await using setup = await TidemarkSetup.make({
        env,
        include: [`default.${name}`],
        sinks: { vault: { type: "backup", name: "ours", storage: targetStorage(env, prefix) } },
      });
      await settled(source, [name]);
      await setup.once();
      const config = s3Config(env, { milvus: env.TARGET_URI!, bucket: env.TARGET_BUCKET!, prefix });
      match(await milvusBackup(config, ["list"]), /^ours$/m);
      await milvusBackup(config, ["restore", "-n", "ours", "-s", "_back", "--rebuild_index"]);
      await target.call("load_collection", { name: `${name}_back` });
      await assertSameRows({ server: source, name }, { server: target, name: `${name}_back` });
    } finally {
      await remove(env, prefix);
    }
  }));
