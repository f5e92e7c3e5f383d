/**
 * Making, checking and following a backup, beside milvus-backup and a plain parallel copy of the same objects.
 *
 *     [MILVUS_BACKUP=<binary>] deno run -A tests/bench/backup.ts [--rows 200000] [--runs 3] [--small]
 */
import { archiveFolder, createFileStore, listLogChannels } from "../../stores/mod.ts";
import type { ObjectInfo, ObjectStore } from "../../pipeline/model/mod.ts";
import { TidemarkSetup } from "../integration/pipeline/tidemark_process.ts";
import { openBucket } from "../stack/bucket.ts";
import { stackEnv } from "../stack/env.ts";
import { PyMilvus } from "../stack/pymilvus.ts";
import { numberArgument } from "./arguments.ts";
import { insert, makeCollection, note, type Rig, VECTOR_BYTES, watchUsage, withRig } from "./rig.ts";
import { timedCommand } from "./timed_command.ts";
import { countRequests } from "./request_counter.ts";
import { fixed, printFigure } from "./table.ts";

const PREFIX = "bench_backup";
const PARALLEL = 32;
const SETTLE_MS = 30_000;

type BackupRig = Pick<Rig, "env" | "source">;

interface Used {
  readonly seconds: number;
  readonly cpu: number;
}

interface Measured extends Used {
  readonly what: string;
  readonly bytes: number;
}

/** By seconds; with an even number the faster of the two in the middle. */
function median(runs: readonly Used[]): Used {
  const sorted = [...runs].sort((a, b) => a.seconds - b.seconds);
  return sorted[(sorted.length - 1) >> 1]!;
}

async function listed(store: ObjectStore, prefix: string): Promise<ObjectInfo[]> {
  return await Array.fromAsync(store.list(prefix));
}

const sizeOf = (objects: readonly ObjectInfo[]) => objects.reduce((sum, { size }) => sum + Number(size), 0);

async function remove(store: ObjectStore): Promise<void> {
  await store.delete((await listed(store, "")).map(({ key }) => key));
}

/** `run --once` with one backup sink; twice if `again` does something between: then the second is measured. */
async function tidemark(
  rig: BackupRig,
  include: string,
  storage: Record<string, unknown>,
  more: Record<string, unknown>,
  again?: () => Promise<void>,
): Promise<{ seconds: number; cpu: number }> {
  const sinks = { vault: { type: "backup", name: "b", storage, ...more } };
  await using setup = await TidemarkSetup.make({ env: rig.env, include: [include], sinks });
  const once = async () => {
    const began = performance.now();
    const running = setup.start(["run", "--once"]);
    const watch = watchUsage(running.pid, 5);
    const { code, stderr } = await running.exit;
    const seconds = (performance.now() - began) / 1000;
    const { cpu } = watch.stop();
    if (code !== 0) throw new Error(`run --once ended with ${code}: ${stderr}`);
    return { seconds, cpu };
  };
  const first = await once();
  if (again === undefined) return first;
  await again();
  return await once();
}

/** Requests of one base, to the source's bucket and to the backup's together; not timed. */
async function requests(rig: BackupRig, include: string, storageOf: (endpoint: string) => Record<string, unknown>) {
  await using counter = countRequests(rig.env.S3_ENDPOINT!);
  const env = { ...rig.env, S3_ENDPOINT: counter.endpoint };
  await tidemark({ ...rig, env }, include, storageOf(counter.endpoint), { log_archive: false });
  return [...counter.take()].map(([kind, count]) => `${count} ${kind}`).join(", ");
}

async function plainCopy(from: ObjectStore, objects: readonly ObjectInfo[], to: ObjectStore): Promise<number> {
  const began = performance.now();
  const queue = [...objects];
  await Promise.all(Array.from({ length: PARALLEL }, async () => {
    for (let item = queue.pop(); item !== undefined; item = queue.pop()) {
      if (await to.copyFrom(from, item.key, item.key, undefined, item.size)) continue;
      await to.put(item.key, await from.get(item.key), {});
    }
  }));
  return (performance.now() - began) / 1000;
}

function peerConfig(env: Record<string, string>, folder: string, place: "s3" | "local"): string {
  const milvus = new URL(env.SOURCE_URI!);
  const s3 = new URL(env.S3_ENDPOINT!);
  const local = place === "local";
  return `log: { level: error, console: false, file: { filename: ${folder}/log } }
milvus: { address: ${milvus.hostname}, port: ${milvus.port}, user: "", password: "", tlsMode: 0 }
minio: { storageType: minio, address: ${s3.hostname}, port: ${s3.port}, accessKeyID: ${env.S3_ACCESS_KEY}, secretAccessKey: ${env.S3_SECRET_KEY},
  useSSL: false, bucketName: ${env.SOURCE_BUCKET}, rootPath: files, backupStorageType: ${
    local ? "local" : "minio"
  }, backupAddress: ${s3.hostname},
  backupPort: ${s3.port}, backupAccessKeyID: ${env.S3_ACCESS_KEY}, backupSecretAccessKey: ${env.S3_SECRET_KEY}, backupUseSSL: false,
  backupBucketName: ${local ? '""' : env.SOURCE_BUCKET}, backupRootPath: ${
    local ? `${folder}/local` : `${PREFIX}/peer`
  }, crossStorage: ${local} }
backup: { parallelism: { copydata: 128, backupCollection: 4, backupSegment: 1024 }, keepTempFiles: false, gcPause: { enable: false } }
`;
}

async function figures(rig: BackupRig, rows: number, runs: number): Promise<void> {
  const { env, source } = rig;
  const name = `${PREFIX}_${crypto.randomUUID().slice(0, 8)}`;
  const folder = await Deno.makeTempDir({ prefix: "tidemark_bench_" });
  const root = openBucket(env, env.SOURCE_BUCKET!);
  const scratch = (part: string) => openBucket(env, env.SOURCE_BUCKET!, `${PREFIX}/${part}`);
  const s3 = (part: string, endpoint = env.S3_ENDPOINT) => ({
    type: "s3",
    endpoint,
    bucket: env.SOURCE_BUCKET,
    prefix: `${PREFIX}/${part}`,
    access_key_id: env.S3_ACCESS_KEY,
    secret_access_key: env.S3_SECRET_KEY,
  });
  const results: Measured[] = [];
  const add = (what: string, bytes: number, { seconds, cpu }: { seconds: number; cpu: number }) => {
    note(`${what}: ${fixed(seconds)} s`);
    results.push({ what, bytes, seconds, cpu });
  };
  try {
    await remove(scratch(""));
    note(`writing and flushing ${rows} rows`);
    await makeCollection(source, name, false);
    await insert(source, name, 0, rows);
    await source.call("flush", { name });
    // The source builds and compacts what it has just taken; a nightly backup does not meet it at that.
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));

    const include = `default.${name}`;
    const alone = { log_archive: false };
    const next = { ...alone, name: "b_{date}_{time}", rebase_after: { age: "1s" } };
    const due = () => new Promise<void>((resolve) => setTimeout(resolve, 1100));
    // One whole run before, which is not counted: it says what there is to copy, and warms everybody's caches alike.
    await tidemark(rig, include, s3("first"), alone);
    const first = scratch("first");
    const objects = (await listed(first, "")).filter(({ key }) => key.includes("/binlogs/"));
    const bytes = sizeOf(objects);
    const path = `${folder}/ours`;
    const binary = Deno.env.get("MILVUS_BACKUP");
    const peer = async (place: "s3" | "local", turn: number) => {
      await Deno.writeTextFile(`${folder}/backup.yaml`, peerConfig(env, folder, place));
      const args = ["--config", `${folder}/backup.yaml`, "create", "-n", `peer${turn}`, "--filter", name];
      return await timedCommand(binary!, args, folder);
    };
    const copy = async (to: ObjectStore) => ({ seconds: await plainCopy(first, objects, to), cpu: NaN });
    const file = (part: string) => ({ type: "file", path: `${folder}/${part}` });
    const all: [what: string, bytes: number, work: (turn: number) => Promise<Used>][] = [
      [
        "Tidemark, nothing to do",
        0,
        (turn) => tidemark(rig, include, file(`idle${turn}`), {}, () => Promise.resolve()),
      ],
      ["Tidemark, S3 to S3", bytes, (turn) => tidemark(rig, include, s3(`ours${turn}`), alone)],
      ["Tidemark, S3 to S3, the next base", bytes, (turn) => tidemark(rig, include, s3(`next${turn}`), next, due)],
      ["milvus-backup, S3 to S3", bytes, (turn) => peer("s3", turn)],
      ["plain copy, S3 to S3", bytes, (turn) => copy(scratch(`plain${turn}`))],
      [
        "Tidemark, S3 to folder",
        bytes,
        (turn) => tidemark(rig, include, file(turn === 0 ? "ours" : `ours${turn}`), alone),
      ],
      ["Tidemark, S3 to folder, with log archive", bytes, (turn) => tidemark(rig, include, file(`logged${turn}`), {})],
      [
        "Tidemark, S3 to folder, the next base",
        bytes,
        (turn) => tidemark(rig, include, file(`next${turn}`), next, due),
      ],
      ["milvus-backup, S3 to folder", bytes, (turn) => peer("local", turn)],
      ["plain copy, S3 to folder", bytes, (turn) => copy(createFileStore(`${folder}/plain${turn}`))],
    ];
    const contenders = all.filter(([what]) => binary !== undefined || !what.startsWith("milvus-backup"));
    // In turn, so that what else happens on the machine happens to all.
    const turns: Used[][] = contenders.map(() => []);
    for (let turn = 0; turn < runs; turn++) {
      for (const [i, [what, , work]] of contenders.entries()) {
        const used = await work(turn);
        note(`${what}: ${fixed(used.seconds)} s`);
        turns[i]!.push(used);
      }
    }
    for (const [i, [what, bytes]] of contenders.entries()) results.push({ what, bytes, ...median(turns[i]!) });
    const folders = new Set(
      objects.filter(({ key }) => key.includes("/insert_log/")).map(({ key }) => key.split("/").slice(0, -2).join("/")),
    );
    const asked = {
      s3: await requests(rig, include, (endpoint) => s3("counted", endpoint)),
      folder: await requests(rig, include, () => file("counted")),
    };

    for (const [what, place] of [["folder", path]] as const) {
      const main = new URL("../../main.ts", import.meta.url).pathname;
      for (const deep of [[], ["--deep"]]) {
        const args = ["run", "-A", main, "backup", "verify", "b", "--storage", place, ...deep];
        add(
          `verify${deep.length > 0 ? " --deep" : ""}, ${what}`,
          bytes,
          await timedCommand(Deno.execPath(), args, folder),
        );
      }
    }

    // The archive: rows that came since the base.
    const logged = `${folder}/archive`;
    const archive = await tidemark(
      rig,
      `default.${name}`,
      { type: "file", path: logged },
      {},
      () => insert(source, name, rows, rows),
    );
    const store = createFileStore(logged);
    let size = 0;
    for (const pchannel of await listLogChannels(store, "b")) {
      size += sizeOf(await listed(store, archiveFolder("b", pchannel)));
    }
    const values = rows * VECTOR_BYTES;
    add("archive of the log", values, archive);
    printFigure({
      title: `Backup of ${rows} rows`,
      command: `deno run -A tests/bench/backup.ts --rows ${rows} --runs ${runs}`,
      head: ["what", "s", "CPU s", "MB", "MB/s"],
      rows: results.map((item) => [
        item.what,
        fixed(item.seconds),
        Number.isNaN(item.cpu) ? "" : fixed(item.cpu),
        fixed(item.bytes / 1e6, 1),
        item.bytes === 0 ? "" : fixed(item.bytes / 1e6 / item.seconds, 1),
      ]),
      notes: [
        `Seconds are of whole processes, start included, copies the median of ${runs} in turn. CPU is of the tool alone, not of the servers.`,
        `${objects.length} objects in ${folders.size} segments. Requests of a whole run: S3 to S3 ${asked.s3}; S3 to folder ${asked.folder}.`,
        `Archive: MB counts the vectors of the rows only; ${
          fixed(size / values)
        } bytes of archive for each byte of vectors.`,
      ],
    });
  } finally {
    await remove(scratch(""));
    await root.close();
    await Deno.remove(folder, { recursive: true });
  }
}

/** A stack that is there need not be one that can be stopped and started. */
async function withSource(work: (rig: BackupRig) => Promise<void>): Promise<void> {
  if (!Deno.env.get("TIDEMARK_STACK_ENV")) return await withRig(work);
  const env = stackEnv();
  await using source = await PyMilvus.start(env.SOURCE_URI!, { python: env.PYTHON! });
  await work({ env, source });
}

if (import.meta.main) {
  await withSource(async (rig) => {
    await rig.source.call("truncate_names", { prefix: PREFIX });
    await figures(rig, numberArgument("rows", 200_000, 20_000), numberArgument("runs", 3, 1));
    await rig.source.call("truncate_names", { prefix: PREFIX });
  });
}
