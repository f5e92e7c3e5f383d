/**
 * Restoring a backup: by rows, by the target's own bulk import, and beside that by milvus-backup.
 *
 *     [MILVUS_BACKUP=<binary>] deno run -A tests/bench/restore.ts [--rows 200000] [--collections 1] [--small]
 *
 * `--rows` are of all collections together.
 */
import { RestoreSetup } from "../integration/backup/restore_setup.ts";
import { targetStorage } from "../integration/backup/import_setup.ts";
import { TidemarkSetup } from "../integration/pipeline/tidemark_process.ts";
import { openBucket } from "../stack/bucket.ts";
import { numberArgument } from "./arguments.ts";
import { insert, makeCollection, note, type Rig, until, VECTOR_BYTES, watchUsage, withRig } from "./rig.ts";
import { fixed, printFigure, thousands } from "./table.ts";
import { timedCommand } from "./timed_command.ts";

const PREFIX = "bench_restore";

interface Measured {
  readonly what: string;
  /** Of the process, start included. */
  readonly seconds: number;
  /** Until the target counts all rows. */
  readonly queryable: number;
  readonly cpu: number;
}

function place(env: Record<string, string>, name: string): Record<string, unknown> {
  const keys = { access_key_id: env.S3_ACCESS_KEY, secret_access_key: env.S3_SECRET_KEY };
  return { type: "s3", endpoint: env.S3_ENDPOINT, bucket: name, prefix: `${PREFIX}/ours`, ...keys };
}

/** What is restored: so many collections of so many rows each. */
interface Subject {
  readonly names: readonly string[];
  readonly rows: number;
}

/** Resolves when every collection, called `name + suffix` on the target, counts its rows; then drops them. */
async function countedAndDropped(rig: Rig, { names, rows }: Subject, suffix: string, began: number): Promise<number> {
  for (const name of names.map((one) => `${one}${suffix}`)) {
    await until(`counting ${name}`, 600, async () => await rig.target.call("count", { name }).catch(() => -1) === rows);
  }
  const seconds = (performance.now() - began) / 1000;
  for (const name of names) await rig.target.call("drop_collection", { name: `${name}${suffix}` });
  return seconds;
}

/** One restore under other names, from its start to the moment when all rows are counted; the copies are dropped. */
async function tidemark(
  rig: Rig,
  subject: Subject,
  storage: Record<string, unknown>,
  sink: Record<string, unknown>,
): Promise<Omit<Measured, "what">> {
  await using setup = await RestoreSetup.make({
    env: rig.env,
    backup: { name: "b", storage },
    transforms: { route: subject.names.map((name) => ({ from: `default.${name}`, to: `default.${name}_back` })) },
    sink,
  });
  const began = performance.now();
  const running = setup.start(["--base-only"]);
  const watch = watchUsage(running.pid, 5);
  const { code, stderr } = await running.exit;
  const seconds = (performance.now() - began) / 1000;
  const { cpu } = watch.stop();
  if (code !== 0) throw new Error(`backup restore ended with ${code}: ${stderr}`);
  return { seconds, queryable: await countedAndDropped(rig, subject, "_back", began), cpu };
}

function peerConfig(env: Record<string, string>, folder: string, of: "source" | "target"): string {
  const milvus = new URL(of === "source" ? env.SOURCE_URI! : env.TARGET_URI!);
  const s3 = new URL(env.S3_ENDPOINT!);
  const [key, secret] = [env.S3_ACCESS_KEY, env.S3_SECRET_KEY];
  const own = of === "source" ? env.SOURCE_BUCKET : env.TARGET_BUCKET;
  return `log: { level: error, console: false, file: { filename: ${folder}/log } }
milvus: { address: ${milvus.hostname}, port: ${milvus.port}, user: "", password: "", tlsMode: 0 }
minio: { storageType: minio, address: ${s3.hostname}, port: ${s3.port}, accessKeyID: ${key}, secretAccessKey: ${secret},
  useSSL: false, bucketName: ${own}, rootPath: files, backupStorageType: minio, backupAddress: ${s3.hostname},
  backupPort: ${s3.port}, backupAccessKeyID: ${key}, backupSecretAccessKey: ${secret}, backupUseSSL: false,
  backupBucketName: ${env.TARGET_BUCKET}, backupRootPath: ${PREFIX}/peer, crossStorage: ${of === "source"} }
backup: { parallelism: { restoreCollection: 2, copydata: 128 }, gcPause: { enable: false } }
`;
}

async function milvusBackup(binary: string, folder: string, args: readonly string[]) {
  return await timedCommand(binary, ["--config", `${folder}/backup.yaml`, ...args], folder);
}

/** Its restore builds the index and does not load; that is done here, as Tidemark does it. */
async function peer(rig: Rig, subject: Subject, binary: string): Promise<Omit<Measured, "what">> {
  const folder = await Deno.makeTempDir({ prefix: "tidemark_bench_" });
  try {
    await Deno.writeTextFile(`${folder}/backup.yaml`, peerConfig(rig.env, folder, "source"));
    await milvusBackup(binary, folder, ["create", "-n", "peer", "--filter", subject.names.join(",")]);
    await Deno.writeTextFile(`${folder}/backup.yaml`, peerConfig(rig.env, folder, "target"));
    const args = ["restore", "-n", "peer", "-s", "_peer", "--rebuild_index"];
    const { began, seconds, cpu } = await milvusBackup(binary, folder, args);
    for (const name of subject.names) await rig.target.call("load_collection", { name: `${name}_peer`, wait: false });
    return { seconds, queryable: await countedAndDropped(rig, subject, "_peer", began), cpu };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function figures(rig: Rig, total: number, collections: number): Promise<void> {
  const { env, source } = rig;
  const name = `${PREFIX}_${crypto.randomUUID().slice(0, 8)}`;
  const rows = Math.ceil(total / collections);
  const subject: Subject = { names: Array.from({ length: collections }, (_, i) => `${name}_${i}`), rows };
  const stores = [env.SOURCE_BUCKET!, env.TARGET_BUCKET!].map((one) => openBucket(env, one, PREFIX));
  const clear = async () => {
    for (const store of stores) await store.delete((await Array.fromAsync(store.list(""))).map(({ key }) => key));
  };
  const results: Measured[] = [];
  const add = (what: string, measured: Omit<Measured, "what">) => {
    note(`${what}: ${fixed(measured.seconds)} s, queryable after ${fixed(measured.queryable)} s`);
    results.push({ what, ...measured });
  };
  try {
    await clear();
    note(`writing, flushing and backing up ${collections} times ${rows} rows`);
    for (const one of subject.names) {
      await makeCollection(source, one, true);
      await insert(source, one, 0, rows);
      await source.call("flush", { name: one });
    }
    const [far, near] = [place(env, env.SOURCE_BUCKET!), place(env, env.TARGET_BUCKET!)];
    for (const storage of [far, near]) {
      const sinks = { vault: { type: "backup", name: "b", storage, log_archive: false } };
      await using setup = await TidemarkSetup.make({ env, include: [`default.${name}_*`], sinks });
      await setup.once();
    }
    const byImport = { restore_by: "import", storage: targetStorage(env) };
    add("by rows", await tidemark(rig, subject, near, { restore_by: "rows" }));
    add("by import, backup in the target's bucket", await tidemark(rig, subject, near, byImport));
    add("by import, backup in another bucket", await tidemark(rig, subject, far, byImport));
    const binary = Deno.env.get("MILVUS_BACKUP");
    if (binary !== undefined) add("milvus-backup, in the target's bucket", await peer(rig, subject, binary));
  } finally {
    await clear();
    for (const store of stores) await store.close();
  }
  printFigure({
    title: `Restore of ${rows} rows` + (collections === 1 ? "" : ` in each of ${collections} collections`),
    command: `deno run -A tests/bench/restore.ts --rows ${total} --collections ${collections}`,
    head: ["what", "s", "s until queryable", "rows/s", "MB/s", "CPU s"],
    rows: results.map(({ what, seconds, queryable, cpu }) => [
      what,
      fixed(seconds),
      fixed(queryable),
      thousands(rows * collections / queryable),
      fixed(rows * collections * VECTOR_BYTES / 1e6 / queryable, 1),
      fixed(cpu),
    ]),
    notes: [
      "Seconds are of whole processes, start included; rates are of the time until all rows are counted on the loaded " +
      "target. MB/s counts the vectors only. CPU is of the tool alone, not of the servers.",
    ],
  });
}

if (import.meta.main) {
  await withRig(async (rig) => {
    for (const server of [rig.source, rig.target]) await server.call("truncate_names", { prefix: PREFIX });
    await figures(rig, numberArgument("rows", 200_000, 20_000), numberArgument("collections", 1, 1));
    for (const server of [rig.source, rig.target]) await server.call("truncate_names", { prefix: PREFIX });
  });
}
