/** One record of generation 2 (streaming WAL, Milvus 2.6 and 3.0): what it is stands in its properties. */
import { fromBinary } from "@bufbuild/protobuf";
import type { BlockEvent, DdlEvent, LogEvent, LogRecord } from "../../../pipeline/model/mod.ts";
import {
  BeginTxnMessageHeaderSchema,
  BroadcastHeaderSchema,
  CipherHeaderSchema,
  DeleteMessageHeaderSchema,
  InsertMessageHeaderSchema,
  MessageType,
  TxnContextSchema,
} from "../../../pipeline/proto/gen/messages_pb.ts";
import type { CreateCollectionRequest } from "../../../pipeline/proto/gen/msg_pb.ts";
import type { DecodeContext, Decoded, SkipMark, TxnMark } from "../decoded.ts";
import { schemaOf } from "../gen1/ddl.ts";
import { readBase } from "../gen1/base.ts";
import { readDelete } from "../gen1/delete.ts";
import { predicateReason } from "../predicate_reason.ts";
import { readInsert } from "../gen1/insert.ts";
import { headerText } from "../headers.ts";
import { WireReader } from "../wire.ts";
import { BLOCKING_TYPES, DDL_TYPES, type Gen2Message, isKnownType, REQUEST_TYPES, SYSTEM_TYPES } from "./ddl.ts";
import { messageType, propertyMessage, timeTick } from "./properties.ts";

const SYSTEM: SkipMark = { kind: "skip", reason: "system" };
const NO_ROWS: SkipMark = { kind: "skip", reason: "no_rows" };
const NOBODY = -1n;
const NO_BYTES = new Uint8Array(0);

/** Only DumpMessages gives it, and no queue has it: there it stands for all records of a transaction. */
const WITHOUT_PARTS = "The source gives a transaction without its rows, as DumpMessages of 2.6.14 to 2.6.19 does: " +
  "upgrade it to 2.6.20 or later, or name its queue in sources.log";

/** No release up to 3.0.0 writes it. */
const SPLIT = "A message is split over several records, which is not supported";

/** What every event of a record has. */
type Head = Omit<BlockEvent, "kind" | "collectionId" | "type" | "reason" | "unreadable">;

/** Never throws for what the record holds. */
export function decodeGen2(record: LogRecord, context: DecodeContext): Decoded {
  let type = 0;
  let ts = 0n;
  try {
    type = messageType(record);
    ts = timeTick(record);
    const strange = strangeVersion(record, type);
    if (strange !== undefined) return unreadable(block(headOf(record, context, ts), type, strange));
    const txn = propertyMessage(record, "_tx", TxnContextSchema);
    const head = { ...headOf(record, context, ts), ...(txn === undefined ? {} : { txnId: txn.txnId }) };
    // Of any type: a part of a body can look like a body.
    if (headerText(record, "_ct") !== undefined) {
      return unreadable(block(head, type, SPLIT, collectionOf(head.vchannel)));
    }
    const said = decodeAs(type, record, head, txn?.keepaliveMilliseconds ?? 0n);
    return said.kind === "insert" || said.kind === "delete" ? astray(said, type, head, context) ?? said : said;
  } catch (thrown) {
    const detail = thrown instanceof Error ? thrown.message : String(thrown);
    return block(
      headOf(record, context, ts),
      type,
      `A record of type ${typeName(type)} cannot be decoded: ${detail}`,
    );
  }
}

function headOf(record: LogRecord, { pchannel }: DecodeContext, ts: bigint): Head {
  return {
    generation: 2,
    ts,
    pchannel,
    vchannel: channelOf(record, pchannel),
    offset: record.offset,
    bytes: record.value?.length ?? 0,
  };
}

/** A message to every pchannel names the pchannel itself, and the control channel where that one is: it concerns all there. */
function channelOf(record: LogRecord, pchannel: string): string {
  const named = headerText(record, "_vc") ?? "";
  const all = headerText(record, "_pcl") !== undefined || headerText(record, "_t") === String(MessageType.AlterWAL);
  return all || named === pchannel ? "" : named;
}

/** Why the body cannot be understood: the version of a record says what its body is, and each type has one. */
function strangeVersion(record: LogRecord, type: number): string | undefined {
  const version = headerText(record, "_v") ?? "";
  const known = REQUEST_TYPES.has(type) ? "1" : "2";
  if (version === known || (version === "1" || version === "2") && !isKnownType(type)) return undefined;
  return `A record of type ${typeName(type)} is of version ${version}, expected ${known}`;
}

function decodeAs(type: number, record: LogRecord, head: Head, keepaliveMs: bigint): Decoded {
  switch (type) {
    case MessageType.TimeTick:
      return { kind: "tick", generation: 2, ts: head.ts };
    case MessageType.BeginTxn: {
      const header = propertyMessage(record, "_h", BeginTxnMessageHeaderSchema);
      return txnMark("begin", head, keepaliveMs === 0n ? header?.keepaliveMilliseconds ?? 0n : keepaliveMs);
    }
    case MessageType.CommitTxn:
      return txnMark("commit", head, keepaliveMs);
    case MessageType.RollbackTxn:
      return txnMark("rollback", head, keepaliveMs);
    case MessageType.Txn: {
      // It is the whole of its transaction, and no part that waits for a commit.
      const { txnId: _whole, ...own } = head;
      return unreadable(block(own, type, WITHOUT_PARTS, collectionOf(head.vchannel)));
    }
    case MessageType.Insert:
    case MessageType.Delete:
      return rows(type, record, head);
    default:
      return SYSTEM_TYPES.has(type) ? SYSTEM : change(type, record, head);
  }
}

/** `<pchannel>_<collection id>v<shard>` */
function collectionOf(vchannel: string): bigint {
  const id = /_(\d+)v\d+$/.exec(vchannel)?.[1];
  return id === undefined ? NOBODY : BigInt(id);
}

function txnMark(step: TxnMark["step"], head: Head, keepaliveMs: bigint): Decoded {
  const { txnId, ts, offset } = head;
  // A step of no transaction changes nothing.
  return txnId === undefined ? SYSTEM : { kind: "txn", step, txnId, ts, offset, keepaliveMs };
}

/** The body's own timestamps and segment are provisional: the properties and the header have the real ones. */
function rows(type: MessageType.Insert | MessageType.Delete, record: LogRecord, head: Head): Decoded {
  const schema = type === MessageType.Insert ? InsertMessageHeaderSchema : DeleteMessageHeaderSchema;
  const header = propertyMessage(record, "_h", schema);
  const collectionId = header?.collectionId ?? NOBODY;
  if (propertyMessage(record, "_ch", CipherHeaderSchema) !== undefined) {
    return unreadable(block(head, type, "Rows are encrypted, and only Milvus has the key", collectionId));
  }
  const reader = new WireReader(record.value ?? NO_BYTES);
  const msgId = readBase(reader)?.msgId ?? 0n;
  const body = new WireReader(record.value ?? NO_BYTES);
  if (type === MessageType.Insert) {
    const { ts: _provisional, defect, vchannel: _provisionalToo, segmentId, ...insert } = readInsert(body);
    const partitions = header?.$typeName === InsertMessageHeaderSchema.typeName ? header.partitions : [];
    const announced = partitions.reduce((sum, { rows }) => sum + rows, 0n);
    const missing = shortOf(announced, insert.rows) ?? strangeTo(collectionId, insert.collectionId);
    if (missing !== undefined) return block(head, type, `An insert ${missing}`, collectionId);
    if (insert.rows === 0) return NO_ROWS;
    // Different provisional timestamps do not matter here: the time tick is the timestamp of every row.
    if (defect !== undefined && insert.timestamps === undefined) {
      return block(head, type, `An insert ${defect}`, insert.collectionId);
    }
    const { timestamps: _alsoProvisional, ...rest } = insert;
    const partition = partitions.find((item) => item.partitionId === insert.partitionId) ?? partitions[0];
    const segment = partition?.segmentAssignment?.segmentId ?? segmentId;
    return { ...head, kind: "insert", msgId, segmentId: segment, ...rest };
  }
  const { keys, partitionId, partitionName, collectionId: id, predicate } = readDelete(body);
  if (predicate !== undefined) {
    const event = block(head, type, `A delete ${predicateReason(predicate)}`, id);
    // Milvus writes it alone: in a transaction, or beside keys, nobody knows which rows are older.
    if (head.txnId !== undefined || keys.values.length > 0 || header?.collectionId !== id) return event;
    return { ...event, predicate: { plan: predicate.slice(), partitionId } };
  }
  const announced = header?.$typeName === DeleteMessageHeaderSchema.typeName ? header.rows : 0n;
  const missing = shortOf(announced, keys.values.length) ?? strangeTo(collectionId, id);
  if (missing !== undefined) return block(head, type, `A delete ${missing}`, collectionId);
  if (keys.values.length === 0) return NO_ROWS;
  return { ...head, kind: "delete", msgId, collectionId: id, partitionId, partitionName, keys };
}

/** Why a body cannot be all of its message: the header counts its rows. One that counts none says nothing. */
function shortOf(announced: bigint, rows: number): string | undefined {
  if (announced === 0n || announced === BigInt(rows)) return undefined;
  return `says ${announced} rows in its header but has ${rows}`;
}

/** Rows on no vchannel of their collection would reach nobody: they hold it, and all of the pchannel where its vchannel is not known. */
function astray(
  { collectionId, vchannel }: LogEvent,
  type: number,
  head: Head,
  { vchannels }: DecodeContext,
): BlockEvent | undefined {
  const owner = collectionOf(vchannel);
  if (vchannel !== "" && (owner === NOBODY || owner === collectionId)) return undefined;
  const reason = `Rows of collection ${collectionId} ${vchannel === "" ? "name no vchannel" : `are on ${vchannel}`}`;
  return block({ ...head, vchannel: vchannels.of(collectionId) }, type, reason, collectionId);
}

/** Why a body cannot be its header's: it names another collection. */
function strangeTo(collectionId: bigint, named: bigint): string | undefined {
  if (collectionId <= 0n || collectionId === named) return undefined;
  return `is of collection ${collectionId} by its header but of ${named} by its body`;
}

function change(type: number, record: LogRecord, head: Head): Decoded {
  const blocking = BLOCKING_TYPES.get(type);
  if (blocking !== undefined) {
    const header = propertyMessage(record, "_h", blocking.header) as { collectionId?: bigint } | undefined;
    return { ...block(head, type, blocking.reason, header?.collectionId), inFiles: true };
  }
  const known = DDL_TYPES.get(type);
  if (known === undefined) {
    return unreadable(block(head, type, `A record of type ${typeName(type)} is not known to this version`));
  }
  const header = propertyMessage(record, "_h", known.header) ?? fromBinary(known.header, NO_BYTES);
  const body = fromBinary(known.body, record.value ?? NO_BYTES);
  const broadcast = propertyMessage(record, "_bh", BroadcastHeaderSchema);
  const message: Gen2Message = { header, headerSchema: known.header, body, bodySchema: known.body };
  const about = header as { collectionId?: bigint; partitionId?: bigint; partitionIds?: bigint[] };
  const named = body as {
    collectionID?: bigint;
    collectionName?: string;
    partitionName?: string;
    partitionIDs?: bigint[];
  };
  const created = known.operation === "create_collection"
    ? schemaOf(body as unknown as CreateCollectionRequest)
    : undefined;
  const event: DdlEvent = {
    ...head,
    kind: "ddl",
    operation: known.operation,
    type,
    typeName: typeName(type),
    collectionId: about.collectionId ?? named.collectionID ?? NOBODY,
    collectionName: created?.name ?? named.collectionName ?? "",
    partitionIds: about.partitionIds ??
      (about.partitionId !== undefined ? [about.partitionId] : named.partitionIDs ?? []),
    partitionName: named.partitionName ?? "",
    ...(broadcast === undefined ? {} : { broadcast: { id: broadcast.broadcastId, vchannels: broadcast.vchannels } }),
    message,
  };
  return event;
}

function unreadable(event: BlockEvent): BlockEvent {
  return { ...event, unreadable: true };
}

function block(head: Head, type: number, reason: string, collectionId?: bigint): BlockEvent {
  return {
    ...head,
    kind: "block",
    collectionId: collectionId ?? NOBODY,
    type,
    reason,
  };
}

function typeName(type: number): string {
  return MessageType[type] ?? String(type);
}
