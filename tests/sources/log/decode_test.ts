import assert from "node:assert/strict";
import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { decodeFieldData } from "../../../pipeline/columns/mod.ts";
import type { LogRecord } from "../../../pipeline/model/mod.ts";
import { pulsarPosition } from "../../../pipeline/positions/mod.ts";
import { MsgType } from "../../../pipeline/proto/gen/common_pb.ts";
import { DeleteMessageHeaderSchema, TxnContextSchema } from "../../../pipeline/proto/gen/messages_pb.ts";
import {
  CreateCollectionRequestSchema,
  DeleteRequestSchema,
  DropPartitionRequestSchema,
  ImportMsgSchema,
  InsertDataVersion,
  InsertRequestSchema,
  ReplicateMsgSchema,
  TimeTickMsgSchema,
} from "../../../pipeline/proto/gen/msg_pb.ts";
import { OpType, PlanNodeSchema } from "../../../pipeline/proto/gen/plan_pb.ts";
import { CollectionSchemaSchema, DataType, FieldDataSchema } from "../../../pipeline/proto/gen/schema_pb.ts";
import { type DecodeContext, decodeRecord, isGeneration2, VchannelBook } from "../../../sources/log/mod.ts";

const P = "by-dev-rootcoord-dml_3";
const V = `${P}_77v0`;
const TS = 470598562119417859n;

/** Fields of a message, not a message itself. */
type Plain<Desc extends DescMessage> = Exclude<MessageInitShape<Desc>, { $typeName: string; $unknown?: unknown[] }>;

function record(value: Uint8Array | null, headers: LogRecord["headers"] = []): LogRecord {
  return { topic: P, offset: 9n, timestampMs: 0n, headers, value };
}

function context(): DecodeContext {
  return { pchannel: P, vchannels: new VchannelBook() };
}

function payload<Desc extends DescMessage>(schema: Desc, init: MessageInitShape<Desc>): Uint8Array {
  return toBinary(schema, create(schema, init));
}

function decode(value: Uint8Array | null, headers: LogRecord["headers"] = []) {
  return decodeRecord(record(value, headers), context());
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

const column = (values: bigint[]) => ({
  type: DataType.Int64,
  fieldName: "id",
  fieldId: 100n,
  field: {
    case: "scalars" as const,
    value: { data: { case: "longData" as const, value: { data: values } } },
  },
});

const insert = (init: Plain<typeof InsertRequestSchema> = {}) =>
  payload(InsertRequestSchema, {
    base: { msgType: MsgType.Insert, msgID: 5n, timestamp: 0n },
    shardName: V,
    collectionName: "items",
    partitionName: "p1",
    collectionID: 77n,
    partitionID: 78n,
    segmentID: 79n,
    timestamps: [TS, TS, TS],
    rowIDs: [1n, 2n, 3n],
    fieldsData: [column([1n, 2n, 9007199254740993n])],
    numRows: 3n,
    version: InsertDataVersion.ColumnBased,
    ...init,
  });

const remove = (init: Plain<typeof DeleteRequestSchema> = {}) =>
  payload(DeleteRequestSchema, {
    base: { msgType: MsgType.Delete, msgID: 6n, timestamp: TS },
    shardName: V,
    collectionID: 77n,
    partitionID: -1n,
    timestamps: [TS, TS],
    numRows: 2n,
    primaryKeys: { idField: { case: "intId", value: { data: [-1n, 2n ** 60n] } } },
    ...init,
  });

Deno.test("decodeRecord gives an insert with its columns untouched and the rows' timestamp", () => {
  const value = insert();
  const event = decode(value);
  assert.ok(event.kind === "insert");
  const { fieldsData, ...rest } = event;
  assert.deepEqual(rest, {
    kind: "insert",
    generation: 1,
    ts: TS,
    pchannel: P,
    vchannel: V,
    offset: 9n,
    bytes: value.length,
    collectionId: 77n,
    partitionId: 78n,
    partitionName: "p1",
    segmentId: 79n,
    msgId: 5n,
    rows: 3,
  });
  assert.equal(fieldsData[0]!.buffer, value.buffer);
  assert.deepEqual(new Uint8Array(fieldsData[0]!), payload(FieldDataSchema, column([1n, 2n, 9007199254740993n])));
});

Deno.test("decodeRecord splits an insert whose rows have different timestamps", () => {
  const said = decode(insert({ timestamps: [TS + 1n, TS, TS + 1n] }));
  assert.ok(said.kind === "events");
  const shown = said.events.map((event) => {
    assert.ok(event.kind === "insert");
    const { data } = decodeFieldData(event.fieldsData[0]!, event.rows);
    assert.ok(data.kind === "int64");
    return [event.ts, [...data.values], event.bytes > 0];
  });
  assert.deepEqual(shown, [[TS + 1n, [1n, 9007199254740993n], true], [TS, [2n], false]]);
});

Deno.test("decodeRecord blocks inserts that it cannot apply, with the reason", () => {
  const reason = (value: Uint8Array) => {
    const event = decode(value);
    assert.ok(event.kind === "block", event.kind);
    assert.deepEqual([event.collectionId, event.vchannel], [77n, V]);
    return event.reason;
  };
  const rowBased = { version: InsertDataVersion.RowBased, fieldsData: [], rowData: [{}, {}, {}] };
  assert.match(reason(insert(rowBased)), /row-based.*\(offset 9 of by-dev-rootcoord-dml_3\)/);
  assert.match(reason(insert({ timestamps: [TS] })), /says 3 rows but has 1 timestamps/);
  assert.match(reason(insert({ fieldsData: [] })), /has no columns/);
  assert.match(reason(insert({ timestamps: [] })), /has no timestamp/);
});

Deno.test("decodeRecord ends the reason of a block with the record's place, as the queue writes it", () => {
  const torn = {
    ...record(new Uint8Array([1, 2, 3]), []),
    offset: pulsarPosition({ ledger: 6n, entry: 3n, batch: 0 }),
  };
  const event = decodeRecord(torn, { ...context(), queue: "pulsar" });
  assert.ok(event.kind === "block", event.kind);
  assert.match(event.reason, /\(at 6:3:0 of by-dev-rootcoord-dml_3\)$/);
});

Deno.test("decodeRecord gives deletes with either kind of keys, in either form", () => {
  const int = decode(remove());
  assert.ok(int.kind === "delete" && int.keys.kind === "int64");
  assert.deepEqual([...int.keys.values], [-1n, 2n ** 60n]);
  assert.deepEqual([int.ts, int.partitionId, int.partitionName, int.msgId, int.vchannel], [TS, -1n, "", 6n, V]);
  const keys = decode(remove({ primaryKeys: { idField: { case: "strId", value: { data: ["ä", "", "k中"] } } } }));
  assert.ok(keys.kind === "delete");
  assert.deepEqual(keys.keys, { kind: "varchar", values: ["ä", "", "k中"] });
  const legacy = decode(remove({ primaryKeys: undefined, int64PrimaryKeys: [3n, 4n], numRows: 0n, timestamps: [] }));
  assert.ok(legacy.kind === "delete");
  assert.deepEqual([...legacy.keys.values], [3n, 4n]);
  assert.equal(legacy.ts, TS);
  const unscoped = decode(remove({ partitionID: 0n }));
  assert.ok(unscoped.kind === "delete" && unscoped.partitionId === -1n);
});

Deno.test("decodeRecord splits a delete whose keys have different timestamps", () => {
  const said = decode(remove({ timestamps: [TS, TS + 5n] }));
  assert.ok(said.kind === "events");
  assert.deepEqual(said.events.map((event) => event.kind === "delete" && [event.ts, [...event.keys.values]]), [
    [TS, [-1n]],
    [TS + 5n, [2n ** 60n]],
  ]);
});

Deno.test("decodeRecord blocks a delete by predicate", () => {
  const event = decode(remove({ primaryKeys: undefined, serializedExprPlan: text("plan") }));
  assert.ok(event.kind === "block");
  assert.match(event.reason, /predicate/);
  assert.deepEqual([event.ts, event.collectionId], [TS, 77n]);
});

Deno.test("decodeRecord says what a delete by predicate deletes, or which node of its plan has no expression", () => {
  const reasonOf = (value: MessageInitShape<typeof PlanNodeSchema>["node"]) => {
    const plan = toBinary(PlanNodeSchema, create(PlanNodeSchema, { node: value }));
    const event = decode(remove({ primaryKeys: undefined, serializedExprPlan: plan }));
    return event.kind === "block" ? event.reason : event.kind;
  };
  const columnInfo = { fieldId: 101n };
  const value = { val: { case: "int64Val", value: 3n } } as const;
  const older = { columnInfo, op: OpType.GreaterThan, value };
  assert.match(
    reasonOf({ case: "predicates", value: { expr: { case: "unaryRangeExpr", value: older } } }),
    /by a predicate, whose rows only Milvus can tell: field101 > 3 \(offset/,
  );
  const many = { columnInfo, values: Array.from({ length: 1000 }, () => value) };
  assert.ok(reasonOf({ case: "predicates", value: { expr: { case: "termExpr", value: many } } }).length < 400);
  assert.match(
    reasonOf({ case: "predicates", value: { expr: { case: "randomSampleExpr", value: { sampleFactor: 0.5 } } } }),
    /predicate that has no expression: RandomSampleExpr of its plan/,
  );
});

Deno.test("decodeRecord hands on the plan of a delete by predicate of generation 2 that stands alone", () => {
  const h = text(
    toBinary(DeleteMessageHeaderSchema, create(DeleteMessageHeaderSchema, { collectionId: 77n })).toBase64(),
  );
  const headers: LogRecord["headers"] = [["_v", text("1")], ["_t", text("3")], ["_tt", text("3gg")], ["_vc", text(V)], [
    "_h",
    h,
  ]];
  const plan = text("plan");
  const alone = decode(remove({ primaryKeys: undefined, serializedExprPlan: plan, partitionID: 5n }), headers);
  assert.ok(alone.kind === "block");
  assert.deepEqual([alone.predicate, alone.ts, alone.vchannel], [{ plan, partitionId: 5n }, 4480n, V]);
  const tx = text(toBinary(TxnContextSchema, create(TxnContextSchema, { txnId: 4n })).toBase64());
  for (
    const [body, more] of [
      [remove({ serializedExprPlan: plan }), headers],
      [remove({ primaryKeys: undefined, serializedExprPlan: plan }), [...headers, ["_tx", tx] as const]],
    ] as const
  ) {
    const other = decode(body, more);
    assert.ok(other.kind === "block" && other.predicate === undefined);
  }
});

Deno.test("decodeRecord tells ticks, and records that Milvus skips as well", () => {
  const tick = payload(TimeTickMsgSchema, { base: { msgType: MsgType.TimeTick, timestamp: TS } });
  assert.deepEqual(decode(tick), { kind: "tick", generation: 1, ts: TS });
  assert.deepEqual(decode(null), { kind: "skip", reason: "empty" });
  assert.deepEqual(decode(new Uint8Array(0)), { kind: "skip", reason: "empty" });
  assert.deepEqual(decode(payload(InsertRequestSchema, { shardName: V })), { kind: "skip", reason: "no_base" });
  assert.deepEqual(decode(remove({ primaryKeys: undefined })), { kind: "skip", reason: "no_rows" });
  const nothing = { numRows: 0n, timestamps: [], fieldsData: [], rowIDs: [] };
  assert.deepEqual(decode(insert(nothing)), { kind: "skip", reason: "no_rows" });
});

Deno.test("decodeRecord reads announcements and remembers which vchannel they are for", () => {
  const own = context();
  const created = decodeRecord(
    record(payload(CreateCollectionRequestSchema, {
      base: { msgType: MsgType.CreateCollection, timestamp: TS },
      collectionID: 77n,
      partitionIDs: [78n],
      schema: payload(CollectionSchemaSchema, { name: "items" }),
      virtualChannelNames: ["other_77v1", V],
      physicalChannelNames: ["other", P],
    })),
    own,
  );
  assert.ok(created.kind === "ddl");
  assert.deepEqual(
    [created.operation, created.collectionName, created.partitionIds, created.vchannel, created.typeName],
    ["create_collection", "items", [78n], V, "CreateCollection"],
  );
  const dropped = decodeRecord(
    record(payload(DropPartitionRequestSchema, {
      base: { msgType: MsgType.DropPartition, timestamp: TS },
      collectionID: 77n,
      partitionID: 80n,
      partitionName: "p2",
    })),
    own,
  );
  assert.ok(dropped.kind === "ddl");
  assert.deepEqual(
    [dropped.operation, dropped.vchannel, dropped.partitionIds, dropped.partitionName, dropped.collectionName],
    ["drop_partition", V, [80n], "p2", ""],
  );
  const imported = decode(
    payload(ImportMsgSchema, { base: { msgType: MsgType.Import, timestamp: TS }, collectionID: 1n }),
  );
  assert.ok(imported.kind === "ddl" && imported.operation === "import");
  const replicated = decode(payload(ReplicateMsgSchema, { base: { msgType: MsgType.Replicate, timestamp: TS } }));
  assert.ok(replicated.kind === "ddl" && replicated.operation === "replicate");
});

Deno.test("decodeRecord blocks unknown types for whom the headers name, or for the whole channel", () => {
  const unknown = payload(TimeTickMsgSchema, { base: { msgType: 9876 as MsgType, timestamp: TS } });
  const all = decode(unknown);
  assert.ok(all.kind === "block");
  assert.deepEqual([all.collectionId, all.vchannel, all.type, all.ts], [-1n, "", 9876, TS]);
  const named = decode(unknown, [["vchannel", text(V)], ["collection_id", text("77")]]);
  assert.ok(named.kind === "block");
  assert.deepEqual([named.collectionId, named.vchannel], [77n, V]);
});

Deno.test("decodeRecord never throws: what it cannot decode becomes a block or a skip", () => {
  for (const whole of [insert(), remove()]) {
    for (let end = 1; end < whole.length; end++) {
      const said = decode(whole.slice(0, end));
      assert.ok(["block", "skip", "insert", "delete"].includes(said.kind), said.kind);
    }
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), fc.boolean(), (bytes, streaming) => {
    decode(bytes, streaming ? [["_v", text("1")], ["_t", bytes], ["_tt", text("3gg")], ["_h", bytes]] : []);
  }));
});

Deno.test("isGeneration2 goes by a non-empty header _v", () => {
  assert.equal(isGeneration2({ headers: [] }), false);
  assert.equal(isGeneration2({ headers: [["msg_type", text("Insert")]] }), false);
  assert.equal(isGeneration2({ headers: [["_v", text("")]] }), false);
  assert.equal(isGeneration2({ headers: [["_v", text("2")]] }), true);
});

Deno.test("decodeRecord blocks encrypted rows of generation 2 for their collection", () => {
  const event = decode(insert(), [
    ["_v", text("1")],
    ["_t", text("2")],
    ["_tt", text("3gg498oqzuo0")],
    ["_vc", text(V)],
    ["_h", text("CGQSCAhlEAMiAggJ")],
    ["_ch", text("CAE=")],
  ]);
  assert.ok(event.kind === "block");
  assert.deepEqual([event.collectionId, event.vchannel, event.ts], [100n, V, 455000614502400000n]);
  assert.match(event.reason, /encrypted/);
});

Deno.test("decodeRecord blocks rows of generation 2 that are not as many as their header says: an empty body is no empty message", () => {
  const said = (type: "2" | "3", value: Uint8Array | null, header: string) =>
    decode(value, [
      ["_v", text("1")],
      ["_t", text(type)],
      ["_tt", text("3gg498oqzuo0")],
      ["_vc", text(V)],
      ["_h", text(header)],
    ]);
  // Three rows of collection 100.
  const threeRows = "CGQSCAhlEAMiAggJ";
  const threeKeys = payload(DeleteMessageHeaderSchema, { collectionId: 100n, rows: 3n }).toBase64();
  for (const value of [new Uint8Array(0), null, insert({ collectionID: 100n, numRows: 2n, timestamps: [TS, TS] })]) {
    const event = said("2", value, threeRows);
    assert.ok(event.kind === "block", event.kind);
    assert.deepEqual([event.collectionId, event.vchannel], [100n, V]);
    assert.match(event.reason, /An insert says 3 rows in its header but has [02] /);
  }
  for (const value of [new Uint8Array(0), null]) {
    const event = said("3", value, threeKeys);
    assert.ok(event.kind === "block", event.kind);
    assert.match(event.reason, /A delete says 3 rows in its header but has 0 /);
  }
  const other = said("2", insert(), threeRows);
  assert.ok(other.kind === "block", other.kind);
  assert.deepEqual([other.collectionId, other.vchannel], [100n, V]);
  assert.match(other.reason, /of collection 100 by its header but of 77 by its body/);
  // A header that counts nothing says nothing.
  assert.equal(said("2", insert(), "").kind, "insert");
  assert.equal(said("3", new Uint8Array(0), "").kind, "skip");
});

Deno.test("decodeRecord holds the collection whose rows are on no vchannel of it in generation 2, and all where it is not known", () => {
  const said = (named: string | undefined, known: string | undefined) => {
    const vchannels = new VchannelBook(() => known);
    const headers: [string, Uint8Array][] = [["_v", text("1")], ["_t", text("2")], ["_tt", text("3gg498oqzuo0")]];
    if (named !== undefined) headers.push(["_vc", text(named)]);
    return decodeRecord(record(insert(), headers), { pchannel: P, vchannels });
  };
  assert.equal(said(V, undefined).kind, "insert");
  for (
    const [named, reason] of [[undefined, /name no vchannel/], [`${P}_5v0`, /collection 77 are on .*_5v0/]] as const
  ) {
    for (const known of [V, undefined]) {
      const event = said(named, known);
      assert.ok(event.kind === "block", event.kind);
      assert.deepEqual([event.collectionId, event.vchannel], [77n, known ?? ""]);
      assert.match(event.reason, reason);
    }
  }
});

Deno.test("decodeRecord blocks the vchannel of a record of generation 2 whose version is not that of its type", () => {
  const V = `${P}_100v0`;
  const said = (version: string, type: string) =>
    decode(insert({ collectionID: 100n }), [
      ["_v", text(version)],
      ["_t", text(type)],
      ["_tt", text("3gg498oqzuo0")],
      ["_vc", text(V)],
      ["_h", text("CGQSCAhlEAMiAggJ")],
    ]);
  assert.equal(said("1", "2").kind, "insert");
  for (
    const [version, type] of [["3", "2"], ["2", "2"], ["9", "3"], ["0", "2"], ["1", "901"], ["7", "1"], [
      "4",
      "950",
    ]] as const
  ) {
    const event = said(version, type);
    assert.ok(event.kind === "block", `version ${version} of type ${type} is ${event.kind}`);
    assert.deepEqual([event.vchannel, event.ts, event.type], [V, 455000614502400000n, Number(type)]);
    assert.equal(event.unreadable, true);
    assert.match(event.reason, new RegExp(`version ${version}`));
  }
});

Deno.test("decodeRecord takes a message to all channels of generation 2 for one of the whole pchannel, on the control channel, too", () => {
  const alter = (vchannel: string, more: readonly (readonly [string, Uint8Array])[] = []) =>
    decode(new Uint8Array(0), [
      ["_v", text("2")],
      ["_t", text("700")],
      ["_tt", text("3gg498oqzuo0")],
      ["_vc", text(vchannel)],
      ["_h", text("CAQ=")],
      ...more,
    ]);
  for (const event of [alter(P), alter(`${P}_vcchan`, [["_pcl", text("")]]), alter(`${P}_vcchan`)]) {
    assert.ok(event.kind === "block");
    assert.equal(event.vchannel, "");
    assert.match(event.reason, /another message queue: this one ends here.*point sources\.log there/);
  }
});

Deno.test("decodeRecord blocks the collection of a message that is split over records, whatever it is", () => {
  // Rows, a drop of a collection, a schema, and a type that nobody knows: each part with the properties of the whole.
  for (const [type, version] of [["2", "1"], ["3", "1"], ["6", "1"], ["13", "2"], ["950", "2"]] as const) {
    const event = decode(type === "2" ? insert() : remove(), [
      ["_v", text(version)],
      ["_t", text(type)],
      ["_tt", text("3gg498oqzuo0")],
      ["_vc", text(V)],
      ["_h", text("CGQ=")],
      ["_ct", text("2")],
    ]);
    assert.ok(event.kind === "block", `type ${type} is ${event.kind}`);
    assert.match(event.reason, /split over several records/);
    assert.deepEqual([event.vchannel, event.collectionId, event.unreadable], [V, 77n, true]);
  }
});

Deno.test("decodeRecord takes the commit of an import for what the metadata will tell, not for an unknown change", () => {
  const event = decode(new Uint8Array(0), [
    ["_v", text("2")],
    ["_t", text("45")],
    ["_tt", text("3gg498oqzuo0")],
    ["_vc", text(V)],
    ["_h", text("CGQQCQ==")],
  ]);
  assert.ok(event.kind === "ddl");
  assert.deepEqual([event.operation, event.collectionId, event.vchannel], ["import", 100n, V]);
});
