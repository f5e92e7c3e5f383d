import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeFieldData } from "../../../pipeline/columns/mod.ts";
import type { DeleteEvent, InsertEvent, Keys } from "../../../pipeline/model/mod.ts";
import { DataType } from "../../../pipeline/proto/gen/schema_pb.ts";
import { type FoldedBatch, foldEvents, type FoldTarget, keyConflict } from "../../../pipeline/transforms/mod.ts";
import { int64Column } from "../../fakes/int64_column.ts";

const target: FoldTarget = {
  primaryKey: { fieldID: 100n, name: "id", dataType: DataType.Int64 },
  hasPartitionKey: false,
};
const keyed: FoldTarget = { ...target, hasPartitionKey: true };

let next = 1n;

function common(partitionId: bigint) {
  return {
    generation: 1,
    ts: next,
    pchannel: "p",
    vchannel: "v",
    offset: next++,
    bytes: 0,
    collectionId: 1n,
    partitionId,
    partitionName: `p${partitionId}`,
    msgId: 0n,
  } as const;
}

/** Rows [key, value]. */
function insert(partitionId: bigint, ...rows: [bigint, bigint][]): InsertEvent {
  const fieldsData = [
    int64Column(100n, "id", rows.map(([key]) => key)),
    int64Column(101n, "value", rows.map(([, value]) => value)),
  ];
  return { ...common(partitionId), kind: "insert", segmentId: 1n, rows: rows.length, fieldsData };
}

function remove(partitionId: bigint, ...keys: bigint[]): DeleteEvent {
  return { ...common(partitionId), kind: "delete", keys: { kind: "int64", values: keys } };
}

function values(bytes: Uint8Array, rows: number): bigint[] {
  const { data } = decodeFieldData(bytes, rows);
  return data.kind === "int64" ? [...data.values] : [];
}

function plain(batch: FoldedBatch): unknown {
  return {
    removes: batch.removes.map(({ partitionId, keys }) => [partitionId, [...keys.values]]),
    writes: batch.writes.map(({ partitionId, rows, fieldsData }) => [
      partitionId,
      values(fieldsData[0]!, rows).map((key, i) => [key, values(fieldsData[1]!, rows)[i]]),
    ]),
  };
}

Deno.test("foldEvents makes one write of inserts and leaves a single message untouched", () => {
  const one = insert(1n, [1n, 10n], [2n, 20n]);
  const alone = foldEvents([one], target);
  assert.equal(alone.writes[0]!.fieldsData[0], one.fieldsData[0]);
  const both = foldEvents([one, insert(1n, [3n, 30n]), insert(2n, [1n, 11n])], target);
  assert.deepEqual(plain(both), { removes: [], writes: [[1n, [[1n, 10n], [2n, 20n], [3n, 30n]]], [2n, [[1n, 11n]]]] });
  assert.equal(both.duplicates, 0);
});

Deno.test("foldEvents makes an upsert one row, and its delete no request", () => {
  const batch = foldEvents([insert(1n, [1n, 10n]), remove(1n, 1n, 2n), insert(1n, [1n, 11n])], target);
  assert.deepEqual(plain(batch), { removes: [[1n, [2n]]], writes: [[1n, [[1n, 11n]]]] });
  assert.equal(batch.duplicates, 0);
  assert.equal(batch.plain, 1, "the second one comes behind a delete");
  assert.deepEqual([batch.writes[0]!.sourceRows, batch.writes[0]!.superseded], [2, 1]);
});

Deno.test("foldEvents lets a delete everywhere take all partitions and keeps it before a later insert", () => {
  const batch = foldEvents([
    insert(1n, [1n, 10n]),
    insert(2n, [1n, 20n]),
    remove(2n, 1n),
    remove(-1n, 1n),
    insert(1n, [1n, 12n]),
  ], target);
  assert.deepEqual(plain(batch), { removes: [[undefined, [1n]]], writes: [[1n, [[1n, 12n]]]] });
});

Deno.test("foldEvents counts a key inserted twice, in one message or two, and keeps the newest", () => {
  const batch = foldEvents([insert(1n, [1n, 10n], [1n, 11n]), insert(1n, [1n, 12n]), insert(2n, [1n, 13n])], target);
  assert.deepEqual(plain(batch), { removes: [], writes: [[1n, [[1n, 12n]]], [2n, [[1n, 13n]]]] });
  assert.equal(batch.duplicates, 2);
  assert.equal(batch.plain, 2);
});

Deno.test("foldEvents takes the key alone where there is a partition key", () => {
  const batch = foldEvents([insert(1n, [1n, 10n]), remove(-1n, 1n, 2n), insert(2n, [1n, 20n])], keyed);
  assert.deepEqual(plain(batch), { removes: [[undefined, [2n]]], writes: [[1n, [[1n, 20n]]]] });
});

Deno.test("foldEvents ends a write at its byte limit, and where the columns change", () => {
  const events = [insert(1n, [1n, 1n]), insert(1n, [2n, 2n]), insert(1n, [3n, 3n])];
  const bytes = events[0]!.fieldsData.reduce((sum, item) => sum + item.length, 0);
  assert.deepEqual(foldEvents(events, { ...target, maxWriteBytes: bytes * 2 }).writes.map((write) => write.rows), [
    2,
    1,
  ]);
  const other = { ...events[1]!, fieldsData: [events[1]!.fieldsData[0]!] };
  assert.deepEqual(foldEvents([events[0]!, other], target).writes.map((write) => write.fieldsData.length), [2, 1]);
});

Deno.test("foldEvents refuses int64 and varchar keys in one batch, and takes an empty one", () => {
  const text: DeleteEvent = { ...remove(1n), keys: { kind: "varchar", values: ["a"] } };
  assert.throws(() => foldEvents([insert(1n, [1n, 1n]), text], target), /both int64 and varchar/);
  assert.deepEqual(plain(foldEvents([], target)), { removes: [], writes: [] });
});

Deno.test("keyConflict is true exactly where a key is in both", () => {
  const textual = (keys: bigint[]): DeleteEvent => ({
    ...remove(1n),
    keys: { kind: "varchar", values: keys.map((key) => `k${key}`) },
  });
  const list = fc.array(fc.bigInt(0n, 60n), { maxLength: 12 });
  fc.assert(fc.property(list, list, fc.boolean(), (a, b, text) => {
    const make = (keys: bigint[]) => foldEvents([text ? textual(keys) : remove(1n, ...keys)], target);
    assert.equal(keyConflict(make(a), make(b)), a.some((key) => b.includes(key)));
  }));
});

type State = Map<string, bigint>;

function sequential(state: State, event: InsertEvent | DeleteEvent, one: boolean): void {
  if (event.kind === "insert") {
    const keys = values(event.fieldsData[0]!, event.rows);
    const contents = values(event.fieldsData[1]!, event.rows);
    keys.forEach((key, i) => state.set(`${one ? "*" : event.partitionId}/${key}`, contents[i]!));
    return;
  }
  for (const key of event.keys.values) {
    for (const name of [...state.keys()]) {
      const inScope = one || event.partitionId === -1n || name.startsWith(`${event.partitionId}/`);
      if (inScope && name.endsWith(`/${key}`)) state.delete(name);
    }
  }
}

Deno.test("foldEvents has the effect of the events one after the other", () => {
  const key = fc.bigInt(0n, 5n);
  const event = fc.oneof(
    fc.record({ partition: fc.bigInt(1n, 3n), keys: fc.array(key, { minLength: 1, maxLength: 4 }) }).map((given) => ({
      kind: "insert" as const,
      ...given,
    })),
    fc.record({ partition: fc.constantFrom(-1n, 1n, 2n, 3n), keys: fc.array(key, { maxLength: 4 }) }).map((given) => ({
      kind: "delete" as const,
      ...given,
    })),
  );
  fc.assert(
    fc.property(
      fc.array(event, { maxLength: 10 }),
      fc.array(event, { maxLength: 15 }),
      fc.boolean(),
      (before, given, one) => {
        let value = 0n;
        const make = (item: typeof given[number]) =>
          item.kind === "insert"
            ? insert(item.partition, ...item.keys.map((id) => [id, value++] as [bigint, bigint]))
            : remove(one ? -1n : item.partition, ...item.keys);
        const start: State = new Map();
        for (const item of before) sequential(start, make(item), one);
        const events = given.map(make);
        const wanted = new Map(start);
        for (const item of events) sequential(wanted, item, one);
        const got = new Map(start);
        const batch = foldEvents(events, one ? keyed : target);
        for (const { partitionId, keys } of batch.removes) {
          sequential(got, { ...remove(partitionId ?? -1n), keys: keys as Keys }, one);
        }
        for (const write of batch.writes) {
          sequential(got, { ...insert(write.partitionId), rows: write.rows, fieldsData: write.fieldsData }, one);
        }
        assert.deepEqual(new Map([...got].sort()), new Map([...wanted].sort()));
        const written = batch.writes.flatMap((write) =>
          values(write.fieldsData[0]!, write.rows).map((id) => `${one ? "*" : write.partitionId}/${id}`)
        );
        assert.equal(new Set(written).size, written.length);
      },
    ),
    { numRuns: 1000 },
  );
});
