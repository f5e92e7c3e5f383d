/** A base that knows the deletes up to its cut: from where the log is read for the next one, and when it is not believed. */
import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { TidemarkError } from "../../../../pipeline/errors.ts";
import { readForgotten, statesOf } from "../../../../pipeline/flow/archive/known.ts";
import type {
  BackupSession,
  BinlogSource,
  Collection,
  DeleteMark,
  ImportTask,
  Segment,
  Snapshot,
} from "../../../../pipeline/model/mod.ts";
import { MsgType } from "../../../../pipeline/proto/gen/common_pb.ts";
import { DeleteRequestSchema, TimeTickMsgSchema } from "../../../../pipeline/proto/gen/msg_pb.ts";
import { followPchannel } from "../../../../sources/log/mod.ts";
import { collection as exampleCollection, segment as exampleSegment } from "../../../conformance/archive_sink.ts";
import { FakeLog } from "../../../fakes/log.ts";

const never = new AbortController().signal;
const PCHANNEL = "dml_0";
const VCHANNEL = "dml_0_7v0";
const COLLECTION: Collection = { ...exampleCollection(), id: 7n, vchannels: [VCHANNEL], pchannels: [PCHANNEL] };

function segmentOf(id: bigint, deltaLogs: readonly bigint[] = []): Segment {
  const files = deltaLogs.map((logId) => ({ path: "", logId, entries: 1n, tsFrom: 0n, tsTo: 0n, size: 1n }));
  const deltalogs = [{ fieldId: 0n, childFields: [], files }];
  return { ...exampleSegment(id), collectionId: 7n, vchannel: VCHANNEL, deltalogs };
}

function snapshotOf(segments: readonly Segment[], imports: readonly ImportTask[] = []): Snapshot {
  return {
    revision: 1n,
    clusterId: "1",
    catalog: {
      databases: [],
      collections: [COLLECTION],
      rbac: { users: [], roles: [], grants: [], privilegeGroups: [] },
      notLive: [],
    },
    segments,
    checkpoints: new Map(),
    droppedChannels: [],
    imports,
    serverVersion: "2.3.5",
    takenAtMs: 0,
  };
}

function remove(key: bigint, ts: bigint): { value: Uint8Array } {
  const message = create(DeleteRequestSchema, {
    base: { msgType: MsgType.Delete, timestamp: ts },
    shardName: VCHANNEL,
    collectionID: 7n,
    partitionID: -1n,
    numRows: 1n,
    primaryKeys: { idField: { case: "intId", value: { data: [key] } } },
    timestamps: [ts],
  });
  return { value: toBinary(DeleteRequestSchema, message) };
}

function tick(ts: bigint): { value: Uint8Array } {
  const base = { msgType: MsgType.TimeTick, timestamp: ts };
  return { value: toBinary(TimeTickMsgSchema, create(TimeTickMsgSchema, { base })) };
}

/** A log of deletes 1 (offset 0) to 4 (offset 6), a tick behind each; the new cut is behind them all. */
async function logOf(): Promise<{ log: FakeLog; topicId: string }> {
  const log = new FakeLog();
  log.createTopic(PCHANNEL);
  for (const key of [1n, 2n, 3n, 4n]) log.append(PCHANNEL, [remove(key, key * 10n), tick(key * 10n + 5n)]);
  return { log, topicId: (await log.bounds(PCHANNEL, never)).topicId };
}

const DEMAND = {
  cut: { vchannel: VCHANNEL, pchannel: PCHANNEL, collectionId: 7n, offset: 8n, ts: 45n },
  horizon: 0n as bigint | undefined,
};

interface Before {
  readonly topicId: string;
  readonly offset?: bigint;
  readonly ts?: bigint;
  readonly collectionId?: bigint;
  /** Segment and number of each of its delta logs. */
  readonly logs?: readonly (readonly [bigint, bigint])[];
  /** Numbers of those that it wrote itself. */
  readonly own?: readonly bigint[];
  readonly broken?: TidemarkError;
}

/** The base before had its cut at offset 4, after deletes 1 and 2; each of its delta logs deletes the key of its number. */
async function forgotten(log: FakeLog, snapshot: Snapshot, before: Before | undefined, demand = DEMAND) {
  const read: string[] = [];
  const warnings: string[] = [];
  const starts: bigint[] = [];
  const binlogs = {
    async *deletesIn(bytes: Uint8Array): AsyncIterable<DeleteMark> {
      yield { partitionId: 2n, keys: { kind: "int64", values: [BigInt(bytes[0]!)] }, timestamps: [1n] };
    },
  } as Partial<BinlogSource> as BinlogSource;
  const previous: BackupSession["previous"] = before && {
    name: "older",
    known: [{
      vchannel: VCHANNEL,
      pchannel: PCHANNEL,
      collectionId: before.collectionId ?? 7n,
      offset: before.offset ?? 4n,
      ts: before.ts ?? 25n,
      topicId: before.topicId,
    }],
    deltaLogs: () =>
      (before.logs ?? [[11n, 1n], [11n, 2n]]).map(([segmentId, logId]) => ({
        path: `delta_log/7/2/${segmentId}/${logId}`,
        segmentId,
        logId,
        own: before.own?.includes(logId) ?? false,
        read() {
          if (before.broken !== undefined) return Promise.reject(before.broken);
          read.push(`${segmentId}/${logId}`);
          return Promise.resolve(new Uint8Array([Number(logId)]));
        },
      })),
  };
  const deps = {
    log,
    binlogs,
    baseDeletes: "log_and_files" as const,
    follow: (request: Parameters<typeof followPchannel>[1], signal: AbortSignal) => {
      starts.push(request.from.offset);
      return followPchannel(log, request, signal);
    },
    report: {
      warn: (_key: string, message: string) => void warnings.push(message),
      info: () => {},
      ddl: () => {},
      blocked: () => {},
    },
  };
  const found = await readForgotten(deps, { previous }, snapshot, [demand], never);
  const keys = (found.marks.get(VCHANNEL) ?? []).flatMap(({ keys }) => [...keys.values].map(Number));
  return { found, keys: keys.sort(), read, warnings, starts };
}

const ALL = [1, 2, 3, 4];

Deno.test("readForgotten reads the log from the older base's cut on, and the older base's delta logs", async () => {
  const { log, topicId } = await logOf();
  const { keys, starts, read, warnings } = await forgotten(log, snapshotOf([segmentOf(12n)]), { topicId });
  assert.deepEqual([keys, starts, read, warnings], [ALL, [4n], ["11/1", "11/2"], []]);
});

Deno.test("readForgotten does not read delta logs that their segment still names", async () => {
  const { log, topicId } = await logOf();
  const logs = [[11n, 1n], [11n, 2n], [12n, 1n], [13n, 9n]] as const;
  const snapshot = snapshotOf([segmentOf(11n, [2n]), segmentOf(12n)]);
  const { keys, read } = await forgotten(log, snapshot, { topicId, logs });
  assert.deepEqual([keys, read], [[1, 1, 3, 4, 9], ["11/1", "12/1", "13/9"]]);
  // One that the older base wrote itself may have the number of a log of the source's by now: it is another.
  const own = await forgotten(log, snapshot, { topicId, logs, own: [2n] });
  assert.deepEqual([own.keys, own.read], [[1, 1, 2, 3, 4, 9], ["11/1", "11/2", "12/1", "13/9"]]);
});

Deno.test("readForgotten reads the whole log where there is no older base, or its word does not count", async () => {
  const { log, topicId } = await logOf();
  const cases: [string, Before | undefined][] = [
    ["none", undefined],
    ["a topic made anew", { topicId: "another" }],
    ["a cut behind this one", { topicId, offset: 9n }],
    ["a later cut", { topicId, ts: 46n }],
    ["another collection's channel", { topicId, collectionId: 8n }],
  ];
  for (const [what, before] of cases) {
    const { keys, starts, warnings } = await forgotten(log, snapshotOf([segmentOf(12n)]), before);
    assert.deepEqual([keys, starts, warnings], [ALL, [0n], []], what);
  }
  // The rows are younger than the older base.
  const young = await forgotten(log, snapshotOf([segmentOf(12n)]), { topicId }, { ...DEMAND, horizon: 5n });
  assert.deepEqual([young.keys, young.starts, young.read], [[4], [5n], []]);
});

Deno.test("readForgotten reads the whole log, and says so, where the older base is damaged or gone", async () => {
  const { log, topicId } = await logOf();
  for (const code of ["damaged", "not_found"] as const) {
    const broken = new TidemarkError(code, "no such log");
    const { keys, starts, warnings } = await forgotten(log, snapshotOf([segmentOf(12n)]), { topicId, broken });
    assert.deepEqual([keys, starts], [ALL, [0n]]);
    assert.match(warnings.join(), /whole log is searched .* backup older cannot be read: no such log/);
  }
  const away = new TidemarkError("unreachable", "no answer", { retriable: true });
  await assert.rejects(forgotten(log, snapshotOf([segmentOf(12n)]), { topicId, broken: away }), {
    code: "unreachable",
  });
});

Deno.test("readForgotten says where the log no longer reaches back to the older base's cut", async () => {
  const { log, topicId } = await logOf();
  log.deleteRecords(PCHANNEL, 4n);
  const reaches = await forgotten(log, snapshotOf([segmentOf(12n)]), { topicId });
  assert.deepEqual([reaches.keys, reaches.found.beyondLog], [ALL, []]);
  log.deleteRecords(PCHANNEL, 6n);
  const beyond = await forgotten(log, snapshotOf([segmentOf(12n)]), { topicId });
  assert.deepEqual([beyond.keys, beyond.found.beyondLog], [[1, 2, 4], [VCHANNEL]]);
});

Deno.test("statesOf states nothing of a collection into which an import is under way, or whose log was not read", () => {
  const cut = DEMAND.cut;
  const topics = new Map([[VCHANNEL, "t"]]);
  const task = { id: 1n, collectionId: 7n, segmentIds: [], rows: 1n };
  const states = (snapshot: Snapshot, read = topics) => statesOf(snapshot, COLLECTION, [cut], read);
  const known = [{ vchannel: VCHANNEL, topicId: "t" }];
  assert.deepEqual(states(snapshotOf([segmentOf(1n)])), known);
  for (const state of ["completed", "failed"] as const) {
    assert.deepEqual(states(snapshotOf([], [{ ...task, state }])), known, state);
  }
  assert.deepEqual(states(snapshotOf([], [{ ...task, state: "pending", collectionId: 8n }])), known);
  for (const state of ["pending", "persisted", "other"] as const) {
    assert.deepEqual(states(snapshotOf([], [{ ...task, state }])), [], state);
  }
  assert.deepEqual(states(snapshotOf([{ ...segmentOf(1n), isImporting: true }])), []);
  assert.deepEqual(states(snapshotOf([{ ...segmentOf(1n), state: "importing" }])), []);
  assert.deepEqual(states(snapshotOf([]), new Map()), []);
  assert.deepEqual(states(snapshotOf([]), new Map([[VCHANNEL, ""]])), []);
});
