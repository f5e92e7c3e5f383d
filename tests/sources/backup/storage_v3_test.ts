/** A segment kept by a manifest goes whole into a backup and comes out of it with its rows and deletes. */
import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import type { Collection, LogFile, Segment } from "../../../pipeline/model/mod.ts";
import { DataType } from "../../../pipeline/proto/gen/schema_pb.ts";
import { backupBinlogs, backupSnapshot, readBackup, showBackup, verifyBackup } from "../../../sources/backup/mod.ts";
import { createBinlogSource } from "../../../sources/binlog/mod.ts";
import { createMemoryStore } from "../../../stores/mod.ts";
import { collection, facts, sinkOn } from "../../conformance/archive_sink.ts";
import { segmentOf } from "../../fakes/segment.ts";
import { storeOf } from "../binlog/folder.ts";
import { schemaOf } from "../binlog/sample.ts";

const SAMPLE = new URL("../../samples/storage/v3-manifest-milv1/files/", import.meta.url);
const BASE = "insert_log/21/22/23";
const VCHANNEL = "by-dev-rootcoord-dml_0_21v0";
const signal = new AbortController().signal;

const kept: Collection = {
  ...collection(),
  id: 21n,
  name: "kept",
  schema: schemaOf("kept", [
    { id: 100n, name: "id", type: DataType.Int64, primary: true },
    { id: 101n, name: "v", type: DataType.FloatVector, dim: 4 },
    { id: 102n, name: "note", type: DataType.VarChar, nullable: true },
  ]),
  vchannels: [VCHANNEL],
  pchannels: ["by-dev-rootcoord-dml_0"],
  partitions: [{ id: 22n, name: "_default", createTs: 1n }],
};

const segment: Segment = segmentOf({
  id: 23n,
  collectionId: 21n,
  partitionId: 22n,
  vchannel: VCHANNEL,
  rows: 80n,
  storageVersion: 3n,
  manifestPath: JSON.stringify({ ver: 2, base_path: `a-bucket/files/${BASE}` }),
  commitTimestamp: 463267587700000000n,
});

async function backUp() {
  const source = createBinlogSource({ store: await storeOf(SAMPLE), root: "" });
  const files = await source.verify(21n, [segment], signal);
  const store = createMemoryStore();
  const session = await sinkOn(store, { name: "b" }).open(
    { resume: undefined, previous: undefined, nowMs: 0 },
    signal,
  );
  const base = facts();
  const [cut] = base.cuts;
  await session.begin({
    ...base,
    collectionIds: [21n],
    cuts: [{ ...cut!, vchannel: VCHANNEL, pchannel: kept.pchannels[0]!, collectionId: 21n }],
    catalog: { ...base.catalog, collections: [kept] },
  }, signal);
  const object = (file: LogFile) => ({ ...source.object(file), info: files.listed(file) });
  const forgotten = [{
    partitionId: 22n,
    keys: { kind: "int64" as const, values: [7n] },
    timestamps: [463267587800000000n],
  }];
  const copied = await session.copySegment(segment, object, forgotten, signal, files.kept?.get(23n));
  const report = await session.finishBase([{ collection: kept, segmentIds: [23n] }], [], signal);
  return { source, store, copied, report };
}

Deno.test("a backup keeps a segment of storage V3 whole, beside what milvus-backup reads, and says so", async () => {
  const { store, copied, report } = await backUp();
  // The manifest, six files of rows, a delta log; and the delta log of what was forgotten.
  strictEqual(copied.files, 9);
  strictEqual(copied.ownDeletes, 1);
  deepStrictEqual(report.removed, []);
  const keys = [...store.objects.keys()];
  ok(keys.includes(`b/manifests/${BASE}/_metadata/manifest-2.avro`));
  deepStrictEqual(keys.filter((key) => key.startsWith("b/binlogs/")), []);
  deepStrictEqual((await readBackup(store, "b")).meta.collections.flatMap(({ segments }) => segments), []);
  const shown = await showBackup(store, "b");
  deepStrictEqual([shown.segments, shown.rows, shown.collections[0]!.keptSegments], [1, 80n, 1]);
});

Deno.test("backupBinlogs reads a segment of storage V3 with its rows, times and deletes as the source has them", async () => {
  const { source, store } = await backUp();
  const backup = await readBackup(store, "b");
  const [found] = backupSnapshot(backup).segments;
  deepStrictEqual([found!.id, found!.vchannel, found!.class], [23n, VCHANNEL, "rows"]);
  const binlogs = backupBinlogs(backup);
  const rows = await Array.fromAsync(binlogs.rows(found!, kept.schema, "all", signal));
  deepStrictEqual(rows, await Array.fromAsync(source.rows(segment, kept.schema, "all", signal)));
  ok(rows.every(({ timestamps }) => timestamps!.every((ts) => ts >= 463267587700000000n)));
  const report = await binlogs.verify(21n, [found!], signal);
  deepStrictEqual(report.findings, []);
  const keys: string[] = [];
  for (const file of report.deltaFiles) {
    for await (const mark of binlogs.deletes(file, signal)) keys.push(...[...mark.keys.values].map(String));
  }
  strictEqual(keys.length, 3);
  ok(keys.includes("7"));
});

Deno.test("verifyBackup decodes segments of storage V3, and finds what is missing or changed of them", async () => {
  const { store } = await backUp();
  const good = await verifyBackup(store, "b", { deep: true });
  // The log of this backup was never begun.
  deepStrictEqual(good.findings.map(({ kind }) => kind), ["delayed"]);
  deepStrictEqual([good.ok, good.rows], [true, 80n]);
  const data = [...store.objects.keys()].find((key) => key.includes("/_data/"))!;
  const bytes = store.objects.get(data)!.bytes.slice();
  bytes[bytes.length >> 1]! ^= 255;
  await store.put(data, bytes);
  strictEqual((await verifyBackup(store, "b")).damaged, 1);
  await store.delete([data]);
  const lost = await verifyBackup(store, "b", { deep: true });
  ok(!lost.ok && lost.findings.some(({ kind, key }) => kind === "lost" && data.endsWith(key.split("/").at(-1)!)));
});

Deno.test("copySegment refuses a segment by manifest whose files were not given", async () => {
  const session = await sinkOn(createMemoryStore(), { name: "b" }).open(
    { resume: undefined, previous: undefined, nowMs: 0 },
    signal,
  );
  await session.begin(facts(), signal);
  const source = createBinlogSource({ store: await storeOf(SAMPLE), root: "" });
  await rejects(session.copySegment(segment, source.object, [], signal), {
    code: "unexpected",
    message: /by a manifest/,
  });
});
