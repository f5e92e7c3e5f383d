/** A topic that saw its cluster upgraded: records of generation 1, then of generation 2, as their bytes lie in the queue. */
import assert from "node:assert/strict";
import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import type { LogEvent, LogRecord, TickGroup } from "../../../pipeline/model/mod.ts";
import { MsgType } from "../../../pipeline/proto/gen/common_pb.ts";
import {
  DeleteMessageHeaderSchema,
  InsertMessageHeaderSchema,
  MessageType,
  TxnContextSchema,
} from "../../../pipeline/proto/gen/messages_pb.ts";
import {
  DeleteRequestSchema,
  InsertDataVersion,
  InsertRequestSchema,
  TimeTickMsgSchema,
} from "../../../pipeline/proto/gen/msg_pb.ts";
import { DataType } from "../../../pipeline/proto/gen/schema_pb.ts";
import { decodeRecord, followPchannel, TickOrderer, VchannelBook } from "../../../sources/log/mod.ts";
import { FakeLog } from "../../fakes/log.ts";

const P = "by-dev-rootcoord-dml_0";
const V = `${P}_77v0`;
const FIRST = 40n;

type Value = Pick<LogRecord, "value" | "headers">;
/** What becomes of a record is told by `key`; undefined for those that are no rows. */
interface Written extends Value {
  readonly generation: 1 | 2;
  readonly what: "insert" | "delete" | "tick" | "begin" | "commit" | "rollback";
  readonly ts: bigint;
  readonly key: bigint;
  readonly txn: bigint;
}

function bytes<Desc extends DescMessage>(schema: Desc, init: MessageInitShape<Desc>): Uint8Array {
  return toBinary(schema, create(schema, init));
}

function rowsOf(what: "insert" | "delete", key: bigint, ts: bigint, msgID: bigint): Uint8Array {
  const common = { shardName: V, collectionID: 77n, partitionID: 78n, timestamps: [ts] };
  if (what === "delete") {
    return bytes(DeleteRequestSchema, {
      ...common,
      base: { msgType: MsgType.Delete, msgID, timestamp: ts },
      numRows: 1n,
      primaryKeys: { idField: { case: "intId", value: { data: [key] } } },
    });
  }
  const data = { case: "longData" as const, value: { data: [key] } };
  return bytes(InsertRequestSchema, {
    ...common,
    base: { msgType: MsgType.Insert, msgID, timestamp: ts },
    rowIDs: [key],
    numRows: 1n,
    version: InsertDataVersion.ColumnBased,
    fieldsData: [{
      type: DataType.Int64,
      fieldName: "id",
      fieldId: 100n,
      field: { case: "scalars", value: { data } },
    }],
  });
}

const NONE = { key: 0n, txn: 0n };

/** `id`: the message's number, which comes from the same allocator as time ticks do. */
function old(what: "insert" | "delete", ts: bigint, key: bigint, id: bigint): Written {
  return { ...NONE, generation: 1, what, ts, key, headers: [], value: rowsOf(what, key, ts, id) };
}

function oldTick(ts: bigint): Written {
  const value = bytes(TimeTickMsgSchema, { base: { msgType: MsgType.TimeTick, timestamp: ts } });
  return { ...NONE, generation: 1, what: "tick", ts, headers: [], value };
}

const TYPES = {
  insert: MessageType.Insert,
  delete: MessageType.Delete,
  tick: MessageType.TimeTick,
  begin: MessageType.BeginTxn,
  commit: MessageType.CommitTxn,
  rollback: MessageType.RollbackTxn,
};

function fresh(what: Written["what"], ts: bigint, { key = 0n, txn = 0n } = {}): Written {
  const headers: [string, string][] = [[
    "_v",
    what === "begin" || what === "commit" || what === "rollback" ? "2" : "1",
  ]];
  headers.push(["_t", String(TYPES[what])], ["_tt", ts.toString(36)]);
  if (what !== "tick") headers.push(["_vc", V]);
  if (txn !== 0n) {
    const context = bytes(TxnContextSchema, { txnId: txn, keepaliveMilliseconds: -1000n });
    headers.push(["_tx", context.toBase64()]);
  }
  const about = { collectionId: 77n };
  if (what === "insert") headers.push(["_h", bytes(InsertMessageHeaderSchema, about).toBase64()]);
  else if (what === "delete") headers.push(["_h", bytes(DeleteMessageHeaderSchema, about).toBase64()]);
  else headers.push(["_h", ""]);
  const utf8 = new TextEncoder();
  return {
    generation: 2,
    what,
    ts,
    key,
    txn,
    headers: headers.map(([name, value]) => [name, utf8.encode(value)]),
    // The body's own time is provisional.
    value: what === "insert" || what === "delete" ? rowsOf(what, key, ts + 5n, 0n) : new Uint8Array(0),
  };
}

function recordsOf(log: readonly Value[]): LogRecord[] {
  return log.map(({ value, headers }, i) => ({ topic: P, offset: FIRST + BigInt(i), timestampMs: 0n, headers, value }));
}

function shown(groups: readonly TickGroup[]): string[] {
  return groups.flatMap(({ events }) => events.map(nameOf));
}

function nameOf(event: LogEvent): string {
  const key = event.kind === "delete" ? event.keys.values[0] : undefined;
  return `${event.kind}@${event.ts}#${event.offset}${key === undefined ? "" : `=${key}`}`;
}

function run(records: readonly LogRecord[], from = { offset: 0n, tick: 0n }, groups: TickGroup[] = []): TickOrderer {
  const orderer = new TickOrderer(P, from);
  const context = { pchannel: P, vchannels: new VchannelBook() };
  for (const record of records) {
    if (record.offset < from.offset) continue;
    const group = orderer.push(record, decodeRecord(record, context));
    if (group !== undefined) groups.push(group);
  }
  return orderer;
}

/**
 * What a reader of the new generation makes of such a log, written down without regard to speed: rows by their effective time,
 * with what its own ticks have passed discarded. Only the old generation lets a late record count.
 */
function wanted(log: readonly Written[]): string[] {
  let last = 0n;
  let streaming = false;
  const seen = new Set<string>();
  const due: { readonly at: bigint; readonly of: Written; readonly offset: bigint; readonly in: number }[] = [];
  const ticks = log.filter(({ what }) => what === "tick").length;
  let passed = 0;
  const kept = log.flatMap((of, i) => {
    if (of.what === "tick") {
      passed++;
      if (of.ts > last) last = of.ts;
      streaming ||= of.generation === 2;
      return [];
    }
    if ((streaming || of.generation === 2) && of.ts < last) return [];
    const id = `${of.generation} ${of.what} ${of.ts} ${of.key}`;
    if (seen.has(id)) return [];
    seen.add(id);
    return [{ of, offset: FIRST + BigInt(i), after: passed }];
  });
  const tickAt = log.filter(({ what }) => what === "tick").map(({ ts }) => ts);
  for (const { of, offset, after } of kept) {
    if (of.what !== "insert" && of.what !== "delete") continue;
    const end = of.txn === 0n
      ? { ts: of.ts, after }
      : kept.flatMap((one) =>
        one.of.what === "commit" && one.of.txn === of.txn ? [{ ts: one.of.ts, after: one.after }] : []
      )[0];
    if (end === undefined) continue;
    // The first tick behind it that reaches it releases it.
    const from = Math.max(end.after, after);
    for (let i = from; i < ticks; i++) {
      if (tickAt.slice(0, i + 1).some((earlier, at) => at < i && earlier > tickAt[i]!) || tickAt[i]! < end.ts) continue;
      due.push({ at: end.ts, of, offset, in: i });
      break;
    }
  }
  const compare = (a: bigint, b: bigint) => a < b ? -1 : a > b ? 1 : 0;
  due.sort((a, b) =>
    a.in - b.in || compare(a.at, b.at) || (a.of.what === b.of.what ? 0 : a.of.what === "delete" ? -1 : 1) ||
    (a.of.txn === 0n ? compare(a.offset, b.offset) : compare(a.of.ts, b.of.ts))
  );
  return due.map(({ at, of, offset }) => `${of.what}@${at}#${offset}${of.what === "delete" ? `=${of.key}` : ""}`);
}

interface Made {
  readonly log: readonly Written[];
  /** Index of the first record of the new generation. */
  readonly seam: number;
}

/** `strays`: proxies of before the upgrade that still write behind it. No two things of a cluster have one timestamp. */
function logArbitrary(strays: boolean): fc.Arbitrary<Made> {
  const item = fc.record({
    what: fc.constantFrom("insert", "insert", "delete", "tick", "again"),
    swap: fc.boolean(),
  });
  const action = fc.record({
    what: fc.constantFrom("insert", "delete", "begin", "body", "end", "tick", "again", ...(strays ? ["stray"] : [])),
    txn: fc.integer({ min: 0, max: 2 }),
    swap: fc.boolean(),
    back: fc.integer({ min: 1, max: 12 }),
  });
  return fc.tuple(fc.array(item, { maxLength: 25 }), fc.array(action, { maxLength: 40 })).map(([before, behind]) => {
    const log: Written[] = [];
    let time = 1000n;
    let key = 0n;
    // Neighbours of one window are in any order.
    const add = (record: Written, swap: boolean) => {
      const last = log.at(-1);
      const apart = swap && last !== undefined && last.what !== "tick" && record.what !== "tick" &&
        last.generation === record.generation && (last.txn === 0n || last.txn !== record.txn);
      if (apart) log.splice(-1, 0, record);
      else log.push(record);
    };
    const repeat = () => {
      const last = log.at(-1);
      if (last !== undefined && last.what !== "tick") log.push(last);
    };
    for (const { what, swap } of before) {
      const ts = time += 2n;
      if (what === "tick") log.push(oldTick(ts));
      else if (what === "again") repeat();
      // Time ticks of later are numbers of messages of now.
      else add(old(what as "insert", ts, ++key, ts + 9n), swap);
    }
    const seam = log.length;
    const open = new Map<number, bigint>();
    for (const { what, txn, swap, back } of behind) {
      const ts = time += 2n;
      const id = open.get(txn);
      if (what === "tick") log.push(fresh("tick", ts));
      else if (what === "again") repeat();
      else if (what === "stray") log.push(old("insert", ts + 1n - 2n * BigInt(back), ++key, 5n + key));
      else if (what === "insert" || what === "delete") add(fresh(what, ts, { key: ++key }), swap);
      else if (what === "begin" && id === undefined) {
        open.set(txn, ts);
        log.push(fresh("begin", ts, { txn: ts }));
      } else if (what === "body" && id !== undefined) {
        add(fresh(back % 2 === 0 ? "insert" : "delete", ts, { key: ++key, txn: id }), swap);
      } else if (what === "end" && id !== undefined) {
        open.delete(txn);
        log.push(fresh(txn === 2 ? "rollback" : "commit", ts, { txn: id }));
      }
    }
    log.push(fresh("tick", time + 2n));
    return { log, seam };
  });
}

Deno.test("TickOrderer loses nothing and brings nothing twice where generation 2 follows generation 1 in one topic", () => {
  for (const strays of [false, true]) {
    fc.assert(
      fc.property(logArbitrary(strays), ({ log }) => {
        const groups: TickGroup[] = [];
        run(recordsOf(log), undefined, groups);
        assert.deepEqual(shown(groups), wanted(log));
      }),
      { numRuns: 400 },
    );
  }
});

Deno.test("TickOrderer restarted at any place of such a topic, or at its end of that time, goes on exactly", () => {
  for (const strays of [false, true]) {
    fc.assert(
      fc.property(logArbitrary(strays), ({ log }) => {
        const records = recordsOf(log);
        const whole: TickGroup[] = [];
        run(records, undefined, whole);
        for (let read = 0; read <= records.length; read++) {
          const before: TickGroup[] = [];
          const orderer = run(records.slice(0, read), undefined, before);
          const offset = FIRST + BigInt(read);
          const ends = [orderer.atEnd({ offset, sinceMs: 0, complete: undefined }).resume];
          const last = before.at(-1)?.resume;
          if (last !== undefined) ends.push(last);
          for (const resume of ends) {
            const rest: TickGroup[] = [];
            run(records, resume, rest);
            assert.deepEqual(
              shown(rest),
              shown(whole).slice(shown(before).length),
              `read ${read} of ${records.length}`,
            );
          }
        }
      }),
      { numRuns: 60 },
    );
  }
});

Deno.test("TickOrderer tells a producer's retry behind the upgrade, whatever number of a message its time tick is", () => {
  const log = [
    old("insert", 1001n, 1n, 1005n),
    oldTick(1002n),
    fresh("insert", 1005n, { key: 2n }),
    fresh("insert", 1005n, { key: 2n }),
    fresh("tick", 1006n),
  ];
  const groups: TickGroup[] = [];
  const orderer = run(recordsOf(log), undefined, groups);
  assert.deepEqual(shown(groups), ["insert@1001#40", "insert@1005#42"]);
  assert.equal(orderer.counts.duplicates, 1);
});

Deno.test("TickOrderer discards what an old proxy writes behind a tick of generation 2, as the upgraded cluster does", () => {
  const log = [oldTick(1002n), fresh("tick", 1006n), old("insert", 1004n, 1n, 1n), old("insert", 1007n, 2n, 2n)];
  const groups: TickGroup[] = [];
  const orderer = run(recordsOf([...log, fresh("tick", 1008n)]), undefined, groups);
  assert.deepEqual(shown(groups), ["insert@1007#43"]);
  assert.deepEqual([orderer.counts.discarded, orderer.counts.late], [1, 0]);
});

Deno.test("followPchannel goes through an upgrade while it follows, and its end is where the new generation left it", async () => {
  const log = new FakeLog({ maxRecords: 2, waitMs: 1 });
  log.createTopic(P, FIRST);
  const before = [old("insert", 1001n, 1n, 11n), oldTick(1002n), old("insert", 1003n, 2n, 12n)];
  const behind = [fresh("tick", 1005n), fresh("insert", 1006n, { key: 3n }), fresh("tick", 1007n)];
  log.append(P, before);
  const found: string[] = [];
  let upgraded = false;
  for await (
    const group of followPchannel(log, {
      pchannel: P,
      from: { offset: FIRST, tick: 0n },
      topicId: undefined,
    }, new AbortController().signal)
  ) {
    found.push(...shown([group]));
    if (group.end === undefined) continue;
    if (upgraded && group.end.offset === FIRST + 6n) {
      assert.deepEqual([group.tick, group.resume], [1007n, { offset: FIRST + 6n, tick: 1007n }]);
      break;
    }
    if (upgraded) continue;
    // The old cluster's last rows have no tick of its own behind them.
    assert.deepEqual([group.end.waiting, group.resume], [1003n, { offset: FIRST + 1n, tick: 1002n }]);
    upgraded = true;
    log.append(P, behind);
  }
  await log.close();
  assert.deepEqual(found, ["insert@1001#40", "insert@1003#42", "insert@1006#44"]);
});
