import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { TidemarkError } from "../../../pipeline/errors.ts";
import { WALName } from "../../../pipeline/proto/gen/common_pb.ts";
import { MsgPositionSchema } from "../../../pipeline/proto/gen/msg_pb.ts";
import {
  BroadcastTaskSchema,
  BroadcastTaskState,
  StreamingVersionSchema,
} from "../../../pipeline/proto/gen/streaming_pb.ts";
import { decodeSnapshot } from "../../../sources/meta/snapshot.ts";
import type { MetaRecord } from "../../../sources/meta/keys.ts";
import { makeCuts } from "../../../pipeline/transforms/mod.ts";
import { binlogRecords, collectionRecord, logRecord, record, segmentRecord, VCHANNEL } from "./records_of.ts";
import { ROOTS, vectorReading, vectorRecords } from "./vectors.ts";

const VECTORS = ["meta-v22", "meta-v23", "meta-v24", "meta-v25", "meta-v26"];
const FULL = { 0: 10n, 1: 10n, 100: 10n, 101: 10n };
const decode = (...records: MetaRecord[]) => decodeSnapshot(records, { ...ROOTS, takenAtMs: 1_000_000_000 });
const damaged = (words: RegExp) => (error: unknown): boolean =>
  error instanceof TidemarkError && error.code === "damaged" && words.test(error.message);

Deno.test("decodeSnapshot does not depend on the order of the records", () => {
  fc.assert(
    fc.property(fc.constantFrom(...VECTORS), fc.infiniteStream(fc.nat()), (name, random) => {
      const shuffled = vectorRecords(name).map((entry) => ({ entry, at: random.next().value! }))
        .sort((a, b) => a.at - b.at).map(({ entry }) => entry);
      const reading = decodeSnapshot(shuffled, ROOTS);
      const expected = vectorReading(name);
      assert.deepEqual(
        reading.segments.map(({ id, class: kind, classReason }) => [id, kind, classReason]),
        expected.segments.map(({ id, class: kind, classReason }) => [id, kind, classReason]),
      );
      assert.deepEqual(reading.catalog.collections, expected.catalog.collections);
      assert.deepEqual(reading.torn, expected.torn);
    }),
    { numRuns: 20 },
  );
});

Deno.test("decodeSnapshot says damaged for values cut short, or reads what is whole; nothing else is thrown or made up", () => {
  fc.assert(
    fc.property(fc.constantFrom(...VECTORS), fc.nat(), fc.nat(), (name, which, cut) => {
      const records = vectorRecords(name);
      const victim = records[which % records.length]!;
      const cutRecord = { key: victim.key, value: victim.value.subarray(0, cut % (victim.value.length + 1)) };
      const known = new Set(vectorReading(name).allSegments.map(({ id }) => id));
      try {
        const reading = decodeSnapshot(records.map((entry) => entry === victim ? cutRecord : entry), ROOTS);
        for (const { id } of reading.allSegments) assert.ok(known.has(id));
      } catch (error) {
        assert.ok(error instanceof TidemarkError, String(error));
        assert.equal(error.code, "damaged");
        assert.match(error.message, /etcd key|collection \d+/);
      }
    }),
    { numRuns: 400 },
  );
});

Deno.test("decodeSnapshot throws nothing but damaged for values of random bytes", () => {
  fc.assert(
    fc.property(fc.constantFrom(...VECTORS), fc.nat(), fc.uint8Array({ maxLength: 40 }), (name, which, value) => {
      const records = vectorRecords(name);
      const victim = records[which % records.length]!;
      try {
        decodeSnapshot(records.map((entry) => entry === victim ? { key: victim.key, value } : entry), ROOTS);
      } catch (error) {
        assert.ok(error instanceof TidemarkError && error.code === "damaged", String(error));
      }
    }),
    { numRuns: 400 },
  );
});

Deno.test("decodeSnapshot refuses a value that belongs to another key", () => {
  assert.throws(
    () => decode(collectionRecord({}, "root-coord/collection/555")),
    damaged(/collection 100, expected 555/),
  );
  assert.throws(
    () => decode(record("root-coord/collection/abc", new Uint8Array())),
    damaged(/expected a number, found "abc"/),
  );
});

Deno.test("decodeSnapshot holds a damaged segment or channel against its collection alone", () => {
  const segment = segmentRecord(1n);
  const moved = { ...segment, key: segment.key.replace(/1$/, "2") };
  const broken = (key: string) => record(`datacoord-meta/${key}`, new Uint8Array([0x0a, 0xff]));
  const cases: [MetaRecord, RegExp][] = [
    [moved, /segment 1, expected 2/],
    [broken("s/100/101/7"), /s\/100\/101\/7 does not hold/],
    [broken("binlog/100/101/1/100"), /binlog\/100\/101\/1\/100 does not hold/],
    [broken("channel-cp/p_0_100v0"), /channel-cp\/p_0_100v0 does not hold/],
  ];
  for (const [wrong, expected] of cases) {
    const { unusable, catalog } = decode(collectionRecord(), wrong);
    assert.match(unusable!.get(100n)!, expected);
    // Where the cut is, nobody may guess.
    if (/channel/.test(wrong.key)) {
      assert.throws(() => makeCuts(decode(collectionRecord(), wrong), catalog.collections));
    }
  }
  const elsewhere = decode(collectionRecord(), broken("s/555/101/7"));
  assert.deepEqual([elsewhere.unusable!.size, elsewhere.damaged.size], [0, 1]);
  assert.throws(() => decode(collectionRecord(), broken("s/abc/101/7")), damaged(/s.abc.101.7 does not hold/));
});

Deno.test("decodeSnapshot holds a damaged part of a collection's definition against it alone, and refuses a record without a name", () => {
  const parts = ["fields/100/100", "partitions/100/101", "functions/100/1", "struct-array-fields/100/103"];
  const keys = [...parts.map((part) => `root-coord/${part}`), "field-index/100/7", "querycoord-replica/100/8"];
  for (const key of [...keys, "querycoord-collection-loadinfo/100", "querycoord-partition-loadinfo/100/101"]) {
    const { unusable, followable, damaged, catalog } = decode(
      collectionRecord(),
      record(key, new Uint8Array([0x0a, 0xff])),
    );
    assert.match(unusable!.get(100n)!, new RegExp(`${key} does not hold`));
    assert.deepEqual([followable!.size, damaged.size], [0, 1]);
    const [{ name, vchannels, pchannels, damaged: why }] = catalog.collections as [typeof catalog.collections[0]];
    assert.deepEqual([name, vchannels, pchannels, why], ["c", [VCHANNEL], ["p_0"], unusable!.get(100n)]);
  }
  const nobody = decode(collectionRecord(), record("root-coord/fields/555/100", new Uint8Array([0x0a, 0xff])));
  assert.deepEqual([nobody.unusable!.size, nobody.catalog.collections[0]!.damaged], [0, undefined]);
  assert.throws(
    () => decode(record("root-coord/collection/100", new Uint8Array([0x0a, 0xff]))),
    damaged(/collection.100 does not hold/),
  );
});

Deno.test("decodeSnapshot refuses a file without id and path, but only where it would be read", () => {
  const nameless = logRecord("binlog", 1n, 100n, [{ entriesNum: 10n }]);
  assert.match(
    decode(collectionRecord(), segmentRecord(1n), nameless).unusable!.get(100n)!,
    /neither an id nor a path/,
  );
  const { segments, unusable } = decode(collectionRecord(), segmentRecord(1n, { state: 6 }), nameless);
  assert.deepEqual(segments[0]!.binlogs[0]!.files, []);
  assert.equal(unusable!.size, 0);
});

Deno.test("decodeSnapshot holds deletes by predicate in the files against a copy of them, and lets the log be followed", () => {
  const key = "datacoord-meta/predicate-deltalog/100/101/2/predicate";
  const l0 = segmentRecord(2n, { level: 1, numOfRows: 0n });
  const full = [collectionRecord(), segmentRecord(1n), ...binlogRecords(1n, FULL), l0];
  const { unusable, followable, torn } = decode(...full, record(key, new Uint8Array([1])));
  assert.match(unusable!.get(100n)!, /Segment 2 holds deletes by predicate/);
  assert.deepEqual([[...followable!], torn], [[100n], []]);
  const dropped = segmentRecord(2n, { level: 1, numOfRows: 0n, state: 6 });
  const after = decode(...full.slice(0, -1), dropped, record(key, new Uint8Array([1])));
  assert.deepEqual([after.unusable!.size, after.followable!.size], [0, 0]);
});

Deno.test("decodeSnapshot takes an empty deltalog value as no deletes", () => {
  const empty = record("datacoord-meta/deltalog/100/101/1/0", new Uint8Array());
  const { segments, torn } = decode(collectionRecord(), segmentRecord(1n), ...binlogRecords(1n, FULL), empty);
  assert.deepEqual(segments[0]!.deltalogs, []);
  assert.deepEqual(torn, []);
});

Deno.test("decodeSnapshot makes paths from ids and sorts fields by number", () => {
  const { segments } = decode(
    collectionRecord(),
    segmentRecord(1n),
    ...binlogRecords(1n, FULL),
    logRecord("deltalog", 1n, 0n, [{ logID: 9n, logSize: 33n, timestampFrom: 4n, timestampTo: 2n ** 64n - 1n }]),
  );
  assert.deepEqual(segments[0]!.binlogs.map(({ fieldId }) => fieldId), [0n, 1n, 100n, 101n]);
  assert.equal(segments[0]!.binlogs[3]!.files[0]!.path, "insert_log/100/101/1/101/5");
  assert.deepEqual(segments[0]!.deltalogs[0]!.files[0], {
    path: "delta_log/100/101/1/9",
    logId: 9n,
    entries: 0n,
    tsFrom: 4n,
    tsTo: 2n ** 64n - 1n,
    size: 33n,
  });
});

Deno.test("decodeSnapshot skips segments of partitions that are not live", () => {
  const { segments } = decode(collectionRecord(), segmentRecord(1n, { partitionID: 999n }));
  assert.deepEqual(segments.map(({ class: kind, classReason }) => [kind, classReason]), [[
    "none",
    "its partition is not live",
  ]]);
});

Deno.test("decodeSnapshot tells a streaming node's checkpoint from one that was there before the upgrade", () => {
  const key = `${ROOTS.metaRoot}/datacoord-meta/channel-cp/${VCHANNEL}`;
  const checkpoint = (modRevision: bigint | undefined, wal = WALName.Unknown): MetaRecord => ({
    key,
    value: toBinary(
      MsgPositionSchema,
      create(MsgPositionSchema, { channelName: VCHANNEL, msgID: new Uint8Array(8), timestamp: 400n, WALName: wal }),
    ),
    ...modRevision === undefined ? {} : { modRevision },
  });
  const version = {
    ...record(
      "streamingcoord-meta/version",
      toBinary(StreamingVersionSchema, create(StreamingVersionSchema, { version: 2n })),
    ),
    createRevision: 50n,
    modRevision: 90n,
  };
  const isStreamed = (...records: MetaRecord[]) =>
    decode(collectionRecord(), ...records).checkpoints.get(VCHANNEL)!.streamed ?? false;
  assert.equal(isStreamed(checkpoint(40n)), false);
  assert.equal(isStreamed(version, checkpoint(40n)), false);
  // It was written again after the node began: the version's own last change does not count.
  assert.equal(isStreamed(version, checkpoint(60n)), true);
  assert.equal(isStreamed(checkpoint(60n), version), true, "in any order");
  assert.equal(isStreamed(version, checkpoint(undefined)), true, "a file of records has no revisions");
  // From 2.6.8 on it says whose place it is.
  assert.equal(isStreamed(version, checkpoint(40n, WALName.Kafka)), true);
});

Deno.test("decodeSnapshot keeps checkpoints of dropped collections out, as 2.3.5 leaves them unmarked", () => {
  const cp = vectorRecords("meta-v23").find(({ key }) => key.includes("channel-cp/"))!;
  const key = `${ROOTS.metaRoot}/datacoord-meta/channel-cp/p_0_100v0`;
  const live = decode(collectionRecord(), { key, value: cp.value });
  assert.equal(live.checkpoints.size, 1);
  const gone = decode(collectionRecord({ state: 2 }), { key, value: cp.value });
  assert.equal(gone.checkpoints.size, 0);
  assert.deepEqual(gone.droppedChannels, ["p_0_100v0"]);
});

Deno.test("decodeSnapshot names what destroys rows and has not reached every channel yet", () => {
  const task = (id: bigint, type: number, state: BroadcastTaskState): MetaRecord => ({
    key: `${ROOTS.metaRoot}/streamingcoord-meta/broadcast-task/${id}`,
    value: toBinary(
      BroadcastTaskSchema,
      create(BroadcastTaskSchema, {
        state,
        message: { properties: { _t: String(type), _h: type === 38 ? "EGQ=" : "CGQ=" } },
      }),
    ),
  });
  const { PENDING, TOMBSTONE } = BroadcastTaskState;
  const { unsettled } = decodeSnapshot([
    ...vectorRecords("meta-v26"),
    task(901n, 38, PENDING),
    task(902n, 38, TOMBSTONE),
    task(903n, 8, PENDING),
    task(904n, 13, PENDING),
  ], ROOTS);
  assert.deepEqual(unsettled?.filter(({ broadcastId }) => broadcastId > 900n && broadcastId < 905n), [
    { broadcastId: 901n, collectionId: 100n, typeName: "TruncateCollection" },
    { broadcastId: 903n, collectionId: 100n, typeName: "DropPartition" },
  ]);
});
