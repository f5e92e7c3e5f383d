/** Interoperation with the real milvus-backup: it lists and restores what is written here, and the other way round. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import type { ObjectStore } from "../../../pipeline/model/mod.ts";
import { backupSinkSpec, createBackupSink, writeBackup } from "../../../sinks/backup/mod.ts";
import { backupBinlogs, backupCuts, backupSnapshot, readBackup } from "../../../sources/backup/mod.ts";
import { createFileStore, objectStoreSpec, openObjectStore } from "../../../stores/mod.ts";
import { installMilvusBackup, type PyMilvus, stackEnv } from "../../stack/mod.ts";
import { assertSame, assertSameRows } from "../pipeline/comparison.ts";
import { small, withServers } from "../pipeline/servers.ts";
import { TidemarkSetup } from "../pipeline/tidemark_process.ts";
import { RestoreSetup, settled } from "./restore_setup.ts";

const signal = new AbortController().signal;
const NAME = "tidemark_interop";
const SAMPLE = "milvus-backup-0.5.16";

/** Writes the sample anew as Tidemark does, with two more deletes that its metadata does not know. */
async function write(store: ObjectStore): Promise<void> {
  const sample = await readBackup(createFileStore(new URL("../../samples", import.meta.url).pathname), SAMPLE);
  const config = backupSinkSpec.parse({ type: "backup", name: NAME, storage: { type: "file", path: "/nowhere" } });
  const sink = createBackupSink(config, { name: "b", store, pipeline: "p", program: "tidemark test" });
  const ts = backupCuts(sample)[0]!.ts - 1n;
  const { session } = await writeBackup({
    sink,
    snapshot: backupSnapshot(sample),
    cuts: backupCuts(sample),
    files: backupBinlogs(sample),
    forgotten: () => [{ partitionId: -1n, keys: { kind: "int64", values: [20n, 721n] }, timestamps: [ts, ts] }],
  }, signal);
  await session.close();
}

async function milvusBackup(config: string, ...args: string[]): Promise<string> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/backup.yaml`, config);
    const { code, stdout, stderr } = await new Deno.Command(await installMilvusBackup(), {
      args: ["--config", `${folder}/backup.yaml`, ...args],
      cwd: folder,
    }).output();
    const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    strictEqual(code, 0, text);
    return text;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

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
  const [s3, milvus] = [new URL(env.S3_ENDPOINT!), new URL(of.milvus)];
  const [key, secret] = [env.S3_ACCESS_KEY, env.S3_SECRET_KEY];
  return `log: { level: error, console: false, file: { filename: /dev/null } }
milvus: { address: ${milvus.hostname}, port: ${milvus.port} }
minio: { storageType: minio, address: ${s3.hostname}, port: ${s3.port}, accessKeyID: ${key}, secretAccessKey: ${secret},
  useSSL: false, bucketName: ${of.bucket}, rootPath: files, backupStorageType: minio, backupAddress: ${s3.hostname},
  backupPort: ${s3.port}, backupAccessKeyID: ${key}, backupSecretAccessKey: ${secret}, backupUseSSL: false,
  backupBucketName: ${env.TARGET_BUCKET}, backupRootPath: ${of.prefix}, crossStorage: ${
    of.bucket !== env.TARGET_BUCKET
  } }
backup: { parallelism: { restoreCollection: 2 }, gcPause: { enable: false } }
`;
}

Deno.test("milvus-backup lists and gets what Tidemark wrote into a folder", async () => {
  const path = await Deno.makeTempDir();
  try {
    const store = createFileStore(path);
    await write(store);
    match(await milvusBackup(localConfig(path), "list"), new RegExp(`^${NAME}$`, "m"));
    const text = await milvusBackup(localConfig(path), "get", "-n", NAME);
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

const ROWS = `
import json, sys
from pymilvus import Collection, connections
connections.connect(uri=sys.argv[1])
c = Collection(sys.argv[2])
if not c.has_index(index_name="v"):
    raise SystemExit("no index")
c.load()
rows = c.query("id >= 0", output_fields=["*"], consistency_level="Strong", limit=16000)
def right(r):
    i = r["id"]
    return (r["b"] == (i % 2 == 0) and r["i8"] == i % 100 - 50 and r["i16"] == i and r["i32"] == 3 * i and abs(r["f"] - i / 7) < 1e-3
      and r["d"] == i / 3 and r["s"] == f"Zeile-{i}-ä€" and r["j"] == {"k": i, "t": ["x", None, 1.5]} and list(r["arr"]) == [i, i + 1][:i % 3]
      and r.get("extra") == f"dyn{i}" and r.get("n") == i and len(r["v"]) == 8)
print(json.dumps({"ids": sorted(r["id"] for r in rows), "wrong": [r["id"] for r in rows if not right(r)],
  "partitions": sorted(p.name for p in c.partitions), "indexes": sorted(i.index_name for i in c.indexes)}))
c.drop()
`;

Deno.test("milvus-backup restores what Tidemark wrote to S3, all deletes included", async () => {
  const env = stackEnv();
  const prefix = `interop-${crypto.randomUUID()}`;
  const store = await openObjectStore(objectStoreSpec.parse(targetStorage(env, prefix)));
  const config = s3Config(env, { milvus: env.TARGET_URI!, bucket: env.TARGET_BUCKET!, prefix });
  const suffix = `_${prefix.slice(-8)}`;
  try {
    await write(store);
    await milvusBackup(config, "restore", "-n", NAME, "-s", suffix, "--rebuild_index");
    const { code, stdout, stderr } = await new Deno.Command(env.PYTHON!, {
      args: ["-c", ROWS, env.TARGET_URI!, `peer_sample${suffix}`],
    }).output();
    strictEqual(code, 0, new TextDecoder().decode(stderr));
    const said = JSON.parse(new TextDecoder().decode(stdout));
    const gone = [5, 6, 7, 10, 20, 700, 721, 1001];
    deepStrictEqual(said.ids, Array.from({ length: 1100 }, (_, i) => i).filter((id) => !gone.includes(id)));
    deepStrictEqual(said.wrong, []);
    deepStrictEqual([said.partitions, said.indexes], [["_default", "p1"], ["s_idx", "v"]]);
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
      await milvusBackup(config, "create", "-n", "theirs", "-c", name);
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
      match(await milvusBackup(config, "list"), /^ours$/m);
      await milvusBackup(config, "restore", "-n", "ours", "-s", "_back", "--rebuild_index");
      await target.call("load_collection", { name: `${name}_back` });
      await assertSameRows({ server: source, name }, { server: target, name: `${name}_back` });
    } finally {
      await remove(env, prefix);
    }
  }));
