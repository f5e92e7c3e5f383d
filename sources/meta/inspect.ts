/** What `inspect meta` prints: the catalog, segments and checkpoints as JSON, ids and timestamps as decimal text. */
import { toJson } from "@bufbuild/protobuf";
import type { Json } from "../../pipeline/json.ts";
import type { Collection, FieldFiles, LogFile, SegmentState, StoredPosition } from "../../pipeline/model/mod.ts";
import { ConsistencyLevel } from "../../pipeline/proto/gen/common_pb.ts";
import {
  FieldSchemaSchema,
  FunctionSchemaSchema,
  StructArrayFieldSchemaSchema,
} from "../../pipeline/proto/gen/schema_pb.ts";
import { generationOf } from "./generation.ts";
import type { MetaReading } from "./snapshot.ts";
import type { SegmentReading } from "./segments.ts";

type JsonObject = { [key: string]: Json };

const STATE_NAMES: Readonly<Record<SegmentState, string>> = {
  none: "SegmentStateNone",
  not_exist: "NotExist",
  growing: "Growing",
  sealed: "Sealed",
  flushed: "Flushed",
  flushing: "Flushing",
  dropped: "Dropped",
  importing: "Importing",
};

/** `filesRoot`: the server's root path in the object store, put in front of every file; nothing in etcd states it. */
export function inspectMeta(reading: MetaReading, filesRoot = "files"): JsonObject {
  return {
    channel_checkpoints: checkpoints(reading),
    collections: reading.catalog.collections.map(collectionJson),
    databases: databases(reading),
    dropped_channels: orNull([...reading.droppedChannels]),
    files_root: filesRoot,
    generation: generationOf(reading),
    imports: orNull(reading.imports.map(({ id, collectionId, stateName }) => ({
      collection_id: text(collectionId),
      job_id: text(id),
      state: stateName,
    }))),
    indexes: orNull(indexes(reading, filesRoot)),
    loads: orNull(loads(reading)),
    meta_root: reading.roots.metaRoot,
    must: notices(reading, filesRoot),
    not_live: orNull(reading.catalog.notLive.map((entry) => {
      const { kind, id, name, reason } = entry as typeof entry & { name?: string };
      return { ...(kind === "alias" ? {} : { id }), kind, ...(name === undefined ? {} : { name }), reason };
    })),
    rbac: rbac(reading),
    segment_map: Object.fromEntries(reading.allSegments.map((segment) => [
      text(segment.id),
      { dml_ts: dmlTs(segment), state: STATE_NAMES[segment.state], vchannel: segment.vchannel },
    ])),
    segments: reading.allSegments.map((segment) => segmentJson(segment, filesRoot)),
    ...(reading.streaming === undefined ? {} : {
      streaming: {
        control_channel: reading.streaming.controlChannel,
        // The recovery point of the streaming node's own state; what is flushed is channel_checkpoints.
        not_the_flush_point: "consume-checkpoint",
        pending_broadcasts: reading.streaming.pendingBroadcasts.map(text),
        version: Number(reading.streaming.version),
      },
    }),
  };
}

/** A channel without a checkpoint yet starts where its collection was created. */
function checkpoints(reading: MetaReading): JsonObject {
  const entries: [string, Json][] = [];
  for (const collection of reading.catalog.collections) {
    collection.vchannels.forEach((vchannel, at) => {
      const stored = reading.checkpoints.get(vchannel);
      const start = collection.startOffsets.get(collection.pchannels[at]!);
      if (stored !== undefined) entries.push([vchannel, positionJson(stored)]);
      else if (start !== undefined) {
        entries.push([vchannel, { offset: text(start), source: "collection start position" }]);
      }
    });
  }
  return Object.fromEntries(entries);
}

function positionJson({ offset, ts }: StoredPosition): Json {
  return { ...(offset === undefined ? {} : { offset: text(offset) }), ts: text(ts) };
}

function collectionJson(collection: Collection): Json {
  const { schema } = collection;
  const options = { useProtoFieldName: true };
  return {
    aliases: [...collection.aliases],
    consistency_level: ConsistencyLevel[collection.consistency] ?? text(BigInt(collection.consistency)),
    db_id: text(collection.dbId),
    db_name: collection.dbName,
    enable_dynamic_field: schema.enableDynamicField,
    fields: schema.fields.map((field) => toJson(FieldSchemaSchema, field, options)),
    ...(schema.functions.length === 0 ? {} : {
      functions: schema.functions.map((func) => toJson(FunctionSchemaSchema, func, options)),
    }),
    id: text(collection.id),
    name: collection.name,
    partitions: collection.partitions.map(({ id, name }) => ({ id: text(id), name })),
    properties: { ...collection.properties },
    shards: collection.shards,
    start_offsets: Object.fromEntries([...collection.startOffsets].map(([channel, offset]) => [channel, text(offset)])),
    ...(schema.structArrayFields.length === 0 ? {} : {
      struct_array_fields: schema.structArrayFields.map((field) =>
        toJson(StructArrayFieldSchemaSchema, field, options)
      ),
    }),
    vchannels: [...collection.vchannels],
  };
}

/** In the order of their collections, then those that have none. */
function databases(reading: MetaReading): Json[] {
  const ids = new Set([
    ...reading.catalog.collections.map(({ dbId }) => dbId),
    ...reading.catalog.databases.map(({ id }) => id),
  ]);
  return [...ids].flatMap((id) => {
    const database = reading.databases.live.get(id);
    if (database === undefined) return [];
    const implied = reading.databases.implied && id === 1n;
    return [{
      id: text(id),
      ...(implied ? { implied } : {}),
      name: database.name,
      properties: { ...database.properties },
    }];
  });
}

function indexes(reading: MetaReading, filesRoot: string): Json[] {
  return reading.catalog.collections.flatMap((collection) =>
    collection.indexes.map((index) => ({
      collection_id: text(collection.id),
      field_id: text(index.fieldId),
      id: text(index.id),
      index_params: { ...index.params },
      name: index.name,
      segment_files: Object.fromEntries([...reading.indexFiles.of(index.id)].map(([segment, files]) => [
        text(segment),
        files.map((file) => `${filesRoot}/${file}`),
      ])),
    }))
  );
}

function loads(reading: MetaReading): Json[] {
  return reading.catalog.collections.flatMap(({ id, load }) =>
    load === undefined ? [] : [{
      collection_id: text(id),
      load_type: load.scope === "collection" ? "LoadCollection" : "LoadPartition",
      partitions: load.partitionIds.map(text),
      replica_number: load.replicas,
      status: load.loaded ? "Loaded" : "Loading",
    }]
  );
}

function rbac({ catalog: { rbac: { users, roles, grants, privilegeGroups } } }: MetaReading): JsonObject {
  if (users.length + roles.length + grants.length + privilegeGroups.length === 0) return {};
  return {
    grants: grants.map((grant) => ({
      db: grant.dbName,
      grantor: grant.grantor,
      object: grant.objectType,
      object_name: grant.object,
      privilege: grant.privilege,
      role: grant.role,
    })),
    ...(privilegeGroups.length === 0 ? {} : {
      privilege_groups: privilegeGroups.map(({ name, privileges }) => ({ name, privileges: [...privileges] })),
    }),
    roles: [...roles],
    users: users.map((user) => ({ encrypted_password: user.passwordHash, name: user.name, roles: [...user.roles] })),
  };
}

function segmentJson(segment: SegmentReading, filesRoot: string): Json {
  const torn = segment.class === "rows" && segment.manifestPath === "" && segment.binlogs.length > 0 &&
    segment.storageVersion < 2n && !segment.binlogs.some(({ fieldId }) => fieldId === 1n);
  const reason = torn ? "the binlog key of the Timestamp field (1) is missing: inconsistent" : segment.classReason;
  return {
    class: segment.class,
    collection_id: text(segment.collectionId),
    dml_ts: dmlTs(segment),
    ...(segment.class === "none" ? {} : { files: filesJson(segment, filesRoot) }),
    id: text(segment.id),
    level: segment.level,
    ...(segment.manifestPath === "" ? {} : { manifest_path: segment.manifestPath }),
    partition_id: text(segment.partitionId),
    ...(reason === "" ? {} : { reason }),
    rows: text(segment.rows),
    state: STATE_NAMES[segment.state],
    storage_version: text(segment.storageVersion),
    vchannel: segment.vchannel,
  };
}

function filesJson(segment: SegmentReading, filesRoot: string): Json {
  const paths = (files: readonly LogFile[]): Json[] => files.map(({ path }) => `${filesRoot}/${path}`);
  const byField = (fields: readonly FieldFiles[]): JsonObject =>
    Object.fromEntries(fields.map(({ fieldId, files }) => [text(fieldId), paths(files)]));
  const delta = segment.deltalogs.flatMap(({ files }) => paths(files));
  if (segment.class === "deletes") return { delta };
  return {
    bm25: byField(segment.bm25logs),
    delta,
    insert: byField(segment.binlogs),
    stats: byField(segment.statslogs),
  };
}

/** What a reader of this metadata must not overlook. */
function notices(reading: MetaReading, filesRoot: string): Json {
  const oldRoots = reading.allSegments.filter(({ inlinePaths }) =>
    inlinePaths.some((path) => !path.startsWith(`${filesRoot}/`))
  );
  const dbIds = [...reading.databases.live.keys()].map(text);
  const prefixes = dbIds.flatMap((id) =>
    dbIds.filter((other) => other !== id && other.startsWith(id)).map((other) => [id, other])
  );
  return orNull([
    ...reading.damaged.values(),
    ...oldRoots.map(({ id }) =>
      `segment ${id} carries inline log_path values with another root: only the last path element (the log id) is to be used`
    ),
    ...reading.doubledCollections.map((id) =>
      `collection ${id} exists under the v1 and the v2 key: one collection, the v2 key wins`
    ),
    ...reading.aliases.doubled.map(({ name, layout }) => `alias ${name} exists in two layouts: ${layout} wins`),
    ...prefixes.map(([id, other]) =>
      `listing collection-info/${id} without the trailing slash also returns database ${other}`
    ),
    ...[...reading.torn].sort((a, b) =>
      Number(b.what.includes("compactionFrom")) - Number(a.what.includes("compactionFrom"))
    )
      .map(({ segmentId, what }) => `retry: segment ${segmentId} ${what}`),
  ]);
}

function dmlTs(segment: SegmentReading): string {
  return text(segment.dmlPosition?.ts ?? 0n);
}

function text(value: bigint): string {
  return value.toString();
}

/** Nothing is shown as null, as Go prints an empty list that was never made. */
function orNull(list: Json[]): Json {
  return list.length === 0 ? null : list;
}
