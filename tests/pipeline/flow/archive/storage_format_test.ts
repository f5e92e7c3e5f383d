/** Storage V1 beside V2 beside V3 in one collection, through the flow of a base, kept as they are and V3 written as V2. */
import assert from "node:assert/strict";
import { ArchiveBase } from "../../../../pipeline/flow/archive/base.ts";
import type { FlowDependencies } from "../../../../pipeline/flow/mod.ts";
import { Slots } from "../../../../pipeline/flow/base/mod.ts";
import type { RunProgress } from "../../../../pipeline/flow/state/mod.ts";
import type { Collection, ColumnBatch, FieldFiles, Segment, Snapshot } from "../../../../pipeline/model/mod.ts";
import { cellsOf } from "../../../../sinks/backup/storage_v2/cells.ts";
import { columnGroups } from "../../../../sinks/backup/storage_v2/column_groups.ts";
import { backupBinlogs, backupSnapshot, readBackup } from "../../../../sources/backup/mod.ts";
import { createBinlogSource } from "../../../../sources/binlog/mod.ts";
import { createMemoryStore, createParquetFile, type MemoryStore } from "../../../../stores/mod.ts";
import { collection, facts, sinkOn } from "../../../conformance/archive_sink.ts";
import { EVERY_TYPE, everyType, VCHANNEL } from "../../../sinks/backup/rewritten.ts";
import { segmentOf } from "../../../fakes/segment.ts";
import { envelopeOf } from "../../../sources/binlog/build.ts";
import { storeOf } from "../../../sources/binlog/folder.ts";
import { fileOf } from "../../../sources/binlog/sample.ts";
import { checkAll, genuine, PLACE, SAMPLES, schema } from "../../../sources/binlog/v2_sample.ts";

const signal = new AbortController().signal;

/** Rows as files of storage V1, one a field, and the segment that names them. */
async function asV1(store: MemoryStore, id: bigint, batch: ColumnBatch): Promise<Segment> {
  const columns = columnGroups(schema).flatMap((group) => group.columns);
  const binlogs: FieldFiles[] = [];
  for (const column of columns) {
    const { fieldId, spec } = column;
    const file = createParquetFile([{ ...spec, name: "val" }], { createdBy: "test" });
    file.writeRowGroup([cellsOf(column, batch)]);
    const bytes = envelopeOf(1, file.finish(), { fieldId });
    const path = `insert_log/${PLACE.collectionId}/${PLACE.partitionId}/${id}/${fieldId}/${id}`;
    await store.put(path, bytes);
    binlogs.push({ fieldId, childFields: [], files: [fileOf(path, bytes.length, BigInt(batch.rows))] });
  }
  return segmentOf({ ...PLACE, id, vchannel: VCHANNEL, rows: BigInt(batch.rows), binlogs });
}

for (const storageFormat of ["source", "v2"] as const) {
  Deno.test(`ArchiveBase keeps segments of storage V1, V2 and V3 of one collection, storage_format ${storageFormat}: all read back equal`, async () => {
    const { store, segment: kept } = await everyType();
    // The same rows once more, as V2, in a segment beside it.
    const id = PLACE.id + 1n;
    const beside = (path: string) => path.replace(`/${PLACE.id}/`, `/${id}/`);
    const files = await storeOf(new URL("v2-segment/files/", SAMPLES));
    for (const [key, { bytes }] of files.objects) await store.put(beside(key), bytes);
    const plain: Segment = {
      ...genuine((group) => ({ ...group, files: group.files.map((file) => ({ ...file, path: beside(file.path) })) })),
      id,
      vchannel: VCHANNEL,
    };
    const source = createBinlogSource({ store, root: "" });
    const ids = columnGroups(schema).flatMap(({ columns }) => columns.map(({ fieldId }) => fieldId));
    const [rows, ...more] = await Array.fromAsync(source.rows(kept, schema, ids, signal));
    assert.deepEqual(more, []);
    const old = await asV1(store, PLACE.id + 2n, rows!);
    const pchannel = VCHANNEL.slice(0, VCHANNEL.lastIndexOf("_"));
    const copied: Collection = {
      ...collection(),
      id: PLACE.collectionId,
      schema,
      vchannels: [VCHANNEL],
      pchannels: [pchannel],
      partitions: [{ id: PLACE.partitionId, name: "_default", createTs: 1n }],
    };
    const base = facts();
    const snapshot: Snapshot = {
      ...base,
      catalog: { ...base.catalog, collections: [copied] },
      segments: [kept, plain, old],
      checkpoints: new Map([[VCHANNEL, { channel: VCHANNEL, offset: 100n, ts: base.exactFrom }]]),
      droppedChannels: [],
      imports: [],
    };
    const to = createMemoryStore();
    const session = await sinkOn(to, { name: "b", storageFormat }).open(
      { resume: undefined, previous: undefined, nowMs: 0 },
      signal,
    );
    const infos: string[] = [];
    const flow = new ArchiveBase({
      deps: {
        binlogs: source,
        baseDeletes: "files",
        report: { warn: assert.fail, info: (text: string) => void infos.push(text) },
        crash: () => {},
      } as unknown as FlowDependencies,
      sink: "vault",
      session,
      plan: {
        snapshot,
        collections: [copied],
        cuts: [{ ...base.cuts[0]!, vchannel: VCHANNEL, pchannel, collectionId: copied.id }],
      },
      progress: { expect() {}, written() {}, segmentDone() {} } as unknown as RunProgress,
      slots: new Slots(1),
      leftOut: [],
      failed: (_, error) => assert.fail(error),
    });
    await flow.begin(signal);
    await flow.copy(signal);
    await flow.finish(signal);
    assert.equal(infos.length, 1);

    const backup = await readBackup(to, "b");
    const segments = backupSnapshot(backup).segments.toSorted((a, b) => a.id < b.id ? -1 : 1);
    assert.deepEqual(
      segments.map(({ id, storageVersion, manifestPath }) => [id, storageVersion, manifestPath !== ""]),
      [[PLACE.id, storageFormat === "v2" ? 2n : 3n, storageFormat === "source"], [id, 2n, false], [
        old.id,
        0n,
        false,
      ]],
    );
    const binlogs = backupBinlogs(backup);
    assert.equal(segments.length, 3);
    for (const segment of segments) checkAll(await Array.fromAsync(binlogs.rows(segment, schema, "all", signal)));
    // Those of V1 and V2 are copied byte for byte, the other only where it is kept.
    const at = (path: string) => to.objects.get(`b/${path}`)?.bytes;
    for (const segment of [plain, old]) {
      const [file] = segment.binlogs[0]!.files;
      const copy = file!.path.replace(`/${segment.id}/`, `/${segment.id}/${segment.id}/`);
      assert.deepEqual(at(`binlogs/${copy}`), store.objects.get(file!.path)!.bytes);
    }
    assert.equal(at(`manifests/${EVERY_TYPE}/_metadata/manifest-4.avro`) !== undefined, storageFormat === "source");
  });
}
