/** Segments of storage V3 written as V2: read back equal, and of the same form as genuine files of V2. */
import assert from "node:assert/strict";
import { type FileMetaData, parquetMetadata } from "hyparquet";
import type { Segment } from "../../../pipeline/model/mod.ts";
import { DataType } from "../../../pipeline/proto/gen/schema_pb.ts";
import { columnGroups, groupFieldIds } from "../../../sinks/backup/storage_v2/column_groups.ts";
import { encodeRows } from "../../../sinks/backup/storage_v2/encode.ts";
import { showBackup, verifyBackup } from "../../../sources/backup/mod.ts";
import { createFileStore, createMemoryStore, type MemoryStore } from "../../../stores/mod.ts";
import { segmentOf } from "../../fakes/segment.ts";
import { storeOf } from "../../sources/binlog/folder.ts";
import { schemaOf } from "../../sources/binlog/sample.ts";
import { checkAll, META, SAMPLES, schema } from "../../sources/binlog/v2_sample.ts";
import { everyType, genuineFile, inline, readRewritten, rewriteIn, VCHANNEL } from "./rewritten.ts";

const signal = new AbortController().signal;
const metadataOf = (bytes: Uint8Array): FileMetaData => parquetMetadata(bytes.slice().buffer);

/** Integers of 8 and 16 bits are said to be so twice there, once here. */
function older(element: FileMetaData["schema"][number]): FileMetaData["schema"][number] {
  return element.logical_type?.type === "INTEGER" ? { ...element, logical_type: undefined } : element;
}

function pairsOf({ key_value_metadata }: FileMetaData): Record<string, string | undefined> {
  return Object.fromEntries((key_value_metadata ?? []).map(({ key, value }) => [key, value]));
}

Deno.test("copySegment writes every type of a segment of storage V3 as V2, and it reads back as the rows that it was made from", async () => {
  const { store, segment } = await everyType();
  const { to } = await rewriteIn(store, segment, schema);
  const written = await readRewritten(to);
  assert.deepEqual([written.segment.storageVersion, written.segment.manifestPath, written.segment.rows], [
    2n,
    "",
    260n,
  ]);
  checkAll(await written.batches(schema));
  // Without what only our own part of the backup says of the groups, as another reader sees it.
  const bare = { ...written.segment, binlogs: written.segment.binlogs.map((group) => ({ ...group, childFields: [] })) };
  checkAll(await Array.fromAsync(written.binlogs.rows(bare, schema, "all", signal)));
  // Row ids, which no user sees, too.
  const rowIds = await Array.fromAsync(written.binlogs.rows(written.segment, schema, [0n], signal));
  const before = await rewriteIn(store, segment, schema);
  const first = await Array.fromAsync(before.source.rows(segment, schema, [0n], signal));
  assert.deepEqual(rowIds.map(({ columns }) => columns), first.map(({ columns }) => columns));
  assert.equal(first[0]!.columns[0]!.valid, undefined);
});

Deno.test("encodeRows makes files of the same form as genuine ones: groups, schema, field ids, keys, row groups", async () => {
  const { store, segment } = await everyType();
  const groups = columnGroups(schema);
  assert.deepEqual(groups.map(({ id }) => String(id)), META.field_binlogs.map(({ fieldID }) => fieldID));
  assert.deepEqual(groupFieldIds(groups), META.field_binlogs.map(({ child_fields }) => child_fields).join(";"));
  // The genuine segment was written in two pieces, of 200 and 60 rows.
  const { source } = await rewriteIn(store, segment, schema, { reading: { batchRows: 200 } });
  const ids = groups.flatMap(({ columns }) => columns.map(({ fieldId }) => fieldId));
  const rows = source.rows(segment, schema, ids, signal);
  const sets = await Array.fromAsync(encodeRows(groups, rows, { createdBy: "test", setBytes: 1 }));
  assert.deepEqual(sets.map(({ rows }) => rows), [200, 60]);
  for (const [set, { files }] of sets.entries()) {
    for (const [i, bytes] of files.entries()) {
      const { fieldID, binlogs } = META.field_binlogs[i]!;
      const genuine = metadataOf(genuineFile(fieldID, binlogs[set]!.logID));
      const ours = metadataOf(bytes);
      assert.deepEqual(ours.schema.slice(1), genuine.schema.slice(1).map(older), `schema of group ${fieldID}`);
      assert.deepEqual(pairsOf(ours), pairsOf(genuine), `keys of group ${fieldID}`);
      assert.deepEqual(
        ours.row_groups.map(({ num_rows, columns }) => [num_rows, columns.map(({ meta_data }) => meta_data!.codec)]),
        genuine.row_groups.map(({ num_rows, columns }) => [num_rows, columns.map(({ meta_data }) => meta_data!.codec)]),
      );
    }
  }
});

const SMALL = "insert_log/21/22/23";
const COMMITTED = 463267587700000000n;
const small = schemaOf("kept", [
  { id: 100n, name: "id", type: DataType.Int64, primary: true },
  { id: 101n, name: "v", type: DataType.FloatVector, dim: 4 },
  { id: 102n, name: "note", type: DataType.VarChar, nullable: true },
]);

/** A genuine segment by manifest, of 80 rows and two deletes, as an import of 3.0 leaves it. */
async function withDeletes(): Promise<{ store: MemoryStore; segment: Segment }> {
  const store = await storeOf(new URL("v3-manifest-milv1/files/", SAMPLES));
  const segment = segmentOf({
    id: 23n,
    collectionId: 21n,
    partitionId: 22n,
    vchannel: VCHANNEL,
    rows: 80n,
    storageVersion: 3n,
    manifestPath: JSON.stringify({ ver: 2, base_path: SMALL }),
    commitTimestamp: COMMITTED,
  });
  return { store, segment };
}

const forgotten = [{
  partitionId: 22n,
  keys: { kind: "int64" as const, values: [7n] },
  timestamps: [463267587800000000n],
}];

async function sourceDeletes({ source }: Awaited<ReturnType<typeof rewriteIn>>, segment: Segment): Promise<string[]> {
  const { deltaFiles } = await source.verify(segment.collectionId, [segment], signal);
  const marks = await Array.fromAsync(source.deletes(deltaFiles[0]!, signal));
  return marks.flatMap(({ keys, timestamps }) => [...timestamps].map((ts, i) => `${keys.values[i]} at ${ts}`)).sort();
}

Deno.test("copySegment writes deletes and times of a segment of storage V3 in milvus-backup's layout; show and verify say it", async () => {
  const { store, segment } = await withDeletes();
  const to = createMemoryStore();
  const written = await rewriteIn(store, segment, small, { to, forgotten });
  const { copied } = written;
  assert.deepEqual([copied.files, copied.ownDeletes], [5, 1]);
  // Nothing of ours is needed: numbers of one length, each group with as many files, the segment as its own group folder.
  const keys = [...to.objects.keys()].filter((key) => !key.startsWith("b/meta/") && key !== "b/tidemark.json").sort();
  const folder = "b/binlogs/insert_log/21/22/23/23";
  assert.deepEqual(keys, [
    "b/binlogs/delta_log/21/22/23/23/100000000000000003",
    "b/binlogs/delta_log/21/22/23/23/100000000000000004",
    `${folder}/0/100000000000000000`,
    `${folder}/1/100000000000000001`,
    `${folder}/101/100000000000000002`,
  ]);
  const full = new TextDecoder().decode(to.objects.get("b/meta/full_meta.json")!.bytes);
  assert.match(full, /"segment_id":23,.*"num_of_rows":80,.*"group_id":23,.*"storage_version":2/);

  const read = await readRewritten(to);
  const found = await read.batches(small);
  const wanted = await Array.fromAsync(written.source.rows(segment, small, "all", signal));
  assert.deepEqual(found, wanted);
  assert.ok(found.every(({ timestamps }) => timestamps!.every((ts) => ts >= COMMITTED)));
  const own = await sourceDeletes(written, segment);
  assert.equal(own.length, 2);
  assert.deepEqual(await read.deletes(), [...own, "7 at 463267587800000000"].sort());

  const shown = await showBackup(to, "b");
  const [collection] = shown.collections;
  assert.deepEqual([shown.segments, shown.rows, collection!.keptSegments, collection!.rewrittenSegments], [
    1,
    80n,
    0,
    1,
  ]);
  const good = await verifyBackup(to, "b", { deep: true });
  assert.deepEqual([good.ok, good.rows, good.rewrittenSegments], [true, 80n, 1]);
  const key = `${folder}/101/100000000000000002`;
  const bytes = to.objects.get(key)!.bytes.slice();
  bytes[bytes.length >> 1]! ^= 255;
  await to.put(key, bytes);
  assert.equal((await verifyBackup(to, "b")).damaged, 1);
});

Deno.test("copySegment writes a segment of storage V3 as V2 once: an interrupted base goes on, a next one shares the files", async () => {
  const { store, segment } = await withDeletes();
  const path = await Deno.makeTempDir();
  try {
    const to = createFileStore(path);
    const first = await rewriteIn(store, segment, small, { to, name: "b1", unfinished: true });
    assert.deepEqual([first.copied.files, first.copied.presentFiles], [4, 0]);
    const again = await rewriteIn(store, segment, small, { to, resume: "b1" });
    assert.deepEqual([again.copied.files, again.copied.presentFiles], [4, 4]);
    const next = await rewriteIn(store, segment, small, { to, name: "b2", previous: "b1" });
    assert.deepEqual(next.copied.sharedBytes, next.copied.bytes);
    const file = "binlogs/insert_log/21/22/23/23/0/100000000000000000";
    const [one, two] = await Promise.all(["b1", "b2"].map((name) => Deno.stat(`${path}/${name}/${file}`)));
    assert.equal(one!.ino, two!.ino);
    assert.deepEqual(
      await (await readRewritten(to, "b2")).batches(small),
      await Array.fromAsync(first.source.rows(segment, small, "all", signal)),
    );
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});

Deno.test("copySegment names the segment that cannot be written as V2, and the way to keep it: texts elsewhere, nulls", async () => {
  const { store, segment } = await everyType((row) =>
    row < 200 ? inline(row) : Uint8Array.of(1, ...new Uint8Array(24))
  );
  await assert.rejects(rewriteIn(store, segment, schema), {
    code: "unsupported",
    message: /^Segment 449000000000000003 cannot be written as storage V2: .*lobs\/00000000/,
    hint: /storage_format.*source/,
  });
  const { store: other, segment: small } = await withDeletes();
  const required = schemaOf("kept", [
    { id: 100n, name: "id", type: DataType.Int64, primary: true },
    { id: 101n, name: "v", type: DataType.FloatVector, dim: 4 },
    { id: 102n, name: "note", type: DataType.VarChar },
  ]);
  await assert.rejects(rewriteIn(other, small, required), {
    code: "unsupported",
    message: /^Segment 23 cannot be written as storage V2: Field note \(102\) has no value in row \d+, though/,
  });
});
