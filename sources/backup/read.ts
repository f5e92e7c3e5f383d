/** Opens a backup for reading: ours or milvus-backup's, 0.4 to 0.6. */
import { fromBinary } from "@bufbuild/protobuf";
import { TidemarkError } from "../../pipeline/errors.ts";
import type { Collection, ObjectStore } from "../../pipeline/model/mod.ts";
import { CollectionSchemaSchema } from "../../pipeline/proto/gen/schema_pb.ts";
import {
  type BackedFieldFiles,
  type BackedFile,
  type BackedSegment,
  type BackupManifest,
  binlogFolder,
  type DecodedMeta,
  decodeFullMeta,
  decodeLevelMeta,
  decodeManifest,
  deltaFolder,
  insertFolder,
  manifestKey,
  type MetaFile,
  metaKey,
  readJsonObject,
  readText,
  removalKey,
} from "../../stores/mod.ts";
import { whereBackupsAre } from "./where.ts";

export interface OpenedBackup {
  readonly name: string;
  readonly store: ObjectStore;
  readonly meta: DecodedMeta;
  /** Undefined for a backup that milvus-backup made. */
  readonly manifest: BackupManifest | undefined;
  readonly warnings: readonly string[];
}

const LEVEL_FILES = ["backup_meta", "collection_meta", "partition_meta", "segment_meta"] as const;

/**
 * `store`: the folder that holds the backup's folder. Throws `not_found` if there is no such backup, `damaged` if it is
 * half-written or its metadata is unreadable.
 */
export async function readBackup(store: ObjectStore, name: string, signal?: AbortSignal): Promise<OpenedBackup> {
  const text = async (key: string): Promise<string | undefined> => {
    if (await store.head(key, signal) === undefined) return undefined;
    return await readText(store, key, signal);
  };
  if (await store.head(metaKey(name, "backup_meta"), signal) === undefined) throw await absent(store, name, signal);
  const full = await text(metaKey(name, "full_meta"));
  const meta = full === undefined ? await readLevels(name, text) : decodeFullMeta(full, name);
  const manifestText = await text(manifestKey(name));
  const manifest = manifestText === undefined ? undefined : decodeManifest(manifestText, manifestKey(name));
  if (manifest === undefined && await isOwn(store, name, signal)) {
    throw new TidemarkError(
      "damaged",
      `Backup ${name} in ${store.location} was made by Tidemark, but its tidemark.json is missing: nothing says to which moment it is exact, where its log begins, and what its files' checksums are`,
      {
        hint:
          "Bring the file back from a copy of the backup. Without it milvus-backup still restores the base; its rows may be some seconds apart.",
      },
    );
  }
  const schemas = new Map(manifest?.collections.map((collection) => [collection.id, collection]));
  const collections = await Promise.all(meta.collections.map(async (backed) => {
    const known = schemas.get(backed.collection.id);
    const collection: Collection = known === undefined ? backed.collection : {
      ...backed.collection,
      schema: fromBinary(CollectionSchemaSchema, known.schema),
      startOffsets: known.startOffsets,
    };
    const segments = await Promise.all(backed.segments.map((segment) => withFiles(store, name, segment, signal)));
    return { ...backed, collection, segments };
  }));
  return { name, store, meta: { ...meta, collections }, manifest, warnings: meta.warnings };
}

async function readLevels(name: string, text: (key: string) => Promise<string | undefined>): Promise<DecodedMeta> {
  const read = async (file: Exclude<MetaFile, "full_meta">): Promise<[string, string]> => {
    const found = await text(metaKey(name, file));
    if (found !== undefined) return [file, found];
    throw new TidemarkError("damaged", `Backup ${name} has neither meta/full_meta.json nor meta/${file}.json`, {
      hint: "The backup is not whole; make a new one.",
    });
  };
  const texts = Object.fromEntries(await Promise.all(LEVEL_FILES.map(read)));
  return decodeLevelMeta(texts as Record<typeof LEVEL_FILES[number], string>, name);
}

/** Metadata of old versions may lack the numbers of files: then the folder's listing is what there is. */
async function withFiles(
  store: ObjectStore,
  name: string,
  segment: BackedSegment,
  signal: AbortSignal | undefined,
): Promise<BackedSegment> {
  const all = [...segment.binlogs, ...segment.deltalogs];
  const numbered = all.every(({ files }) => files.every(({ logId }) => logId !== 0n));
  const complete = segment.isL0 ? segment.deltalogs.length > 0 : segment.binlogs.length > 0;
  if (numbered && complete) return segment;
  const list = async (folder: string): Promise<{ path: readonly string[]; size: bigint }[]> => {
    const prefix = binlogFolder(name) + folder;
    const found: { path: readonly string[]; size: bigint }[] = [];
    for await (const { key, size } of store.list(prefix, signal)) {
      found.push({ path: key.slice(prefix.length).split("/"), size });
    }
    return found;
  };
  const file = (text: string | undefined, size: bigint): BackedFile => ({
    logId: BigInt(text ?? "0"),
    size,
    entries: 0n,
    tsFrom: 0n,
    tsTo: 0n,
    logPath: "",
  });
  const ordered = (files: BackedFile[]) => files.sort((a, b) => a.logId < b.logId ? -1 : 1);
  const inserts = (await list(insertFolder(segment))).filter(({ path }) => path.length === 2 && path.every(isNumber));
  const deltas = (await list(deltaFolder(segment))).filter(({ path }) => path.length === 1 && path.every(isNumber));
  const binlogs = [...Map.groupBy(inserts, ({ path }) => path[0]!)].map(([field, items]): BackedFieldFiles => ({
    fieldId: BigInt(field),
    files: ordered(items.map(({ path, size }) => file(path[1], size))),
  }));
  const deltalogs = deltas.length === 0
    ? []
    : [{ fieldId: 0n, files: ordered(deltas.map(({ path, size }) => file(path[0], size))) }];
  return { ...segment, binlogs, deltalogs };
}

function isNumber(text: string): boolean {
  return /^\d+$/.test(text);
}

/** By its own word in the metadata that milvus-backup reads as well. */
async function isOwn(store: ObjectStore, name: string, signal: AbortSignal | undefined): Promise<boolean> {
  const key = metaKey(name, "backup_meta");
  const json = readJsonObject(await readText(store, key, signal), key);
  return json.object("tidemark") !== undefined;
}

async function absent(store: ObjectStore, name: string, signal: AbortSignal | undefined): Promise<TidemarkError> {
  if (await store.head(removalKey(name), signal) !== undefined) {
    return new TidemarkError("damaged", `Backup ${name} in ${store.location} is half-removed`, {
      hint:
        "It cannot be used any more. The next `tidemark backup prune` removes the rest; see `tidemark backup list`.",
    });
  }
  for await (const _ of store.list(`${name}/`, signal)) {
    return new TidemarkError(
      "damaged",
      `Backup ${name} in ${store.location} is half-written: meta/backup_meta.json is missing`,
      {
        hint: "Let its run finish, or remove it with `tidemark backup prune --partial`.",
      },
    );
  }
  return new TidemarkError("not_found", `No backup ${name} in ${store.location}`, {
    hint: await whereBackupsAre(store, signal),
  });
}
