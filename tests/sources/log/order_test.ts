import assert from "node:assert/strict";
import fc from "fast-check";
import type { DeleteEvent, InsertEvent, LogEvent, LogRecord, TickGroup } from "../../../pipeline/model/mod.ts";
import type { Decoded } from "../../../sources/log/mod.ts";
import { TickOrderer } from "../../../sources/log/mod.ts";

const P = "p_0";
const VALUE = new Uint8Array(10);

/** One record of the log under test: what it says, and at which offset. */
interface Entry {
  readonly record: LogRecord;
  readonly said: Decoded;
}

function entries(says: readonly ((offset: bigint) => Decoded)[], first = 100n): Entry[] {
  return says.map((say, i) => {
    const offset = first + BigInt(i);
    return { record: { topic: P, offset, timestampMs: 0n, headers: [], value: VALUE }, said: say(offset) };
  });
}

const head = (offset: bigint, ts: bigint, generation: 1 | 2, txnId?: bigint) => ({
  generation,
  ts,
  pchannel: P,
  vchannel: `${P}_1v0`,
  offset,
  bytes: VALUE.length,
  ...(txnId === undefined ? {} : { txnId }),
});

const insert = (ts: bigint, msgId = 0n, generation: 1 | 2 = 1, txnId?: bigint) => (offset: bigint): InsertEvent => ({
  ...head(offset, ts, generation, txnId),
  kind: "insert",
  collectionId: 1n,
  partitionId: 1n,
  partitionName: "_default",
  segmentId: 1n,
  msgId,
  rows: 1,
  fieldsData: [VALUE],
});

const remove = (ts: bigint, msgId = 0n, generation: 1 | 2 = 1, txnId?: bigint) => (offset: bigint): DeleteEvent => ({
  ...head(offset, ts, generation, txnId),
  kind: "delete",
  collectionId: 1n,
  partitionId: -1n,
  partitionName: "",
  msgId,
  keys: { kind: "int64", values: [1n] },
});

const tick = (ts: bigint, generation: 1 | 2 = 1) => (): Decoded => ({ kind: "tick", generation, ts });

const step =
  (name: "begin" | "commit" | "rollback", ts: bigint, txnId: bigint, keepaliveMs = -1000n) => (offset: bigint) =>
    ({ kind: "txn", step: name, txnId, ts, offset, keepaliveMs }) as const;

function run(orderer: TickOrderer, log: readonly Entry[]): TickGroup[] {
  return log.map(({ record, said }) => orderer.push(record, said)).filter((group) => group !== undefined);
}

function from(offset: bigint, at: bigint): TickOrderer {
  return new TickOrderer(P, { offset, tick: at });
}

function shown(events: readonly LogEvent[]): string[] {
  return events.map((event) => `${event.kind}@${event.ts}#${event.offset}`);
}

Deno.test("TickOrderer releases at a tick what lies at or below it, deletes first, and keeps the rest", () => {
  const log = entries([insert(5n), insert(3n), remove(5n), insert(9n), tick(7n), tick(8n), tick(9n)]);
  const orderer = from(0n, 0n);
  const groups = run(orderer, log);
  assert.deepEqual(groups.map((group) => shown(group.events)), [
    ["insert@3#101", "delete@5#102", "insert@5#100"],
    [],
    ["insert@9#103"],
  ]);
  assert.deepEqual(groups.map((group) => group.resume), [
    { offset: 103n, tick: 7n },
    { offset: 103n, tick: 8n },
    { offset: 106n, tick: 9n },
  ]);
  assert.deepEqual(groups.map((group) => group.bytes), [30, 0, 10]);
  assert.equal(orderer.heldBytes, 0);
});

Deno.test("TickOrderer puts a drop behind everything of its timestamp, and a creation before", () => {
  const ddl = (operation: "drop_collection" | "create_collection") => (offset: bigint): LogEvent => ({
    ...head(offset, 5n, 1),
    kind: "ddl",
    operation,
    type: 101,
    typeName: operation,
    collectionId: 1n,
    collectionName: "c",
    partitionIds: [],
    partitionName: "",
    message: undefined,
  });
  const log = entries([ddl("drop_collection"), insert(5n), remove(5n), ddl("create_collection"), insert(4n), tick(5n)]);
  assert.deepEqual(shown(run(from(0n, 0n), log)[0]!.events), [
    "insert@4#104",
    "ddl@5#103",
    "delete@5#102",
    "insert@5#101",
    "ddl@5#100",
  ]);
});

Deno.test("TickOrderer drops the copies of a producer's retry, also behind the tick that released the first", () => {
  const orderer = from(0n, 0n);
  const groups = run(orderer, entries([insert(2n, 77n), insert(2n, 77n), tick(3n), insert(2n, 77n), tick(4n)]));
  assert.deepEqual(groups.map((group) => group.events.length), [1, 0]);
  assert.equal(orderer.counts.duplicates, 2);
  assert.equal(orderer.counts.late, 0);
});

Deno.test("TickOrderer takes two messages of one id that differ for two messages", () => {
  const orderer = from(0n, 0n);
  const [group] = run(orderer, entries([insert(2n, 77n), remove(2n, 77n), tick(3n)]));
  assert.deepEqual(shown(group!.events), ["delete@2#101", "insert@2#100"]);
});

Deno.test("TickOrderer never loses a record that comes later than its tick: it is in the next group, and counted", () => {
  const orderer = from(0n, 0n);
  const groups = run(orderer, entries([tick(10n), insert(4n), insert(11n), tick(12n)]));
  assert.deepEqual(groups.map((group) => shown(group.events)), [[], ["insert@4#101", "insert@11#102"]]);
  assert.equal(orderer.counts.late, 1);
});

Deno.test("TickOrderer resumed at a tick without anything open emits a late record behind that tick", () => {
  const log = entries([insert(3n), tick(10n), insert(4n), tick(12n)]);
  const [first] = run(from(0n, 0n), log);
  assert.deepEqual(first!.resume, { offset: 101n, tick: 10n });
  const rest = run(from(101n, 10n), log.filter(({ record }) => record.offset >= 101n));
  assert.deepEqual(rest.flatMap((group) => shown(group.events)), ["insert@4#102"]);
});

Deno.test("TickOrderer discards late records of generation 2, as Milvus does, but not those at the tick itself", () => {
  const orderer = from(0n, 0n);
  const groups = run(
    orderer,
    entries([tick(10n, 2), insert(4n, 0n, 2), insert(10n, 0n, 2), tick(9n, 2), tick(12n, 2)]),
  );
  assert.deepEqual(groups.flatMap((group) => shown(group.events)), ["insert@10#102"]);
  assert.deepEqual([orderer.counts.discarded, orderer.counts.staleTicks], [1, 1]);
});

Deno.test("TickOrderer treats two ticks of one value as one", () => {
  const groups = run(from(0n, 0n), entries([insert(3n), tick(5n), tick(5n), insert(6n), tick(6n)]));
  assert.deepEqual(groups.map((group) => [group.tick, group.events.length]), [[5n, 1], [5n, 0], [6n, 1]]);
});

Deno.test("TickOrderer emits nothing at or below the tick of the resume point, and no group before it", () => {
  const orderer = from(100n, 20n);
  const groups = run(orderer, entries([insert(15n), insert(25n), tick(18n), insert(20n), tick(22n), tick(30n)]));
  assert.deepEqual(groups.map((group) => group.tick), [22n, 30n]);
  assert.deepEqual(groups.map((group) => shown(group.events)), [[], ["insert@25#101"]]);
  assert.equal(orderer.counts.suppressed, 2);
});

Deno.test("TickOrderer gives a block without a time a place that no resume point passes", () => {
  const block = (offset: bigint): LogEvent => ({
    ...head(offset, 0n, 1),
    kind: "block",
    collectionId: -1n,
    type: 9,
    reason: "?",
  });
  const orderer = from(100n, 20n);
  const groups = run(orderer, entries([tick(20n), block, tick(21n)]));
  assert.deepEqual(groups.map((group) => shown(group.events)), [[], ["block@21#101"]]);
});

Deno.test("TickOrderer releases a transaction at its commit, deletes first, with the commit's timestamp", () => {
  const log = entries([
    step("begin", 3n, 1n),
    insert(6n, 0n, 2, 1n),
    remove(5n, 0n, 2, 1n),
    tick(7n, 2),
    insert(8n, 0n, 2),
    step("commit", 9n, 1n),
    tick(10n, 2),
  ]);
  const groups = run(from(0n, 0n), log);
  assert.deepEqual(groups.map((group) => shown(group.events)), [
    [],
    ["insert@8#104", "delete@9#102", "insert@9#101"],
  ]);
  // The transaction is open at the first tick: its begin must be read again.
  assert.deepEqual(groups.map((group) => group.resume.offset), [100n, 106n]);
  assert.deepEqual(groups.map((group) => group.bytes), [0, 30]);
});

Deno.test("TickOrderer forgets transactions that are rolled back, expired or unknown", () => {
  const ms = 1n << 18n;
  const orderer = from(0n, 0n);
  const groups = run(
    orderer,
    entries([
      step("begin", 1n * ms, 1n),
      insert(2n * ms, 0n, 2, 1n),
      step("rollback", 3n * ms, 1n),
      step("begin", 4n * ms, 2n, 10n),
      insert(5n * ms, 0n, 2, 2n),
      tick(15n * ms, 2),
      step("commit", 16n * ms, 2n),
      insert(17n * ms, 0n, 2, 3n),
      step("commit", 18n * ms, 3n),
      tick(20n * ms, 2),
    ]),
  );
  assert.deepEqual(groups.flatMap((group) => group.events), []);
  assert.equal(orderer.heldBytes, 0);
  assert.equal(groups.reduce((sum, group) => sum + group.bytes, 0), 30);
});

Deno.test("TickOrderer with records hands each out once, with the bytes that it holds", () => {
  const orderer = new TickOrderer(P, { offset: 0n, tick: 0n }, { records: true });
  const groups = run(orderer, entries([insert(9n), insert(3n), tick(5n), tick(9n)]));
  assert.deepEqual(groups.map((group) => group.records.map((record) => record.offset)), [[100n, 101n, 102n], [103n]]);
  // The insert at 9 is still held after the first group.
  assert.deepEqual(groups.map((group) => group.bytes), [20, 20]);
  assert.equal(orderer.heldBytes, 0);
});

/** A healthy log: after a tick T nothing with ts <= T, between ticks any order. `late`: also records that break that. */
function logArbitrary(late: boolean): fc.Arbitrary<Entry[]> {
  const item = fc.record({
    // How far above the last tick; larger ones stay open over several ticks.
    above: fc.integer({ min: late ? -15 : 1, max: 30 }),
    kind: fc.constantFrom("insert", "insert", "delete", "tick"),
  });
  return fc.array(item, { minLength: 1, maxLength: 60 }).map((items) => {
    let last = 100n;
    let id = 1n;
    return entries(items.map(({ above, kind }) => {
      const ts = last + BigInt(above);
      if (kind === "tick") {
        if (ts > last) last = ts;
        return tick(last);
      }
      const at = ts < 1n ? 1n : ts;
      return kind === "insert" ? insert(at, id++) : remove(at, id++);
    }));
  });
}

Deno.test("TickOrderer releases a healthy log exactly as if it had been sorted", () => {
  fc.assert(
    fc.property(logArbitrary(false), (log) => {
      const groups = run(from(0n, 0n), log);
      const last = groups.at(-1)?.tick ?? 0n;
      const wanted = log.map(({ said }) => said).filter((said): said is InsertEvent | DeleteEvent => {
        return (said.kind === "insert" || said.kind === "delete") && said.ts <= last;
      });
      wanted.sort((a, b) =>
        a.ts !== b.ts
          ? (a.ts < b.ts ? -1 : 1)
          : a.kind !== b.kind
          ? (a.kind === "delete" ? -1 : 1)
          : a.offset < b.offset
          ? -1
          : 1
      );
      assert.deepEqual(groups.flatMap((group) => shown(group.events)), shown(wanted));
    }),
    { numRuns: 500 },
  );
});

Deno.test("TickOrderer restarted at any resume point gives exactly the remaining events", () => {
  fc.assert(
    fc.property(logArbitrary(false), (log) => {
      const groups = run(from(0n, 0n), log);
      groups.forEach(({ resume }, i) => {
        const again = run(from(resume.offset, resume.tick), log.filter(({ record }) => record.offset >= resume.offset));
        assert.deepEqual(
          again.flatMap((group) => shown(group.events)),
          groups.slice(i + 1).flatMap((group) => shown(group.events)),
        );
      });
    }),
    { numRuns: 500 },
  );
});

Deno.test("TickOrderer loses nothing of a log with late records, whole or restarted", () => {
  fc.assert(
    fc.property(logArbitrary(true), (log) => {
      const groups = run(from(0n, 0n), log);
      const lastTick = log.findLastIndex(({ said }) => said.kind === "tick");
      const last = groups.at(-1)?.tick ?? 0n;
      const due = log.slice(0, lastTick + 1).map(({ said }) => said).filter((said) => {
        return (said.kind === "insert" || said.kind === "delete") && said.ts <= last;
      }) as LogEvent[];
      assert.deepEqual(groups.flatMap((group) => shown(group.events)).sort(), shown(due).sort());
      groups.forEach(({ resume }, i) => {
        const again = run(from(resume.offset, resume.tick), log.filter(({ record }) => record.offset >= resume.offset));
        const found = new Set(again.flatMap((group) => shown(group.events)));
        for (const event of groups.slice(i + 1).flatMap((group) => shown(group.events))) {
          assert.ok(found.has(event), event);
        }
      });
    }),
    { numRuns: 500 },
  );
});

Deno.test("TickOrderer restarted at any resume point gives exactly the remaining transactions", () => {
  // Each element opens, writes to, or ends one of four transactions, or writes outside of one, or ticks.
  const action = fc.record({
    what: fc.constantFrom("begin", "body", "end", "plain", "tick"),
    txn: fc.integer({ min: 0, max: 3 }),
  });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      let time = 1n;
      let serial = 10n;
      const open = new Map<number, bigint>();
      const says: ((offset: bigint) => Decoded)[] = [];
      for (const { what, txn } of actions) {
        const ts = ++time;
        const id = open.get(txn);
        if (what === "tick") says.push(tick(ts, 2));
        else if (what === "plain") says.push(insert(ts, 0n, 2));
        else if (what === "begin" && id === undefined) {
          open.set(txn, ++serial);
          says.push(step("begin", ts, serial));
        } else if (what === "body" && id !== undefined) says.push((txn % 2 ? insert : remove)(ts, 0n, 2, id));
        else if (what === "end" && id !== undefined) {
          open.delete(txn);
          says.push(step(txn === 3 ? "rollback" : "commit", ts, id));
        }
      }
      const log = entries(says);
      const groups = run(from(0n, 0n), log);
      groups.forEach(({ resume }, i) => {
        const again = run(from(resume.offset, resume.tick), log.filter(({ record }) => record.offset >= resume.offset));
        assert.deepEqual(
          again.flatMap((group) => shown(group.events)),
          groups.slice(i + 1).flatMap((group) => shown(group.events)),
        );
      });
      for (const group of groups) {
        const ts = group.events.map((event) => event.ts);
        assert.deepEqual(ts, ts.toSorted((a, b) => a < b ? -1 : a > b ? 1 : 0));
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("TickOrderer.atEnd says what waits, and goes on behind the end where generation 2 leaves nothing open", () => {
  const end = (orderer: TickOrderer, offset: bigint) => orderer.atEnd({ offset, sinceMs: 0, complete: undefined });
  const orderer = from(100n, 0n);
  run(orderer, entries([insert(5n, 0n, 2), tick(7n, 2)]));
  assert.deepEqual(end(orderer, 102n), {
    pchannel: P,
    tick: 7n,
    events: [],
    records: [],
    resume: { offset: 102n, tick: 7n },
    bytes: 0,
    end: { offset: 102n, sinceMs: 0, waiting: undefined, complete: undefined },
  });
  run(orderer, entries([insert(9n, 0n, 2), insert(8n, 0n, 2)], 102n));
  const waiting = end(orderer, 104n);
  assert.deepEqual([waiting.tick, waiting.resume, waiting.end?.waiting], [7n, { offset: 102n, tick: 7n }, 8n]);
  run(orderer, entries([tick(9n, 2), step("begin", 10n, 1n), insert(11n, 0n, 2, 1n), tick(12n, 2)], 104n));
  const open = end(orderer, 108n);
  assert.deepEqual([open.resume, open.end?.waiting], [{ offset: 105n, tick: 12n }, undefined]);
});

Deno.test("TickOrderer.atEnd reads the last tick of generation 1 again, since late records come behind it", () => {
  const orderer = from(100n, 0n);
  run(orderer, entries([insert(5n), tick(7n)]));
  assert.deepEqual(orderer.atEnd({ offset: 102n, sinceMs: 0, complete: undefined }).resume, { offset: 101n, tick: 7n });
});

Deno.test("TickOrderer.promise releases as a tick would, whoever knows it", () => {
  const orderer = from(100n, 0n);
  run(orderer, entries([insert(5n, 0n, 2), insert(9n, 0n, 2)]));
  const group = orderer.promise(8n, 102n)!;
  assert.deepEqual([group.tick, shown(group.events), group.resume], [8n, ["insert@5#100"], { offset: 101n, tick: 8n }]);
  assert.deepEqual(shown(run(orderer, entries([tick(9n, 2)], 102n))[0]!.events), ["insert@9#101"]);
});

Deno.test("TickOrderer.atEnd waits for nothing of before the tick that its reader has passed, but for what a commit may follow", () => {
  // A node that lost its channel, or a producer's retry, wrote behind the last tick; reading begins there again.
  const begun = (log: readonly ((offset: bigint) => Decoded)[], options = {}) => {
    const orderer = new TickOrderer(P, { offset: 100n, tick: 0n }, { passed: 7n, ...options });
    run(orderer, entries(log));
    const { resume, end } = orderer.atEnd({ offset: 100n + BigInt(log.length), sinceMs: 0, complete: undefined });
    return { orderer, resume: resume.offset, waiting: end?.waiting };
  };
  const late = begun([insert(5n, 0n, 2), remove(6n, 0n, 2)]);
  assert.deepEqual([late.resume, late.waiting, late.orderer.counts.discarded, late.orderer.heldBytes], [
    102n,
    undefined,
    2,
    0,
  ]);
  assert.deepEqual(shown(run(late.orderer, entries([insert(9n, 0n, 2), tick(9n, 2)], 102n))[0]!.events), [
    "insert@9#102",
  ]);
  assert.deepEqual(begun([insert(5n, 0n, 2), insert(8n, 0n, 2)]).waiting, 8n);
  assert.deepEqual(begun([insert(5n)]).waiting, 5n, "generation 1 releases what is late");
  const txn = begun([step("begin", 5n, 1n), insert(6n, 0n, 2, 1n)]).orderer;
  const [group] = run(txn, entries([step("commit", 8n, 1n), tick(9n, 2)], 102n));
  assert.deepEqual(shown(group!.events), ["insert@8#101"]);
});

Deno.test("TickOrderer puts what has no time behind all that its reader has passed, where it was told no tick yet", () => {
  const orderer = new TickOrderer(P, { offset: 100n, tick: 0n }, { passed: 7n });
  const unknown = (offset: bigint): LogEvent => ({
    ...head(offset, 0n, 2),
    kind: "block",
    collectionId: 1n,
    type: 2,
    reason: "A record of type Insert cannot be decoded",
  });
  assert.deepEqual(shown(run(orderer, entries([unknown, tick(9n, 2)]))[0]!.events), ["block@8#100"]);
});
