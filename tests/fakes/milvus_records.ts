/** Records of a {@link FakeSource} as Milvus writes them: what its own decoders read. */
import { create, type DescMessage, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { LogRecord } from "../../pipeline/model/mod.ts";
import { MsgType } from "../../pipeline/proto/gen/common_pb.ts";
import {
  BroadcastHeaderSchema,
  CreateCollectionMessageHeaderSchema,
  DeleteMessageHeaderSchema,
  DropCollectionMessageHeaderSchema,
  InsertMessageHeaderSchema,
  MessageType,
  TruncateCollectionMessageHeaderSchema,
} from "../../pipeline/proto/gen/messages_pb.ts";
import {
  CreateCollectionRequestSchema,
  DeleteRequestSchema,
  DropCollectionRequestSchema,
  InsertDataVersion,
  InsertRequestSchema,
  TimeTickMsgSchema,
} from "../../pipeline/proto/gen/msg_pb.ts";
import { FieldDataSchema } from "../../pipeline/proto/gen/schema_pb.ts";
import { int64Column } from "./int64_column.ts";
import { type FakeRecord, parseRecord } from "./source.ts";

type Kind = Exclude<FakeRecord["kind"], "predicate">;

const HEADERS: Readonly<Record<Exclude<Kind, "tick">, DescMessage>> = {
  insert: InsertMessageHeaderSchema,
  delete: DeleteMessageHeaderSchema,
  create: CreateCollectionMessageHeaderSchema,
  drop: DropCollectionMessageHeaderSchema,
  truncate: TruncateCollectionMessageHeaderSchema,
};

const TYPES: Readonly<Record<Kind, MessageType>> = {
  tick: MessageType.TimeTick,
  insert: MessageType.Insert,
  delete: MessageType.Delete,
  create: MessageType.CreateCollection,
  drop: MessageType.DropCollection,
  truncate: MessageType.TruncateCollection,
};

const utf8 = new TextEncoder();

/** At its place. Generation 1 has no truncations, and neither has the deletes by predicate. */
export function milvusRecord(record: LogRecord, generation: 1 | 2): LogRecord {
  const { kind, ...said } = parseRecord(record);
  if (kind === "predicate" || kind === "truncate" && generation === 1) throw new Error(`No record says ${kind}`);
  const vchannel = `${record.topic}_${said.collection}v${said.shard ?? 0}`;
  const value = bodyOf(kind, said, record.topic, vchannel);
  if (generation === 1) return { ...record, value };
  const properties: Record<string, string> = {
    _v: kind === "truncate" ? "2" : "1",
    _t: String(TYPES[kind]),
    _tt: BigInt(said.ts).toString(36),
    _h: kind === "tick" ? "" : encoded(HEADERS[kind], { collectionId: BigInt(said.collection!) }).toBase64(),
    ...(kind === "tick" ? {} : { _vc: vchannel }),
  };
  if (said.broadcast !== undefined) {
    const { id, vchannels } = said.broadcast;
    const broadcast = { broadcastId: BigInt(id), vchannels: [...vchannels] };
    properties._bh = encoded(BroadcastHeaderSchema, broadcast).toBase64();
  }
  return { ...record, value, headers: Object.entries(properties).map(([name, text]) => [name, utf8.encode(text)]) };
}

function bodyOf(
  kind: Kind,
  { ts: text, collection = "0", rows = [] }: Omit<FakeRecord, "kind">,
  pchannel: string,
  vchannel: string,
): Uint8Array {
  const [timestamp, collectionID] = [BigInt(text), BigInt(collection)];
  const keys = rows.map(([key]) => BigInt(key));
  const common = {
    shardName: vchannel,
    collectionID,
    partitionID: collectionID + 10_000n,
    partitionName: "_default",
    timestamps: keys.map(() => timestamp),
    numRows: BigInt(keys.length),
  };
  // Numbers of messages come from the allocator of timestamps.
  const base = (msgType: MsgType) => ({ msgType, timestamp, msgID: timestamp });
  switch (kind) {
    case "tick":
      return encoded(TimeTickMsgSchema, { base: base(MsgType.TimeTick) });
    case "insert": {
      const values = rows.map(([, value]) => BigInt(value));
      const columns = [int64Column(100n, "id", keys), int64Column(101n, "value", values)];
      return encoded(InsertRequestSchema, {
        ...common,
        base: base(MsgType.Insert),
        rowIDs: keys,
        version: InsertDataVersion.ColumnBased,
        fieldsData: columns.map((column) => fromBinary(FieldDataSchema, column)),
      });
    }
    case "delete":
      return encoded(DeleteRequestSchema, {
        ...common,
        base: base(MsgType.Delete),
        primaryKeys: { idField: { case: "intId", value: { data: keys } } },
      });
    case "create":
      return encoded(CreateCollectionRequestSchema, {
        base: base(MsgType.CreateCollection),
        collectionID,
        virtualChannelNames: [vchannel],
        physicalChannelNames: [pchannel],
      });
    case "drop":
      return encoded(DropCollectionRequestSchema, { base: base(MsgType.DropCollection), collectionID });
    case "truncate":
      return new Uint8Array(0);
  }
}

function encoded<Desc extends DescMessage>(schema: Desc, init: MessageInitShape<Desc>): Uint8Array {
  return toBinary(schema, create(schema, init));
}
