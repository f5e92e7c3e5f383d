import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { formatJson, parseJson } from "../../../pipeline/json.ts";
import type { ColumnBatch } from "../../../pipeline/model/mod.ts";
import {
  backupBinlogs,
  backupCuts,
  backupSnapshot,
  listBackups,
  readBackup,
  showBackup,
  verifyBackup,
} from "../../../sources/backup/mod.ts";
import { createFileStore, createMemoryStore, type MemoryStore } from "../../../stores/mod.ts";

const NAME = "milvus-backup-0.5.16";
const signal = new AbortController().signal;
const samples = () => createFileStore(new URL("../../samples", import.meta.url).pathname);

/** The sample in memory, to damage it. */
async function copyOfSample(): Promise<MemoryStore> {
  const [from, to] = [samples(), createMemoryStore()];
  for await (const { key } of from.list(`${NAME}/`)) await to.put(key, await from.get(key));
  return to;
}

Deno.test("backupBinlogs gives the 1094 live rows of a genuine backup, with their values", async () => {
  const backup = await readBackup(samples(), NAME);
  const { segments, catalog } = backupSnapshot(backup);
  const binlogs = backupBinlogs(backup);
  const schema = catalog.collections[0]!.schema;
  const deleted = new Map<bigint, bigint>();
  for (const file of segments.flatMap(({ deltalogs }) => deltalogs.flatMap(({ files }) => files))) {
    for await (const { keys, timestamps } of binlogs.deletes(file, signal)) {
      [...keys.values as Iterable<bigint>].forEach((key, i) => deleted.set(key, timestamps[i]!));
    }
  }
  deepStrictEqual([...deleted.keys()].sort((a, b) => Number(a - b)), [5n, 6n, 7n, 10n, 700n, 1001n]);
  const live = new Map<bigint, string>();
  for (const segment of segments) {
    for await (const batch of binlogs.rows(segment, schema, "all", signal)) {
      const id = column(batch, "id");
      const s = column(batch, "s");
      if (id.kind !== "int64" || s.kind !== "utf8") throw new Error("unexpected kinds");
      for (let row = 0; row < batch.rows; row++) {
        const key = id.values[row]!;
        if ((deleted.get(key) ?? 0n) > batch.timestamps![row]!) continue;
        live.set(key, new TextDecoder().decode(s.values[row]!));
      }
    }
  }
  strictEqual(live.size, 1094);
  ok([...live].every(([key, text]) => text === `Zeile-${key}-ä€`));
});

function column(batch: ColumnBatch, name: string) {
  return batch.columns.find((item) => item.name === name)!.data;
}

Deno.test("readBackup takes a name that a damaged byte is in for no other name", async () => {
  const store = await copyOfSample();
  const key = `${NAME}/meta/full_meta.json`;
  const bytes = await store.get(key);
  const at = new TextDecoder("latin1").decode(bytes).indexOf('"collection_name":"') + '"collection_name":"'.length;
  bytes[at] = bytes[at]! | 0x80;
  await store.put(key, bytes);
  const said = /full_meta\.json is not the text that it should be: it has bytes that are no UTF-8/;
  await rejects(readBackup(store, NAME), { code: "damaged", message: said });
  await rejects(verifyBackup(store, NAME, { deep: false }, signal), { code: "damaged", message: said });
});

Deno.test("backupSnapshot of a backup that knows no cut lets every row pass and has one channel per shard", async () => {
  const backup = await readBackup(samples(), NAME);
  const { checkpoints, segments, catalog } = backupSnapshot(backup);
  deepStrictEqual(backupCuts(backup).map(({ offset }) => offset), [-1n, -1n]);
  ok([...checkpoints.values()].every(({ ts }) => ts > 1n << 62n));
  const { vchannels } = catalog.collections[0]!;
  ok(segments.every(({ vchannel }) => vchannels.includes(vchannel)));
  strictEqual(segments[0]!.binlogs[0]!.files[0]!.path.split("/").length, 6);
});

Deno.test("verifyBackup --deep decodes a genuine backup and counts its rows", async () => {
  const report = await verifyBackup(samples(), NAME, { deep: true });
  deepStrictEqual([report.ok, report.rows, report.findings, report.unchecked], [true, 1100n, [], 88]);
});

Deno.test("verifyBackup finds a cut-off and a missing file in a backup without checksums", async () => {
  const store = await copyOfSample();
  const keys = [...store.objects.keys()].filter((key) => key.includes("/insert_log/")).sort();
  await store.put(keys[0]!, store.objects.get(keys[0]!)!.bytes.slice(0, -5));
  await store.delete([keys[1]!]);
  const report = await verifyBackup(store, NAME);
  deepStrictEqual(report.findings.map(({ kind, key }) => [kind, key]).sort(), [["damaged", keys[0]], [
    "lost",
    keys[1],
  ]]);
});

Deno.test("verifyBackup --deep finds a flipped byte that has no checksum", async () => {
  const store = await copyOfSample();
  const key = [...store.objects.keys()].find((key) => key.includes("/insert_log/") && key.includes("/107/"))!;
  const bytes = store.objects.get(key)!.bytes.slice();
  bytes[bytes.length >> 1]! ^= 0xff;
  await store.put(key, bytes);
  strictEqual((await verifyBackup(store, NAME)).ok, true);
  strictEqual((await verifyBackup(store, NAME, { deep: true })).ok, false);
});

Deno.test("readBackup reads the level files where full_meta.json is missing, and lists where numbers are", async () => {
  const store = await copyOfSample();
  await store.delete([`${NAME}/meta/full_meta.json`]);
  const meta = parseJson(new TextDecoder().decode(await store.get(`${NAME}/meta/segment_meta.json`))) as {
    infos: Record<string, unknown>[];
  };
  for (const segment of meta.infos) delete segment.binlogs;
  await store.put(`${NAME}/meta/segment_meta.json`, new TextEncoder().encode(formatJson(meta)));
  const report = await verifyBackup(store, NAME, { deep: true });
  deepStrictEqual([report.ok, report.rows], [true, 1100n]);
  strictEqual((await showBackup(store, NAME)).warnings.length, 1);
});

Deno.test("readBackup reads a numeric group folder once per segment, not once per group", async () => {
  const [from, to] = [await copyOfSample(), createMemoryStore()];
  // As milvus-backup 0.4.3 wrote it: several segments in group 1 of their partition.
  for (const [key, { bytes }] of from.objects) {
    await to.put(key.replace(/(_log\/\d+\/\d+)\/\d+\/(\d+)\//, "$1/1/$2/"), bytes);
  }
  const full = new TextDecoder().decode(await to.get(`${NAME}/meta/full_meta.json`)).replace(
    /"group_id":\d+/g,
    '"group_id":1',
  );
  await to.put(`${NAME}/meta/full_meta.json`, new TextEncoder().encode(full));
  const report = await verifyBackup(to, NAME, { deep: true });
  deepStrictEqual([report.ok, report.rows, report.findings], [true, 1100n, []]);
});

Deno.test("listBackups and readBackup tell a half-written backup from one that is not there", async () => {
  const store = await copyOfSample();
  await store.delete([`${NAME}/meta/backup_meta.json`]);
  await store.put("unrelated/file", new Uint8Array(1));
  const listed = await listBackups(store);
  deepStrictEqual(listed.map(({ name, state }) => [name, state]), [[NAME, "half-written"]]);
  const code = async (name: string) => await readBackup(store, name).then(() => "", (error) => error.code);
  deepStrictEqual([await code(NAME), await code("nothing")], ["damaged", "not_found"]);
});
