/** A segment of storage V3 of every type, backed up as it is and written as V2, and restored: beside a copy of the source itself. */
import assert from "node:assert/strict";
import type { Collection, MetaSource, Segment } from "../../../../pipeline/model/mod.ts";
import { metaAt, openBackupSource, showBackup } from "../../../../sources/backup/mod.ts";
import { createBinlogSource } from "../../../../sources/binlog/mod.ts";
import { createMemoryStore } from "../../../../stores/mod.ts";
import { ExactRowSink } from "../../../fakes/exact_row_sink.ts";
import { FakePipeline } from "../../../fakes/pipeline.ts";
import { FakeSource, followOf } from "../../../fakes/source.ts";
import { EVERY_TYPE, everyType } from "../../../sinks/backup/rewritten.ts";
import { PLACE, schema } from "../../../sources/binlog/v2_sample.ts";

const PCHANNEL = "by-dev-rootcoord-dml_0";

/** A source whose only collection has every type, in one segment kept by a manifest. */
async function keptByManifest() {
  const source = new FakeSource([PCHANNEL]);
  const made = source.create("a", PCHANNEL);
  const collection: Collection = {
    ...made,
    schema,
    partitions: [{ id: PLACE.partitionId, name: "_default", createTs: 0n }],
  };
  const { store, segment } = await everyType();
  const moved = EVERY_TYPE.replace(`/${PLACE.collectionId}/`, `/${made.id}/`);
  for (const [key, { bytes }] of [...store.objects]) await store.put(key.replace(EVERY_TYPE, moved), bytes);
  const own: Segment = {
    ...segment,
    collectionId: made.id,
    vchannel: made.vchannels[0]!,
    manifestPath: segment.manifestPath.replace(EVERY_TYPE, moved),
  };
  const meta: MetaSource = {
    ...source.meta,
    snapshot: async (signal) => {
      const { catalog, ...rest } = await source.meta.snapshot(signal);
      return { ...rest, catalog: { ...catalog, collections: [collection] }, segments: [own] };
    },
    lookup: () => Promise.resolve({ state: "live", collection }),
  };
  return { source, rows: own.rows, over: { meta, binlogs: createBinlogSource({ store, root: "" }) } };
}

for (const storageFormat of ["source", "v2"] as const) {
  Deno.test(`a restore brings every row of a segment of storage V3 that was backed up with storage_format ${storageFormat}`, async () => {
    const { source, rows, over } = await keptByManifest();
    const vault = createMemoryStore();
    const copy = new ExactRowSink("copy");
    const pipeline = new FakePipeline(source, {
      rows: [copy],
      vaults: { vault },
      backup: { storage_format: storageFormat },
    });
    pipeline.override = over;
    const { blocked, upTo } = await pipeline.once();
    assert.deepEqual(blocked, []);
    const [shown] = (await showBackup(vault, "b")).collections;
    const kept = storageFormat === "source" ? 1 : 0;
    assert.deepEqual([shown!.keptSegments, shown!.rewrittenSegments, shown!.rows], [kept, 1 - kept, rows]);

    const backup = await openBackupSource(vault, "b");
    const target = new ExactRowSink("target");
    const restore = new FakePipeline(source, { rows: [target] });
    restore.override = {
      meta: metaAt(backup, upTo),
      log: backup.log!,
      follow: followOf(backup.log!),
      binlogs: backup.binlogs,
    };
    await restore.start({ kind: "until", ts: upTo }, { restore: `${upTo}` }).result;
    const where = { db: "default", name: "a" };
    const [there, wanted] = [target, copy].map((sink) => sink.rowsOf(where));
    assert.equal(BigInt(wanted!.get("_default")!.size), rows);
    assert.deepEqual(there, wanted);
    assert.deepEqual(target.schemaOf(where), copy.schemaOf(where));
  });
}
