/**
 * A backup of 20 000 segments (synthetic metadata, 14 files each): metadata and manifest written, listed, shown, planned.
 * Run: deno run -A tests/bench/backup_catalog.ts [segments]
 */
import { createFileStore, decodeFullMeta, encodeManifest, encodeMeta, META_FILES, metaKey } from "../../stores/mod.ts";
import { listBackups, planPrune, readBackup, showBackup } from "../../sources/backup/mod.ts";

const segments = Number(Deno.args[0] ?? 20_000);
const FILES = 14n;
const path = await Deno.makeTempDir();
const store = createFileStore(path);
const timed = async <T>(what: string, work: () => T | Promise<T>): Promise<T> => {
  const start = performance.now();
  const result = await work();
  const rss = Math.round(Deno.memoryUsage().rss / 2 ** 20);
  console.log(`${what}: ${((performance.now() - start) / 1000).toFixed(2)} s, RSS ${rss} MiB`);
  return result;
};

try {
  const sample = new URL("../samples/milvus-backup-0.5.16/meta/full_meta.json", import.meta.url);
  const meta = decodeFullMeta(await Deno.readTextFile(sample), "sample");
  const backed = meta.collections[0]!;
  const first = backed.segments[0]!;
  const many = Array.from({ length: segments }, (_, i) => {
    const id = first.id + BigInt(i) * 100n;
    return { ...first, id, groupId: id };
  });
  const texts = await timed(
    "encode the five metadata files",
    () => encodeMeta({ ...meta, name: "b", collections: [{ ...backed, segments: many }] }),
  );
  for (const file of META_FILES) await store.put(metaKey("b", file), new TextEncoder().encode(texts[file]));
  const objects = many.flatMap(({ id }) =>
    Array.from({ length: Number(FILES) }, (_, i) => ({
      path: `binlogs/insert_log/${backed.collection.id}/${first.partitionId}/${id}/${id}/${100 + i}/${id + BigInt(i)}`,
      size: 1000n,
      sum: `sha256:${"0".repeat(64)}`,
    }))
  );
  const manifest = await timed("encode tidemark.json", () =>
    encodeManifest({
      name: "b",
      pipeline: "p",
      writtenBy: "tidemark bench",
      generation: 1,
      source: { clusterId: "1", serverVersion: "2.3.5", revision: 1n, takenAtMs: 0 },
      startedMs: 0,
      finishedMs: 0,
      previous: "",
      logArchive: false,
      exactFrom: 0n,
      cuts: [],
      collections: [],
      failed: [],
      findings: [],
      ownDeltas: [],
      sharedBytes: 0n,
      objects,
    }));
  await store.put("b/tidemark.json", new TextEncoder().encode(manifest));
  console.log(
    `full_meta.json ${texts.full_meta.length >> 20} MiB, tidemark.json ${
      manifest.length >> 20
    } MiB, ${objects.length} objects`,
  );
  const listed = await timed("list", () => listBackups(store));
  await timed("plan a prune", () => planPrune(listed, { daily: 7 }, { nowMs: Date.now() }));
  await timed("open", () => readBackup(store, "b"));
  const shown = await timed("show", () => showBackup(store, "b"));
  if (shown.segments !== segments) throw new Error(`shown ${shown.segments} segments`);
} finally {
  await Deno.remove(path, { recursive: true });
}
