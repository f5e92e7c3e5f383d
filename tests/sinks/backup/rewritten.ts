/** Backups of one segment kept by a manifest, written as storage V2. */
import type { Collection, DeleteMark, LogFile, ObjectStore, Segment } from "../../../pipeline/model/mod.ts";
import type { CollectionSchema } from "../../../pipeline/proto/gen/schema_pb.ts";
import { backupBinlogs, backupSnapshot, readBackup } from "../../../sources/backup/mod.ts";
import { createBinlogSource, type SegmentReadOptions } from "../../../sources/binlog/mod.ts";
import { createMemoryStore, createParquetFile, type MemoryStore } from "../../../stores/mod.ts";
import { collection, facts, sinkOn } from "../../conformance/archive_sink.ts";
import { segmentOf } from "../../fakes/segment.ts";
import { type Made, oldest } from "../../sources/binlog/made_manifest.ts";
import { META, PLACE, SAMPLES } from "../../sources/binlog/v2_sample.ts";

const PCHANNEL = "by-dev-rootcoord-dml_0";
export const VCHANNEL = `${PCHANNEL}_21v0`;
const signal = new AbortController().signal;

export const EVERY_TYPE = `insert_log/${PLACE.collectionId}/${PLACE.partitionId}/${PLACE.id}`;
const TEXT = "115";

/**
 * Every type under a manifest: the files of the genuine V2 segment, whose pages are those of V3, but the texts, which have a byte
 * in front there.
 */
export async function everyType(
  text: (row: number) => Uint8Array = inline,
): Promise<{ store: MemoryStore; segment: Segment }> {
  const store = createMemoryStore();
  const groups: Made[] = [];
  for (const { fieldID, child_fields, binlogs } of META.field_binlogs) {
    const paths: string[] = [];
    const put = async (bytes: Uint8Array): Promise<void> => {
      const path = `_data/${groups.length}_${paths.length}.parquet`;
      paths.push(path);
      await store.put(`${EVERY_TYPE}/${path}`, bytes);
    };
    if (fieldID === TEXT) {
      const file = createParquetFile([{ name: TEXT, type: "bytes", fieldId: 115 }], { createdBy: "test" });
      file.writeRowGroup([Array.from({ length: META.num_of_rows }, (_, row) => text(row))]);
      await put(file.finish());
    } else {
      for (const { logID } of binlogs) await put(genuineFile(fieldID, logID));
    }
    groups.push({ columns: child_fields, files: paths.map((path) => ({ path })) });
  }
  await store.put(`${EVERY_TYPE}/_metadata/manifest-4.avro`, oldest(groups));
  const segment = segmentOf({
    ...PLACE,
    vchannel: VCHANNEL,
    storageVersion: 2n,
    rows: BigInt(META.num_of_rows),
    manifestPath: JSON.stringify({ ver: 4, base_path: EVERY_TYPE }),
  });
  return { store, segment };
}

/** A file of the genuine V2 segment. */
export function genuineFile(group: string, logId: string): Uint8Array {
  return Deno.readFileSync(new URL(`v2-segment/files/${EVERY_TYPE}/${group}/${logId}`, SAMPLES));
}

const TEXTS = Deno.readTextFileSync(new URL("v2-segment/expected.jsonl", SAMPLES)).trim().split("\n")
  .map((line) => (JSON.parse(line) as { text: string }).text);

export function inline(row: number): Uint8Array {
  return new TextEncoder().encode(`\0${TEXTS[row]}`);
}

export interface RewriteOptions {
  readonly to?: ObjectStore;
  readonly name?: string;
  readonly previous?: string;
  /** Resume this backup. */
  readonly resume?: string;
  readonly forgotten?: readonly DeleteMark[];
  readonly reading?: SegmentReadOptions;
  /** Stop before the metadata is written. */
  readonly unfinished?: boolean;
}

export async function rewriteIn(
  from: ObjectStore,
  segment: Segment,
  schema: CollectionSchema,
  options: RewriteOptions = {},
) {
  const { to = createMemoryStore(), name = "b", previous, resume, forgotten = [], reading } = options;
  const source = createBinlogSource({ store: from, root: "", ...(reading === undefined ? {} : { reading }) });
  const kept: Collection = {
    ...collection(),
    id: segment.collectionId,
    name: schema.name,
    schema,
    vchannels: [segment.vchannel],
    pchannels: [PCHANNEL],
    partitions: [{ id: segment.partitionId, name: "_default", createTs: 1n }],
  };
  const files = await source.verify(segment.collectionId, [segment], signal);
  const session = await sinkOn(to, { name, storageFormat: "v2" }).open({ resume, previous, nowMs: 0 }, signal);
  const base = facts();
  await session.begin({
    ...base,
    collectionIds: [kept.id],
    cuts: [{ ...base.cuts[0]!, vchannel: segment.vchannel, pchannel: PCHANNEL, collectionId: kept.id }],
    catalog: { ...base.catalog, collections: [kept] },
  }, signal);
  const object = (file: LogFile) => ({ ...source.object(file), info: files.listed(file) });
  const copy = (marks: readonly DeleteMark[]) =>
    session.copySegment(segment, object, marks, signal, files.kept?.get(segment.id), {
      schema,
      rows: (fieldIds, signal) => source.rows(segment, schema, fieldIds, signal),
      deletes: (file, signal) => source.deletes(file, signal),
    });
  let copied = await copy([]);
  // As the flow does: what was forgotten is known later.
  if (forgotten.length > 0) copied = await copy(forgotten);
  if (options.unfinished === true) await session.close();
  else await session.finishBase([{ collection: kept, segmentIds: [segment.id] }], [], signal);
  return { source, to, kept, copied, name };
}

/** The one segment of a backup, and the reader of its files. */
export async function readRewritten(store: ObjectStore, name = "b", reading?: SegmentReadOptions) {
  const backup = await readBackup(store, name);
  const [segment, ...others] = backupSnapshot(backup).segments;
  if (segment === undefined || others.length > 0) {
    throw new Error(`${others.length + 1} segments where one was expected`);
  }
  const binlogs = backupBinlogs(backup, reading);
  return {
    backup,
    segment,
    binlogs,
    batches: (schema: CollectionSchema) => Array.fromAsync(binlogs.rows(segment, schema, "all", signal)),
    async deletes() {
      const found: string[] = [];
      const { deltaFiles } = await binlogs.verify(segment.collectionId, [segment], signal);
      for (const file of deltaFiles) {
        for await (const { keys, timestamps } of binlogs.deletes(file, signal)) {
          timestamps.forEach((ts, i) => found.push(`${keys.values[i]} at ${ts}`));
        }
      }
      return found.sort();
    },
  };
}
