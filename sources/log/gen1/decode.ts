/** One record of generation 1 (msgstream, Milvus 2.0 to 2.5): a bare protobuf whose first field says what it is. */
import type { BlockEvent, DeleteEvent, InsertEvent, Keys, LogEvent, LogRecord } from "../../../pipeline/model/mod.ts";
import { selectRows } from "../../../pipeline/columns/mod.ts";
import { MsgType } from "../../../pipeline/proto/gen/common_pb.ts";
import type { DecodeContext, Decoded, SkipMark } from "../decoded.ts";
import { headerText } from "../headers.ts";
import { WireReader } from "../wire.ts";
import { type Base, readBase } from "./base.ts";
import { readDdl } from "./ddl.ts";
import { readDelete } from "./delete.ts";
import { predicateReason } from "../predicate_reason.ts";
import { readInsert } from "./insert.ts";

const EMPTY: SkipMark = { kind: "skip", reason: "empty" };
const NO_BASE: SkipMark = { kind: "skip", reason: "no_base" };
const NO_ROWS: SkipMark = { kind: "skip", reason: "no_rows" };
const NOBODY = -1n;
/** Tag of field 1, length-delimited. */
const BASE_FIRST = 1 << 3 | 2;

/** Never throws for what the record holds. */
export function decodeGen1(record: LogRecord, context: DecodeContext): Decoded {
  const { value } = record;
  if (value === null || value.length === 0) return EMPTY;
  const reader = new WireReader(value);
  let base: Base | undefined;
  try {
    base = readBase(reader);
    if (base === undefined) return NO_BASE;
    // Every writer puts the base first, so a body's reader goes on behind it.
    const body = value[0] === BASE_FIRST ? reader : new WireReader(value);
    switch (base.type) {
      case MsgType.TimeTick:
        return { kind: "tick", generation: 1, ts: base.ts };
      case MsgType.Insert:
        return insertEvent(record, value, base, body, context);
      case MsgType.Delete:
        return deleteEvent(record, value, base, body, context);
      default:
        return ddlEvent(record, value, base, context);
    }
  } catch (thrown) {
    const detail = thrown instanceof Error ? thrown.message : String(thrown);
    const what = base === undefined ? "A record" : `A record of type ${typeName(base.type)}`;
    return block(record, context, {
      ts: base?.ts ?? 0n,
      type: base?.type ?? 0,
      reason: `${what} cannot be decoded: ${detail}`,
    });
  }
}

function insertEvent(
  record: LogRecord,
  value: Uint8Array,
  base: Base,
  reader: WireReader,
  context: DecodeContext,
): Decoded {
  const body = readInsert(reader);
  if (body.rows === 0) return NO_ROWS;
  const { vchannel, collectionId, partitionId, partitionName, segmentId, rows, fieldsData } = body;
  const ts = body.ts === 0n ? base.ts : body.ts;
  context.vchannels.learn(collectionId, vchannel);
  const defect = body.defect ?? (ts === 0n ? "has no timestamp" : undefined);
  if (defect !== undefined) {
    return block(record, context, { ts, type: base.type, collectionId, vchannel, reason: `An insert ${defect}` });
  }
  const make = (ts: bigint, rows: number, fieldsData: readonly Uint8Array[], bytes: number): InsertEvent => ({
    kind: "insert",
    generation: 1,
    ts,
    pchannel: context.pchannel,
    vchannel,
    offset: record.offset,
    bytes,
    collectionId,
    partitionId,
    partitionName,
    segmentId,
    msgId: base.msgId,
    rows,
    fieldsData,
  });
  if (body.timestamps === undefined) return make(ts, rows, fieldsData, value.length);
  return {
    kind: "events",
    events: byTimestamp(body.timestamps).map(([ts, at], i) => {
      return make(ts, at.length, selectRows(fieldsData, rows, Uint32Array.from(at)), i === 0 ? value.length : 0);
    }),
  };
}

function deleteEvent(
  record: LogRecord,
  value: Uint8Array,
  base: Base,
  reader: WireReader,
  context: DecodeContext,
): Decoded {
  const { vchannel, collectionId, partitionId, partitionName, keys, timestamps, predicate, ...body } = readDelete(
    reader,
  );
  const ts = body.ts === 0n ? base.ts : body.ts;
  context.vchannels.learn(collectionId, vchannel);
  if (keys.values.length === 0 && predicate === undefined) return NO_ROWS;
  const defect = predicate !== undefined
    ? predicateReason(predicate)
    : body.defect ?? (ts === 0n ? "has no timestamp" : undefined);
  if (defect !== undefined) {
    return block(record, context, { ts, type: base.type, collectionId, vchannel, reason: `A delete ${defect}` });
  }
  const make = (ts: bigint, keys: Keys, bytes: number): DeleteEvent => ({
    kind: "delete",
    generation: 1,
    ts,
    pchannel: context.pchannel,
    vchannel,
    offset: record.offset,
    bytes,
    collectionId,
    partitionId,
    partitionName,
    msgId: base.msgId,
    keys,
  });
  if (timestamps === undefined) return make(ts, keys, value.length);
  return {
    kind: "events",
    events: byTimestamp(timestamps).map(([ts, at], i) => make(ts, keysAt(keys, at), i === 0 ? value.length : 0)),
  };
}

/**
 * Rows by timestamp. No release is known to write a message with several, so this costs what it costs. The first part
 * carries the record's bytes, so that they are counted once.
 */
function byTimestamp(timestamps: BigUint64Array): [bigint, number[]][] {
  return [...Map.groupBy(timestamps.keys(), (row) => timestamps[row]!)];
}

function keysAt(keys: Keys, rows: readonly number[]): Keys {
  return keys.kind === "int64"
    ? { kind: "int64", values: rows.map((row) => keys.values[row]!) }
    : { kind: "varchar", values: rows.map((row) => keys.values[row]!) };
}

function ddlEvent(record: LogRecord, value: Uint8Array, base: Base, context: DecodeContext): Decoded {
  const body = readDdl(base.type, value);
  if (body === undefined) {
    // Headers are 2.5's; without them nobody knows whom the record concerns.
    const collection = headerText(record, "collection_id");
    const collectionId = collection !== undefined && /^[1-9]\d*$/.test(collection) ? BigInt(collection) : NOBODY;
    return block(record, context, {
      ts: base.ts,
      type: base.type,
      collectionId,
      vchannel: headerText(record, "vchannel") ?? "",
      reason: `A record of type ${typeName(base.type)} is not known to belong on this channel`,
    });
  }
  const { vchannels, pchannels, ...rest } = body;
  for (let i = 0; i < vchannels.length; i++) {
    if (pchannels[i] === context.pchannel) context.vchannels.learn(body.collectionId, vchannels[i]!);
  }
  const named = headerText(record, "vchannel");
  const event: LogEvent = {
    kind: "ddl",
    generation: 1,
    ts: base.ts,
    pchannel: context.pchannel,
    vchannel: named !== undefined && named !== "" ? named : context.vchannels.of(body.collectionId),
    offset: record.offset,
    bytes: value.length,
    type: base.type,
    typeName: typeName(base.type),
    ...rest,
  };
  return event;
}

function block(
  record: LogRecord,
  context: DecodeContext,
  what: { ts: bigint; type: number; reason: string; collectionId?: bigint; vchannel?: string },
): BlockEvent {
  const { ts, type, reason, collectionId = NOBODY, vchannel = "" } = what;
  return {
    kind: "block",
    generation: 1,
    ts,
    pchannel: context.pchannel,
    vchannel: vchannel !== "" || collectionId === NOBODY ? vchannel : context.vchannels.of(collectionId),
    offset: record.offset,
    bytes: record.value?.length ?? 0,
    collectionId,
    type,
    reason,
  };
}

function typeName(type: number): string {
  return MsgType[type] ?? String(type);
}
