/** The metadata of a world as the keys of etcd that a cluster of 2.6 has, below the name of the recorded clusters. */
import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type HybridTs, msOfHybrid, type Segment, type Snapshot } from "../../../pipeline/model/mod.ts";
import { kafkaPositions } from "../../../pipeline/positions/mod.ts";
import { SegmentState, WALName } from "../../../pipeline/proto/gen/common_pb.ts";
import { FieldBinlogSchema, SegmentInfoSchema, SegmentLevel } from "../../../pipeline/proto/gen/data_coord_pb.ts";
import {
  AliasInfoSchema,
  CollectionInfoSchema,
  DatabaseInfoSchema,
  DatabaseState,
  PartitionInfoSchema,
} from "../../../pipeline/proto/gen/etcd_meta_pb.ts";
import { MessageType, TruncateCollectionMessageHeaderSchema } from "../../../pipeline/proto/gen/messages_pb.ts";
import { MsgPositionSchema } from "../../../pipeline/proto/gen/msg_pb.ts";
import {
  CollectionLoadInfoSchema,
  LoadStatus,
  LoadType,
  PartitionLoadInfoSchema,
} from "../../../pipeline/proto/gen/query_coord_pb.ts";
import { type CollectionSchema, DataType, FieldSchemaSchema } from "../../../pipeline/proto/gen/schema_pb.ts";
import {
  BroadcastTaskSchema,
  BroadcastTaskState,
  CChannelMetaSchema,
  StreamingVersionSchema,
} from "../../../pipeline/proto/gen/streaming_pb.ts";
import type { DeleteSegment } from "./upkeep.ts";
import { RECORDED_NAME } from "../../stack/recorded/cluster_name.ts";

/** A file of a segment: its group or field, and what it holds. */
export interface KeyedFile {
  readonly group: bigint;
  /** Of storage V2. */
  readonly fields: readonly bigint[];
  readonly rows: number;
  readonly times: { readonly from: HybridTs; readonly to: HybridTs };
  readonly bytes: number;
}

/** Every file has this id; what differs are the folders. */
export const LOG_ID = 1n;

export interface WorldFilesKeyed {
  /** Of rows. */
  binlogs(segment: Segment): readonly KeyedFile[];
  delta(segment: bigint): KeyedFile | undefined;
  readonly storageVersion: (segment: Segment) => bigint;
  readonly deletes: readonly DeleteSegment[];
}

/** Every key with its value. */
export function keysOf(snapshot: Snapshot, now: HybridTs, files: WorldFilesKeyed): Map<string, Uint8Array> {
  const keys = new Map<string, Uint8Array>();
  const put = <Desc extends DescMessage>(key: string, schema: Desc, value: MessageInitShape<Desc>) =>
    void keys.set(`${RECORDED_NAME}/meta/${key}`, toBinary(schema, create(schema, value)));
  const clock = new DataView(new ArrayBuffer(8));
  clock.setBigUint64(0, BigInt(msOfHybrid(now) + 3000) * 1_000_000n);
  keys.set(`${RECORDED_NAME}/kv/gid/timestamp`, new Uint8Array(clock.buffer));
  put("streamingcoord-meta/version", StreamingVersionSchema, { version: 2n });
  put("streamingcoord-meta/cchannel", CChannelMetaSchema, { pchannel: `${RECORDED_NAME}-rootcoord-dml_0` });
  for (const { id, name, createTs } of snapshot.catalog.databases) {
    const state = DatabaseState.DatabaseCreated;
    put(`root-coord/database/db-info/${id}`, DatabaseInfoSchema, { id, name, state, createdTime: createTs });
  }
  for (const { collectionId, broadcastId } of snapshot.unsettled ?? []) {
    const header = toBinary(
      TruncateCollectionMessageHeaderSchema,
      create(TruncateCollectionMessageHeaderSchema, { collectionId }),
    );
    put(`streamingcoord-meta/broadcast-task/${broadcastId}`, BroadcastTaskSchema, {
      state: BroadcastTaskState.PENDING,
      message: { properties: { _t: String(MessageType.TruncateCollection), _h: header.toBase64(), _v: "2" } },
    });
  }
  for (const collection of snapshot.catalog.collections) {
    const { id, dbId, name, schema, vchannels, pchannels, truncatedAt } = collection;
    put(`root-coord/database/collection-info/${dbId}/${id}`, CollectionInfoSchema, {
      ID: id,
      dbId,
      schema: { name, dbName: collection.dbName, version: schema.version },
      createTime: collection.createTs,
      virtualChannelNames: [...vchannels],
      physicalChannelNames: [...pchannels],
      shardsNum: collection.shards,
      startPositions: [...collection.startOffsets].map(([key, at]) => ({ key, data: kafkaPositions.toMilvus(at) })),
      consistencyLevel: collection.consistency,
      properties: Object.entries(collection.properties).map(([key, value]) => ({ key, value })),
      shardInfos: vchannels.map((vchannel) => ({
        lastTruncateTimeTick: (truncatedAt ?? collection.truncated)?.get(vchannel) ?? 0n,
      })),
    });
    for (const field of fieldsOf(schema)) put(`root-coord/fields/${id}/${field.fieldID}`, FieldSchemaSchema, field);
    for (const { id: partitionID, name: partitionName, createTs } of collection.partitions) {
      put(`root-coord/partitions/${id}/${partitionID}`, PartitionInfoSchema, {
        partitionID,
        partitionName,
        partitionCreatedTimestamp: createTs,
        collectionId: id,
      });
      put(`querycoord-partition-loadinfo/${id}/${partitionID}`, PartitionLoadInfoSchema, {
        collectionID: id,
        partitionID,
        replicaNumber: 1,
        status: LoadStatus.Loaded,
      });
    }
    for (const aliasName of collection.aliases) {
      put(`root-coord/database/aliases/${dbId}/${aliasName}`, AliasInfoSchema, { aliasName, collectionId: id, dbId });
    }
    put(`querycoord-collection-loadinfo/${id}`, CollectionLoadInfoSchema, {
      collectionID: id,
      replicaNumber: 1,
      status: LoadStatus.Loaded,
      loadType: LoadType.LoadCollection,
    });
    for (const vchannel of vchannels) {
      const checkpoint = snapshot.checkpoints.get(vchannel);
      if (checkpoint?.offset === undefined) continue;
      const { offset, ts } = checkpoint;
      put(`datacoord-meta/channel-cp/${vchannel}`, MsgPositionSchema, placeAt(vchannel, offset, ts));
    }
  }
  const live = new Set(snapshot.catalog.collections.map(({ id }) => id));
  for (const segment of snapshot.segments) putSegment(segment, files, put);
  for (const segment of files.deletes) if (live.has(segment.collection)) putDeletes(segment, files, put);
  return keys;
}

type Put = <Desc extends DescMessage>(key: string, schema: Desc, value: MessageInitShape<Desc>) => void;

function putSegment(segment: Segment, files: WorldFilesKeyed, put: Put): void {
  const { id, collectionId, partitionId, vchannel, startPosition } = segment;
  const all = files.binlogs(segment);
  const place = `${collectionId}/${partitionId}/${id}`;
  put(`datacoord-meta/s/${place}`, SegmentInfoSchema, {
    ID: id,
    collectionID: collectionId,
    partitionID: partitionId,
    insertChannel: vchannel,
    numOfRows: segment.rows,
    state: segment.state === "dropped" ? SegmentState.Dropped : SegmentState.Flushed,
    level: SegmentLevel.L1,
    storageVersion: files.storageVersion(segment),
    startPosition: placeAt(vchannel, startPosition!.offset!, startPosition!.ts),
    dmlPosition: placeAt(vchannel, startPosition!.offset!, all[0]!.times.to),
    createdByCompaction: segment.createdByCompaction,
    compactionFrom: [...segment.compactionFrom],
    compacted: segment.compacted,
    isCreatedByStreaming: true,
    isSorted: true,
  });
  for (const file of all) put(`datacoord-meta/binlog/${place}/${file.group}`, FieldBinlogSchema, logs(file));
  const delta = files.delta(id);
  if (delta !== undefined) put(`datacoord-meta/deltalog/${place}/100`, FieldBinlogSchema, logs(delta));
}

function putDeletes({ id, collection, partition, vchannel, dropped }: DeleteSegment, files: WorldFilesKeyed, put: Put) {
  const delta = files.delta(id)!;
  const place = `${collection}/${partition}/${id}`;
  put(`datacoord-meta/s/${place}`, SegmentInfoSchema, {
    ID: id,
    collectionID: collection,
    partitionID: partition,
    insertChannel: vchannel,
    state: dropped ? SegmentState.Dropped : SegmentState.Flushed,
    level: SegmentLevel.L0,
    startPosition: placeAt(vchannel, undefined, delta.times.from),
    dmlPosition: placeAt(vchannel, undefined, delta.times.to),
    compacted: dropped,
  });
  put(`datacoord-meta/deltalog/${place}/100`, FieldBinlogSchema, logs(delta));
}

function logs({ group, fields, rows, times, bytes }: KeyedFile): MessageInitShape<typeof FieldBinlogSchema> {
  const own = {
    entriesNum: BigInt(rows),
    timestampFrom: times.from,
    timestampTo: times.to,
    logID: LOG_ID,
    logSize: BigInt(bytes),
    memorySize: BigInt(bytes),
  };
  return { fieldID: group, childFields: [...fields], binlogs: [own] };
}

function placeAt(
  channelName: string,
  offset: bigint | undefined,
  timestamp: HybridTs,
): MessageInitShape<typeof MsgPositionSchema> {
  const msgID = offset === undefined ? new Uint8Array() : kafkaPositions.toMilvus(offset);
  return { channelName, msgID, timestamp, WALName: WALName.Kafka };
}

function fieldsOf({ fields }: CollectionSchema): MessageInitShape<typeof FieldSchemaSchema>[] {
  const system = (fieldID: bigint, name: string) => ({ fieldID, name, dataType: DataType.Int64 });
  return [...fields, system(0n, "RowID"), system(1n, "Timestamp")];
}
