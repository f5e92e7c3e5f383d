/** Messages as Milvus 3.0 writes them, by our own understanding; `streaming_test.ts` compares them with what Milvus' builders made. */
import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { MsgType } from "../../../pipeline/proto/gen/common_pb.ts";
import * as messages from "../../../pipeline/proto/gen/messages_pb.ts";
import * as requests from "../../../pipeline/proto/gen/msg_pb.ts";
import { DataType } from "../../../pipeline/proto/gen/schema_pb.ts";
import { type Action, addedColumn, type Change, KEEPALIVE_MS, type Message } from "./action.ts";

const { MessageType, ResourceDomain } = messages;

/** Of a request of generation 1, version 1; the others are of version 2. */
interface Content {
  readonly type: messages.MessageType;
  readonly version: 1 | 2;
  readonly header: Uint8Array;
  readonly body: Uint8Array;
}

export function buildMessage(action: Action): Message {
  const { type, version, header, body } = contentOf(action);
  const properties: Record<string, string> = {
    _v: String(version),
    _t: String(type),
    _h: header.toBase64(),
    _tt: action.tt.toString(36),
  };
  if (action.confirmed === undefined) properties._lcs = "";
  else properties._lc = action.confirmed.toString(36);
  if (action.vchannel !== "") properties._vc = action.vchannel;
  if (action.term !== undefined) properties._wt = action.term.toString(36);
  if (action.txn !== undefined) {
    const context = { txnId: action.txn, keepaliveMilliseconds: KEEPALIVE_MS };
    properties._tx = bytes(messages.TxnContextSchema, context).toBase64();
  }
  if (action.kind === "manual_flush") properties._btt = action.clock.toString(36);
  if ("broadcast" in action && action.broadcast !== undefined) properties._bh = broadcastHeader(action);
  return { properties, value: body };
}

function bytes<Desc extends DescMessage>(schema: Desc, init: MessageInitShape<Desc>): Uint8Array {
  return toBinary(schema, create(schema, init));
}

function broadcastHeader({ kind, broadcast, db, name }: Change): string {
  return bytes(messages.BroadcastHeaderSchema, {
    broadcastId: broadcast!.id,
    vchannels: [...broadcast!.vchannels],
    ResourceKeys: [
      { domain: ResourceDomain.ResourceDomainCluster, shared: true },
      { domain: ResourceDomain.ResourceDomainDBName, key: db, shared: true },
      { domain: ResourceDomain.ResourceDomainCollectionName, key: `${db}:${name}` },
    ],
    ackSyncUp: kind === "drop_collection" || kind === "truncate_collection",
  }).toBase64();
}

const NOTHING = new Uint8Array(0);

function contentOf(action: Action): Content {
  switch (action.kind) {
    case "tick": {
      const base = { msgType: MsgType.TimeTick, timestamp: action.tt, sourceID: 1n };
      return request(MessageType.TimeTick, NOTHING, bytes(requests.TimeTickMsgSchema, { base }));
    }
    case "begin":
      return own(MessageType.BeginTxn, NOTHING);
    case "commit":
      return own(MessageType.CommitTxn, NOTHING);
    case "rollback":
      return own(MessageType.RollbackTxn, NOTHING);
    case "create_segment":
      return own(
        MessageType.CreateSegment,
        bytes(messages.CreateSegmentMessageHeaderSchema, {
          collectionId: action.collection,
          partitionId: action.partition,
          segmentId: action.segment,
          storageVersion: 2n,
          maxSegmentSize: 1n << 27n,
          maxRows: (1n << 64n) - 1n,
          level: 1,
        }),
      );
    case "manual_flush":
      return own(
        MessageType.ManualFlush,
        bytes(messages.ManualFlushMessageHeaderSchema, {
          collectionId: action.collection,
          flushTs: action.clock,
          segmentIds: [...action.segments],
        }),
      );
    case "insert":
      return insert(action);
    case "delete":
      return deletion(action);
    default:
      return change(action);
  }
}

function request(type: messages.MessageType, header: Uint8Array, body: Uint8Array): Content {
  return { type, version: 1, header, body };
}

function own(type: messages.MessageType, header: Uint8Array, body: Uint8Array = NOTHING): Content {
  return { type, version: 2, header, body };
}

function insert(action: Action & { readonly kind: "insert" }): Content {
  const { rows, collection, partition, segment, clock, msgId, vchannel, columns = 0 } = action;
  const count = BigInt(rows.length);
  const values = rows.map(([, value]) => value);
  const column = (fieldId: bigint, fieldName: string, data: bigint[], valid: boolean[] = []) => ({
    type: DataType.Int64,
    validData: valid,
    fieldId,
    fieldName,
    field: {
      case: "scalars" as const,
      value: { data: { case: "longData" as const, value: { data } } },
    },
  });
  return request(
    MessageType.Insert,
    bytes(messages.InsertMessageHeaderSchema, {
      collectionId: collection,
      partitions: [{
        partitionId: partition,
        rows: count,
        binarySize: 32n * count,
        segmentAssignment: { segmentId: segment },
      }],
      schemaVersion: columns,
    }),
    bytes(requests.InsertRequestSchema, {
      base: { msgType: MsgType.Insert, timestamp: clock, sourceID: 1n },
      shardName: vchannel,
      dbName: action.db,
      collectionName: action.name,
      partitionName: action.partitionName,
      collectionID: collection,
      partitionID: partition,
      timestamps: rows.map(() => clock),
      rowIDs: rows.map((_, i) => msgId + BigInt(i)),
      numRows: count,
      version: requests.InsertDataVersion.ColumnBased,
      fieldsData: [
        column(100n, "id", rows.map(([key]) => key)),
        column(101n, "value", values),
        ...Array.from(
          { length: columns },
          (_, i) => column(102n + BigInt(i), addedColumn(i), values, values.map(() => true)),
        ),
      ],
    }),
  );
}

function deletion(action: Action & { readonly kind: "delete" }): Content {
  const { keys, collection, clock, msgId, vchannel } = action;
  return request(
    MessageType.Delete,
    bytes(messages.DeleteMessageHeaderSchema, { collectionId: collection, rows: BigInt(keys.length) }),
    bytes(requests.DeleteRequestSchema, {
      base: { msgType: MsgType.Delete, msgID: msgId, timestamp: clock, sourceID: 1n },
      shardName: vchannel,
      dbName: action.db,
      collectionName: action.name,
      partitionName: action.partitionName,
      collectionID: collection,
      partitionID: action.partition,
      timestamps: keys.map(() => clock),
      numRows: BigInt(keys.length),
      primaryKeys: { idField: { case: "intId", value: { data: [...keys] } } },
    }),
  );
}

function change(action: Action & Change): Content {
  const { collection: collectionId, partition: partitionId, dbId, db: dbName, name: collectionName, job = 0n } = action;
  const named = { dbName, collectionName, dbID: dbId, collectionID: collectionId };
  const ofPartition = { ...named, partitionName: action.partitionName, partitionID: partitionId };
  const columns = action.altered?.columns ?? 0;
  const schema = {
    name: collectionName,
    dbName,
    fields: [
      { fieldID: 100n, name: "id", isPrimaryKey: true, dataType: DataType.Int64 },
      { fieldID: 101n, name: "value", dataType: DataType.Int64 },
      ...Array.from(
        { length: columns },
        (_, i) => ({ fieldID: 102n + BigInt(i), name: addedColumn(i), dataType: DataType.Int64, nullable: true }),
      ),
    ],
    version: columns,
  };
  switch (action.kind) {
    case "create_collection":
      return request(
        MessageType.CreateCollection,
        bytes(messages.CreateCollectionMessageHeaderSchema, { collectionId, partitionIds: [partitionId], dbId }),
        bytes(requests.CreateCollectionRequestSchema, {
          ...named,
          base: { msgType: MsgType.CreateCollection },
          virtualChannelNames: [...action.vchannels ?? []],
          physicalChannelNames: [...action.pchannels ?? []],
          partitionIDs: [partitionId],
          partitionNames: [action.partitionName],
          collectionSchema: schema,
        }),
      );
    case "drop_collection":
      return request(
        MessageType.DropCollection,
        bytes(messages.DropCollectionMessageHeaderSchema, { collectionId, dbId }),
        bytes(requests.DropCollectionRequestSchema, { ...named, base: { msgType: MsgType.DropCollection } }),
      );
    case "create_partition":
      return request(
        MessageType.CreatePartition,
        bytes(messages.CreatePartitionMessageHeaderSchema, { collectionId, partitionId }),
        bytes(requests.CreatePartitionRequestSchema, { ...ofPartition, base: { msgType: MsgType.CreatePartition } }),
      );
    case "drop_partition":
      return request(
        MessageType.DropPartition,
        bytes(messages.DropPartitionMessageHeaderSchema, { collectionId, partitionId }),
        bytes(requests.DropPartitionRequestSchema, { ...ofPartition, base: { msgType: MsgType.DropPartition } }),
      );
    case "truncate_collection":
      return own(
        MessageType.TruncateCollection,
        bytes(messages.TruncateCollectionMessageHeaderSchema, { dbId, collectionId }),
      );
    case "alter_collection": {
      const { name, db, properties } = action.altered!;
      const paths = [
        ...db === undefined ? [] : ["db"],
        ...name === undefined ? [] : ["collection_name"],
        ...columns === 0 ? [] : ["schema"],
        ...properties === undefined ? [] : ["properties"],
      ];
      const cache = { dbName, collectionName, collectionId, msgType: MsgType.AlterCollection };
      return own(
        MessageType.AlterCollection,
        bytes(messages.AlterCollectionMessageHeaderSchema, {
          dbId,
          collectionId,
          updateMask: { paths },
          cacheExpirations: {
            cacheExpirations: [{ cache: { case: "legacyProxyCollectionMetaCache", value: cache } }],
          },
        }),
        bytes(messages.AlterCollectionMessageBodySchema, {
          updates: {
            ...db === undefined ? {} : { dbId: db.id, dbName: db.name },
            ...name === undefined ? {} : { collectionName: name },
            ...columns === 0 ? {} : { schema },
            properties: Object.entries(properties ?? {}).map(([key, value]) => ({ key, value })),
          },
        }),
      );
    }
    case "import":
      return request(
        MessageType.Import,
        NOTHING,
        bytes(requests.ImportMsgSchema, {
          base: { msgType: MsgType.Import },
          dbName,
          collectionName,
          collectionID: collectionId,
          partitionIDs: [partitionId],
          files: [{ paths: ["import/rows.parquet"] }],
          schema,
          jobID: job,
        }),
      );
    case "commit_import":
      return own(
        MessageType.CommitImport,
        bytes(messages.CommitImportMessageHeaderSchema, { collectionId, jobId: job }),
      );
  }
}
