import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { TidemarkError } from "../../../pipeline/errors.ts";
import type { Collection, ImportTask, LogFile, Segment, Snapshot } from "../../../pipeline/model/mod.ts";
import { ConsistencyLevel } from "../../../pipeline/proto/gen/common_pb.ts";
import { CollectionSchemaSchema } from "../../../pipeline/proto/gen/schema_pb.ts";
import { deleteHorizon, firstExactTs, importGate, liveSegments, makeCuts } from "../../../pipeline/transforms/mod.ts";
import { segmentOf } from "../../fakes/segment.ts";

const collection: Collection = {
  id: 1n,
  dbId: 1n,
  dbName: "default",
  name: "c",
  schema: create(CollectionSchemaSchema),
  shards: 2,
  vchannels: ["a_1v0", "b_1v1"],
  pchannels: ["a", "b"],
  startOffsets: new Map([["a", 10n], ["b", 20n]]),
  createTs: 100n,
  consistency: ConsistencyLevel.Strong,
  properties: {},
  partitions: [{ id: 5n, name: "_default", createTs: 100n }],
  aliases: [],
  indexes: [],
  load: undefined,
};

function file(tsTo: bigint): LogFile {
  return { path: "x", logId: 1n, entries: 1n, tsFrom: tsTo, tsTo, size: 1n };
}

function segment(id: bigint, change: Partial<Segment> = {}): Segment {
  return segmentOf({
    id,
    collectionId: 1n,
    partitionId: 5n,
    vchannel: "a_1v0",
    rows: 1n,
    startPosition: { channel: "a", offset: 50n, ts: 200n },
    binlogs: [{ fieldId: 100n, childFields: [], files: [file(300n)] }],
    ...change,
  });
}

function snapshot(change: Partial<Snapshot> = {}): Snapshot {
  return {
    revision: 1n,
    clusterId: "1",
    catalog: {
      databases: [],
      collections: [collection],
      rbac: { users: [], roles: [], grants: [], privilegeGroups: [] },
      notLive: [],
    },
    segments: [],
    checkpoints: new Map([["a_1v0", { channel: "a_1v0", offset: 70n, ts: 400n }]]),
    droppedChannels: [],
    imports: [],
    serverVersion: "2.3.5",
    takenAtMs: 0,
    ...change,
  };
}

function failsWith(code: string): (error: unknown) => boolean {
  return (error) => error instanceof TidemarkError && error.code === code;
}

Deno.test("makeCuts leaves to the log what has the time of a streaming node's checkpoint: it may be in memory only", () => {
  const cutOf = (change: Partial<Snapshot>) =>
    makeCuts(snapshot(change), [{ ...collection, vchannels: ["a_1v0"] }])[0]!;
  const checkpoint = (ts: bigint) => new Map([["a_1v0", { channel: "a_1v0", offset: 70n, streamed: true, ts }]]);
  assert.deepEqual(cutOf({}).ts, 400n);
  assert.deepEqual(cutOf({ checkpoints: checkpoint(400n) }), { ...cutOf({}), ts: 399n });
  // Nothing is older than the collection.
  assert.equal(cutOf({ checkpoints: checkpoint(100n) }).ts, 100n);
});

Deno.test("importGate waits for a streaming node's checkpoint until it is later than the import's rows, as the cut is", () => {
  const task: ImportTask = { id: 9n, collectionId: 1n, state: "completed", segmentIds: [7n], rows: 1n };
  const imported = segment(7n, { startPosition: { channel: "a", offset: 50n, ts: 400n }, commitTimestamp: 400n });
  const waits = (change: Partial<Snapshot>) =>
    importGate(snapshot({ segments: [imported], imports: [task], ...change }), [collection]).length;
  const checkpoints = new Map([...snapshot().checkpoints].map(([name, at]) => [name, { ...at, streamed: true }]));
  assert.deepEqual([waits({}), waits({ checkpoints })], [0, 1]);
});

Deno.test("makeCuts takes the checkpoint, or the creation where there is none yet", () => {
  assert.deepEqual(makeCuts(snapshot(), [collection]), [
    { vchannel: "a_1v0", pchannel: "a", collectionId: 1n, offset: 70n, ts: 400n },
    { vchannel: "b_1v1", pchannel: "b", collectionId: 1n, offset: 20n, ts: 100n },
  ]);
});

Deno.test("makeCuts lets a channel begin at its last truncation, which left nothing of before", () => {
  const truncated = new Map([["a_1v0", 500n], ["b_1v1", 50n]]);
  assert.deepEqual(makeCuts(snapshot(), [{ ...collection, truncated }]).map(({ offset, ts }) => [offset, ts]), [
    [70n, 500n],
    [20n, 100n],
  ]);
});

Deno.test("makeCuts refuses what gives no cut", () => {
  const foreign = new Map([["a_1v0", { channel: "a_1v0", offset: undefined, ts: 400n }]]);
  assert.throws(() => makeCuts(snapshot({ checkpoints: foreign }), [collection]), failsWith("unsupported"));
  assert.throws(() => makeCuts(snapshot({ droppedChannels: ["b_1v1"] }), [collection]), failsWith("torn"));
  assert.throws(() => makeCuts(snapshot(), [{ ...collection, startOffsets: new Map() }]), failsWith("damaged"));
  assert.throws(() => makeCuts(snapshot(), [{ ...collection, pchannels: ["a"] }]), failsWith("damaged"));
});

Deno.test("liveSegments takes segments with rows of live partitions and finished imports", () => {
  const task: ImportTask = { id: 9n, collectionId: 1n, state: "persisted", segmentIds: [6n], rows: 1n };
  const segments = [
    segment(1n),
    segment(2n, { class: "none" }),
    segment(3n, { partitionId: 6n }),
    segment(4n, { binlogs: [] }),
    segment(5n, { collectionId: 2n }),
    segment(6n),
    segment(7n, { vchannel: "other_1v0" }),
  ];
  const ids = (state: ImportTask["state"]) =>
    liveSegments(snapshot({ segments, imports: [{ ...task, state }] }), collection).map((item) => item.id);
  assert.deepEqual(ids("persisted"), [1n]);
  assert.deepEqual(ids("completed"), [1n, 6n]);
});

Deno.test("deleteHorizon is the smallest start per vchannel, the creation where a segment does not say", () => {
  const early = segment(2n, { startPosition: { channel: "a", offset: 40n, ts: 1n } });
  const other = segment(3n, { vchannel: "b_1v1", startPosition: undefined });
  const dropped = segment(4n, { class: "none", startPosition: { channel: "a", offset: 1n, ts: 1n } });
  const horizon = deleteHorizon(snapshot({ segments: [segment(1n), early, other, dropped] }), collection);
  assert.deepEqual(horizon, new Map([["a_1v0", 40n], ["b_1v1", 20n]]));
  assert.deepEqual(deleteHorizon(snapshot(), collection), new Map());
});

Deno.test("firstExactTs is the last of cuts and logs, dropped segments' delta logs too", () => {
  assert.equal(firstExactTs(snapshot({ segments: [segment(1n)] })), 400n);
  const dropped = segment(2n, { class: "none", deltalogs: [{ fieldId: 0n, childFields: [], files: [file(900n)] }] });
  assert.equal(firstExactTs(snapshot({ segments: [segment(1n), dropped] })), 900n);
  assert.equal(firstExactTs(snapshot({ segments: [dropped] }), []), 0n);
});

Deno.test("importGate blocks while an import runs and while its rows are ahead of the checkpoint", () => {
  const task = (state: ImportTask["state"], id = 9n): ImportTask => ({
    id,
    collectionId: 1n,
    state,
    segmentIds: [1n],
    rows: 1n,
  });
  const reasons = (imports: ImportTask[], own: Segment) =>
    importGate(snapshot({ imports, segments: [own] }), [collection]).map((block) => block.reason);
  assert.deepEqual(reasons([task("pending"), task("persisted"), task("other")], segment(1n)), [
    "running",
    "running",
    "running",
  ]);
  assert.deepEqual(reasons([task("failed"), task("completed")], segment(1n)), []);
  const ahead = { startPosition: { channel: "a", offset: 50n, ts: 401n } };
  assert.deepEqual(reasons([task("completed")], segment(1n, ahead)), ["ahead"]);
  // Replaced by a compaction: its own record still says when it came.
  assert.deepEqual(reasons([task("completed")], segment(1n, { ...ahead, class: "none", state: "dropped" })), ["ahead"]);
  assert.deepEqual(reasons([task("completed")], segment(2n, ahead)), []);
  assert.deepEqual(importGate(snapshot({ imports: [task("pending")] }), []), []);
});
