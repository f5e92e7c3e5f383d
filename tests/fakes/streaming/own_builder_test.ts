/** Our own messages of generation 2 against what Milvus' builders made of the same actions, and what a real server wrote. */
import { type DescMessage, fromBinary, type Message as Proto } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import assert from "node:assert/strict";
import * as messages from "../../../pipeline/proto/gen/messages_pb.ts";
import * as requests from "../../../pipeline/proto/gen/msg_pb.ts";
import { DDL_TYPES } from "../../../sources/log/gen2/ddl.ts";
import { readRecording } from "../../stack/recorded/mod.ts";
import type { Message } from "./action.ts";
import { EVERY_ACTION } from "./every_action.ts";
import { buildMessage } from "./own_builder.ts";

const { MessageType } = messages;

Deno.test("buildMessage makes of every action what Milvus' own builders made of it", async () => {
  const lines = (await Deno.readTextFile(new URL("milvus_messages.jsonl", import.meta.url))).trim().split("\n");
  assert.equal(lines.length, EVERY_ACTION.length);
  for (const [i, action] of EVERY_ACTION.entries()) {
    const { properties, value } = JSON.parse(lines[i]!);
    const made = { properties, value: Uint8Array.fromBase64(value) };
    assert.deepEqual(comparable(buildMessage(action)), comparable(made), action.kind);
  }
});

/** Fields may lie in any order, and so do the channels and keys of a broadcast. */
function comparable({ properties, value }: Message) {
  const { _bh, ...others } = properties;
  const body = fromBinary(schemasOf(Number(properties._t))[1], value);
  if (_bh === undefined) return { others, body };
  const broadcast = fromBinary(messages.BroadcastHeaderSchema, Uint8Array.fromBase64(_bh));
  broadcast.vchannels.sort();
  broadcast.ResourceKeys.sort((a, b) => a.domain - b.domain);
  return { others, broadcast, body };
}

const ROW_TYPES = new Map<number, readonly [DescMessage, DescMessage]>([
  [MessageType.TimeTick, [messages.TimeTickMessageHeaderSchema, requests.TimeTickMsgSchema]],
  [MessageType.Insert, [messages.InsertMessageHeaderSchema, requests.InsertRequestSchema]],
  [MessageType.Delete, [messages.DeleteMessageHeaderSchema, requests.DeleteRequestSchema]],
  [MessageType.BeginTxn, [messages.BeginTxnMessageHeaderSchema, messages.BeginTxnMessageBodySchema]],
  [MessageType.RollbackTxn, [messages.RollbackTxnMessageHeaderSchema, messages.RollbackTxnMessageBodySchema]],
  [MessageType.CommitTxn, [messages.CommitTxnMessageHeaderSchema, messages.CommitTxnMessageBodySchema]],
  [MessageType.CreateSegment, [messages.CreateSegmentMessageHeaderSchema, messages.CreateSegmentMessageBodySchema]],
  [MessageType.ManualFlush, [messages.ManualFlushMessageHeaderSchema, messages.ManualFlushMessageBodySchema]],
]);

function schemasOf(type: number): readonly [header: DescMessage, body: DescMessage] {
  const change = DDL_TYPES.get(type);
  return ROW_TYPES.get(type) ?? [change!.header, change!.body];
}

/** Schemas and columns are of the collection. */
const OF_THE_COLLECTION = /\b(collectionSchema|schema|fieldsData|partitionName|partitionNames)\./;

/** The names of its properties, and of all fields that are set in its header, its body and its broadcast. */
function shapeOf({ properties, value }: Message): string[] {
  const [header, body] = schemasOf(Number(properties._t));
  const broadcast = properties._bh === undefined ? [] : fieldsOf(
    messages.BroadcastHeaderSchema,
    fromBinary(messages.BroadcastHeaderSchema, Uint8Array.fromBase64(properties._bh)),
    "_bh.",
  );
  return [
    ...Object.keys(properties).filter((name) => name !== "_tx" && name !== "_lc" && name !== "_lcs"),
    ...fieldsOf(header, fromBinary(header, Uint8Array.fromBase64(properties._h!)), "_h."),
    ...fieldsOf(body, fromBinary(body, value), ""),
    ...broadcast,
  ].filter((name) => !OF_THE_COLLECTION.test(name));
}

function fieldsOf(schema: DescMessage, message: Proto, prefix: string): string[] {
  const view = reflect(schema, message);
  return schema.fields.flatMap((field) => {
    if (!view.isSet(field)) return [];
    const path = `${prefix}${field.localName}`;
    if (field.fieldKind === "message") {
      return [
        path,
        ...fieldsOf(field.message, (message as never as Record<string, Proto>)[field.localName]!, `${path}.`),
      ];
    }
    if (field.fieldKind === "list" && field.listKind === "message") {
      const items = (message as never as Record<string, Proto[]>)[field.localName]!;
      return [path, ...new Set(items.flatMap((item) => fieldsOf(field.message, item, `${path}.`)))];
    }
    return [path];
  });
}

Deno.test("buildMessage sets the properties and fields that a real Milvus 3.0.0 sets, and no others", () => {
  const recorded = new Map<string, string[][]>();
  const text = new TextDecoder();
  for (const { headers, value } of readRecording("3.0.0-kafka-v2").records) {
    const properties = Object.fromEntries(headers.map(([name, its]) => [name, text.decode(its)]));
    const type = Number(properties._t);
    if (!ROW_TYPES.has(type) && !DDL_TYPES.has(type)) continue;
    const name = MessageType[type]!;
    recorded.set(name, [...recorded.get(name) ?? [], shapeOf({ properties, value: value ?? new Uint8Array() })]);
  }
  const compared = new Set<string>();
  for (const action of EVERY_ACTION) {
    const built = buildMessage(action);
    const name = MessageType[Number(built.properties._t)]!;
    const seen = recorded.get(name);
    if (seen === undefined) continue;
    compared.add(name);
    const ever = new Set(seen.flat());
    const always = [...ever].filter((field) => seen.every((one) => one.includes(field)));
    const own = shapeOf(built);
    assert.deepEqual(own.filter((field) => !ever.has(field)), [], `${name}: no real one has`);
    assert.deepEqual(always.filter((field) => !own.includes(field)), [], `${name}: each real one has`);
  }
  assert.equal(compared.size, 15);
});
