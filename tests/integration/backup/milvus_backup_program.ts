/** The real milvus-backup, and a sample backup that it must read. */
import { deepStrictEqual, strictEqual } from "node:assert/strict";
import type { ObjectStore } from "../../../pipeline/model/mod.ts";
import { backupSinkSpec, createBackupSink, writeBackup } from "../../../sinks/backup/mod.ts";
import { backupBinlogs, backupCuts, backupSnapshot, readBackup } from "../../../sources/backup/mod.ts";
import { createFileStore } from "../../../stores/mod.ts";
import { installMilvusBackup } from "../../stack/mod.ts";

const signal = new AbortController().signal;
export const NAME = "tidemark_interop";
const SAMPLE = "milvus-backup-0.5.16";

/** Writes the sample anew as Tidemark does, with two more deletes that its metadata does not know. */
export async function writeSample(store: ObjectStore): Promise<void> {
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

export async function milvusBackup(
  config: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<string> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/backup.yaml`, config);
    const { code, stdout, stderr } = await new Deno.Command(await installMilvusBackup(), {
      args: ["--config", `${folder}/backup.yaml`, ...args],
      env,
      cwd: folder,
    }).output();
    const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    strictEqual(code, 0, text);
    return text;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Of one Milvus and its bucket. `backups`: the settings of where backups are. */
export function milvusConfig(
  env: Record<string, string>,
  of: { readonly milvus: string; readonly bucket: string },
  backups: string,
): string {
  const [s3, milvus] = [new URL(env.S3_ENDPOINT!), new URL(of.milvus)];
  return `log: { level: error, console: false, file: { filename: /dev/null } }
milvus: { address: ${milvus.hostname}, port: ${milvus.port} }
minio: { storageType: minio, address: ${s3.hostname}, port: ${s3.port}, accessKeyID: ${env.S3_ACCESS_KEY},
  secretAccessKey: ${env.S3_SECRET_KEY}, useSSL: false, bucketName: ${of.bucket}, rootPath: files, ${backups} }
backup: { parallelism: { restoreCollection: 2 }, gcPause: { enable: false } }
`;
}

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

/** Every row of the sample is in the target, in a collection with this at the end of its name, but for what was deleted. */
export async function assertSampleIsBack(env: Record<string, string>, suffix: string): Promise<void> {
  const { code, stdout, stderr } = await new Deno.Command(env.PYTHON!, {
    args: ["-c", ROWS, env.TARGET_URI!, `peer_sample${suffix}`],
  }).output();
  strictEqual(code, 0, new TextDecoder().decode(stderr));
  const said = JSON.parse(new TextDecoder().decode(stdout));
  const gone = [5, 6, 7, 10, 20, 700, 721, 1001];
  deepStrictEqual(said.ids, Array.from({ length: 1100 }, (_, i) => i).filter((id) => !gone.includes(id)));
  deepStrictEqual(said.wrong, []);
  deepStrictEqual([said.partitions, said.indexes], [["_default", "p1"], ["s_idx", "v"]]);
}
