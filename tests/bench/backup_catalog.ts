/**
 * A backup of 20 000 segments (synthetic metadata, 14 files each; no file is there): metadata and manifest written, then
 * listed, shown and planned as a restore, each by a process of its own.
 *
 *     deno run -A tests/bench/backup_catalog.ts [--segments 20000]
 */
import { toBinary } from "@bufbuild/protobuf";
import { noCrashPoints, planRun } from "../../pipeline/flow/mod.ts";
import type { ObjectInfo, ObjectStore } from "../../pipeline/model/mod.ts";
import { CollectionSchemaSchema } from "../../pipeline/proto/gen/schema_pb.ts";
import { openBackupSource } from "../../sources/backup/mod.ts";
import {
  createFileStore,
  decodeFullMeta,
  encodeManifest,
  encodeMeta,
  insertPath,
  type ManifestObject,
  META_FILES,
  metaKey,
} from "../../stores/mod.ts";
import { numberArgument } from "./arguments.ts";
import { watchUsage } from "./rig.ts";
import { fixed, printFigure } from "./table.ts";

const FILES = 14;
const NAME = "b";
const MAIN = new URL("../../main.ts", import.meta.url).pathname;

interface Measured {
  readonly what: string;
  readonly seconds: number;
  readonly cpu: number;
  readonly peak: number;
}

/** Writes the backup. Returns sizes of metadata and manifest. */
async function write(
  store: ObjectStore,
  segments: number,
): Promise<{ meta: number; manifest: number; objects: number }> {
  const sample = new URL("../samples/milvus-backup-0.5.16/meta/full_meta.json", import.meta.url);
  const meta = decodeFullMeta(await Deno.readTextFile(sample), "sample");
  const backed = meta.collections[0]!;
  const first = backed.segments[0]!;
  const many = Array.from({ length: segments }, (_, i) => {
    const id = first.id + BigInt(i) * 100n;
    const binlogs = first.binlogs.map(({ fieldId, files }, field) => ({
      fieldId,
      files: files.map((file) => ({ ...file, logId: id + BigInt(field) })),
    }));
    return { ...first, id, groupId: id, binlogs, deltalogs: [] };
  });
  const texts = encodeMeta({ ...meta, name: NAME, collections: [{ ...backed, segments: many }] });
  for (const file of META_FILES) await store.put(metaKey(NAME, file), new TextEncoder().encode(texts[file]));
  const objects = many.flatMap((segment): ManifestObject[] =>
    Array.from({ length: FILES }, (_, i) => {
      const group = segment.binlogs[i];
      const fieldId = group?.fieldId ?? BigInt(1000 + i);
      const place = { ...segment, collectionId: backed.collection.id };
      const path = `binlogs/${insertPath(place, fieldId, group?.files[0]?.logId ?? segment.id + BigInt(i))}`;
      return { path, size: 1000n, sum: `sha256:${"0".repeat(64)}` };
    })
  );
  const manifest = encodeManifest({
    name: NAME,
    pipeline: "p",
    writtenBy: "tidemark bench",
    generation: 1,
    queue: "kafka",
    source: { clusterId: "1", serverVersion: "2.3.5", revision: 1n, takenAtMs: 0 },
    startedMs: 0,
    finishedMs: 0,
    previous: "",
    logArchive: false,
    exactFrom: 0n,
    cuts: [],
    collections: [{
      id: backed.collection.id,
      name: `${backed.collection.dbName}.${backed.collection.name}`,
      schema: toBinary(CollectionSchemaSchema, backed.collection.schema),
      startOffsets: new Map(backed.collection.pchannels.map((pchannel) => [pchannel, 0n])),
    }],
    failed: [],
    findings: [],
    knownDeletes: [],
    segments: [],
    ownDeltas: [],
    sharedBytes: 0n,
    objects,
  });
  await store.put(`${NAME}/tidemark.json`, new TextEncoder().encode(manifest));
  return { meta: texts.full_meta.length, manifest: manifest.length, objects: objects.length };
}

/** Lists what the manifest names, as if it were there. */
function withObjects(store: ObjectStore, objects: () => readonly ManifestObject[]): ObjectStore {
  return {
    ...store,
    async *list(prefix): AsyncGenerator<ObjectInfo> {
      for (const { path, size } of objects()) {
        const key = `${NAME}/${path}`;
        if (key.startsWith(prefix)) yield { key, size, etag: "", modifiedMs: 0 };
      }
    },
  };
}

/** What `tidemark plan` does for a restore, without a target. */
async function plan(path: string): Promise<void> {
  let objects: readonly ManifestObject[] = [];
  const source = await openBackupSource(withObjects(createFileStore(path), () => objects), NAME);
  objects = source.backup.manifest!.objects;
  const { collections } = await planRun(
    {
      pipeline: "p",
      meta: source.meta,
      binlogs: source.binlogs,
      baseDeletes: "files",
      sinks: [],
      archives: [],
      state: { read: () => Promise.resolve(undefined) },
      selects: () => true,
      selection: { include: ["*.*"], exclude: [], allowEmpty: true, source: "the backup" },
      route: (db: string, name: string) => ({ db, name }),
      crash: noCrashPoints,
    } as unknown as Parameters<typeof planRun>[0],
    new AbortController().signal,
  );
  console.log(collections.map(({ segments, findings }) => `${segments} segments, ${findings.length} findings`).join());
}

async function measured(what: string, args: readonly string[], expected: RegExp): Promise<Measured> {
  const began = performance.now();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", ...args],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const watch = watchUsage(child.pid, 5);
  const { code, stdout } = await child.output();
  const seconds = (performance.now() - began) / 1000;
  const { cpu, peak } = watch.stop();
  const said = new TextDecoder().decode(stdout);
  if (code !== 0 || !expected.test(said)) throw new Error(`${what} ended with ${code}: ${said.slice(0, 1000)}`);
  return { what, seconds, cpu, peak };
}

async function figures(segments: number): Promise<void> {
  const path = await Deno.makeTempDir({ prefix: "tidemark_bench_" });
  try {
    const began = performance.now();
    const written = await write(createFileStore(path), segments);
    const writing = (performance.now() - began) / 1000;
    const storage = ["--storage", path];
    const all = [
      await measured("backup list", [MAIN, "backup", "list", ...storage], /\bb\b/),
      await measured("backup show", [MAIN, "backup", "show", NAME, "--json", ...storage], new RegExp(`${segments}`)),
      await measured(
        "plan of a restore",
        [import.meta.filename!, "plan", path],
        new RegExp(`^${segments} segments, 0 findings`),
      ),
    ];
    const mib = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`;
    printFigure({
      title: `A backup of ${segments} segments`,
      command: `deno run -A tests/bench/backup_catalog.ts --segments ${segments}`,
      head: ["command", "s", "CPU s", "peak RSS MiB"],
      rows: all.map(({ what, seconds, cpu, peak }) => [what, fixed(seconds), fixed(cpu), fixed(peak, 0)]),
      notes: [
        `${written.objects} objects, ${mib(written.meta)} of metadata, ${
          mib(written.manifest)
        } of manifest, encoded and written in ${fixed(writing)} s.`,
      ],
    });
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

if (Deno.args[0] === "plan") await plan(Deno.args[1]!);
else if (import.meta.main) await figures(numberArgument("segments", 20_000, 500));
