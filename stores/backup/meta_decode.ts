/**
 * milvus-backup's metadata files of 0.4 to 0.6 in the pipeline's words. `full_meta.json` is complete; the four level files
 * are read where it is missing, and lack then what they never held: L0 segments of all partitions, RBAC, databases.
 */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { Collection, Database, Index, Rbac } from "../../pipeline/model/mod.ts";
import type { ConsistencyLevel } from "../../pipeline/proto/gen/common_pb.ts";
import { type JsonObject, readJsonObject } from "./json_reader.ts";
import { parseLoadState } from "./load_state.ts";
import type { MetaFile } from "./layout.ts";
import type { BackedCollection, BackedFieldFiles, BackedSegment, BackupMeta } from "./meta.ts";
import { decodeSchema } from "./schema_decode.ts";

export interface DecodedMeta extends BackupMeta {
  /** What could not be known, for the user. */
  readonly warnings: readonly string[];
}

/** Throws `damaged` for text that is no such file, `unsupported` for the snapshot format of 0.6. */
export function decodeFullMeta(text: string, folder: string): DecodedMeta {
  return decode(readJsonObject(text, `${folder}/meta/full_meta.json`), folder, []);
}

/** The four level files, joined by (collection, partition). */
export function decodeLevelMeta(
  texts: Readonly<Record<Exclude<MetaFile, "full_meta">, string>>,
  folder: string,
): DecodedMeta {
  const read = (file: Exclude<MetaFile, "full_meta">) => readJsonObject(texts[file], `${folder}/meta/${file}.json`);
  const key = (object: JsonObject) => `${object.int("collection_id")}/${object.int("partition_id")}`;
  const segments = Map.groupBy(read("segment_meta").list("infos"), key);
  const partitions = Map.groupBy(read("partition_meta").list("infos"), (object) => object.int("collection_id"));
  const joined: Joined = {
    collections: read("collection_meta").list("infos"),
    partitionsOf: (collection) => partitions.get(collection.int("collection_id")) ?? [],
    segmentsOf: (partition) => segments.get(key(partition)) ?? [],
  };
  return decode(read("backup_meta"), folder, [
    `${folder} has no meta/full_meta.json: read by its level files, without deletes of all partitions (L0), databases and users`,
  ], joined);
}

interface Joined {
  readonly collections: JsonObject[];
  partitionsOf(collection: JsonObject): JsonObject[];
  segmentsOf(partition: JsonObject): JsonObject[];
}

function decode(root: JsonObject, folder: string, warnings: string[], levels?: Joined): DecodedMeta {
  const format = root.text("format");
  if (format !== "" && format !== "binlog") {
    throw new TidemarkError("unsupported", `Backup ${folder} is of the format "${format}", expected binlog`, {
      hint: format === "snapshot"
        ? "It is a bundle that only Milvus 3.0 itself can restore: use milvus-backup 0.6 for it."
        : "Use the version of milvus-backup that made it.",
    });
  }
  const joined: Joined = levels ?? {
    collections: root.list("collection_backups"),
    partitionsOf: (collection) => collection.list("partition_backups"),
    segmentsOf: (partition) => partition.list("segment_backups"),
  };
  const rbac = root.object("rbac_meta");
  const databases = root.list("database_backups").map((database): Database => ({
    id: database.int("db_id"),
    name: database.text("db_name"),
    createTs: 0n,
    properties: database.pairs("properties"),
  }));
  const collections = joined.collections.map((collection) => collectionOf(collection, joined));
  const known = new Set(databases.map(({ name }) => name));
  for (const { collection: { dbName, dbId } } of collections) {
    if (known.has(dbName)) continue;
    known.add(dbName);
    databases.push({ id: dbId, name: dbName, createTs: 0n, properties: {} });
  }
  return {
    id: root.text("id"),
    name: root.text("name"),
    milvusVersion: root.text("milvus_version"),
    backupTs: root.int("backup_timestamp"),
    format,
    databases,
    rbac: rbac && rbacOf(rbac),
    collections,
    warnings,
  };
}

function collectionOf(json: JsonObject, joined: Joined): BackedCollection {
  const id = json.int("collection_id");
  const partitions = joined.partitionsOf(json);
  const segments = [...partitions.flatMap((partition) => joined.segmentsOf(partition)), ...json.list("l0_segments")]
    .map((segment) => segmentOf(segment, id));
  const written = new Set(segments.flatMap(({ binlogs }) => binlogs.map(({ fieldId }) => fieldId)));
  const schemaJson = json.object("schema");
  if (schemaJson === undefined) throw new TidemarkError("damaged", `Collection ${id} of the backup has no schema`);
  const schema = decodeSchema(schemaJson, written);
  const vchannels = json.texts("virtual_channel_names");
  const pchannels = json.texts("physical_channel_names");
  const properties = json.pairs("properties");
  const indexes = json.list("index_infos").map((index): Index => {
    const fieldName = index.text("field_name");
    const params = index.map("params");
    const type = index.text("index_type");
    return {
      id: index.int("index_id"),
      fieldId: schema.fields.find(({ name }) => name === fieldName)?.fieldID ?? index.int("field_id"),
      fieldName,
      name: index.text("index_name"),
      params: params.index_type === undefined && type !== "" ? { index_type: type, ...params } : params,
      typeParams: index.pairs("type_params"),
      isAuto: index.flag("is_auto_index"),
      createTs: index.int("create_time"),
    };
  });
  const dbName = json.text("db_name");
  const collection: Collection = {
    id,
    dbId: json.int("db_id"),
    dbName: dbName === "" ? "default" : dbName,
    name: json.text("collection_name"),
    schema,
    shards: json.small("shards_num"),
    vchannels,
    pchannels,
    startOffsets: new Map(),
    createTs: json.int("created_timestamp"),
    consistency: json.small("consistency_level") as ConsistencyLevel,
    properties: Object.keys(properties).length > 0
      ? properties
      : Object.fromEntries(schema.properties.map(({ key, value }) => [key, value])),
    partitions: partitions.map((partition) => ({
      id: partition.int("partition_id"),
      name: partition.text("partition_name"),
      createTs: 0n,
    })),
    aliases: json.texts("aliases"),
    indexes,
    load: parseLoadState(
      json.text("load_state"),
      partitions.map((partition) => [partition.int("partition_id"), partition.text("load_state")] as const),
    ),
  };
  return {
    collection,
    segments,
    checkpoints: json.bytesMap("channel_checkpoints"),
    backupTs: json.int("backup_timestamp"),
  };
}

function segmentOf(json: JsonObject, collectionId: bigint): BackedSegment {
  return {
    id: json.int("segment_id"),
    collectionId,
    partitionId: json.int("partition_id"),
    groupId: json.int("group_id"),
    rows: json.int("num_of_rows"),
    isL0: json.flag("is_l0"),
    vchannel: json.text("v_channel"),
    storageVersion: json.int("storage_version"),
    binlogs: json.list("binlogs").map(filesOf),
    deltalogs: json.list("deltalogs").map(filesOf),
  };
}

function filesOf(json: JsonObject): BackedFieldFiles {
  return {
    fieldId: json.int("fieldID"),
    files: json.list("binlogs").map((file) => {
      const logPath = file.text("log_path");
      const last = logPath.slice(logPath.lastIndexOf("/") + 1);
      const logId = file.int("log_id");
      return {
        logId: logId === 0n && /^\d+$/.test(last) ? BigInt(last) : logId,
        size: file.int("log_size"),
        entries: file.int("entries_num"),
        tsFrom: file.int("timestamp_from"),
        tsTo: file.int("timestamp_to"),
        logPath,
      };
    }),
  };
}

function rbacOf(json: JsonObject): Rbac {
  const name = (object: JsonObject | undefined) => object?.text("name") ?? "";
  return {
    users: json.list("users").map((user) => ({
      name: user.text("user"),
      passwordHash: user.text("password"),
      roles: user.list("roles").map(name),
    })),
    roles: json.list("roles").map(name),
    grants: json.list("grants").map((grant) => ({
      role: name(grant.object("role")),
      objectType: name(grant.object("object")),
      object: grant.text("object_name"),
      dbName: grant.text("db_name"),
      privilege: name(grant.object("grantor")?.object("privilege")),
      grantor: name(grant.object("grantor")?.object("user")),
    })),
    privilegeGroups: json.list("privilege_groups").map((group) => ({
      name: group.text("group_name"),
      privileges: group.list("privileges").map(name),
    })),
  };
}
