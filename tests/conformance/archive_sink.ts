/** What every place that a backup is written to must keep of the contract of ArchiveSink. */
import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import {
  type ArchivedRecord,
  type ArchiveSink,
  type BackupSession,
  type BaseFacts,
  type Collection,
  type Cut,
  hybridFromMs,
  type LogFile,
  type ObjectStore,
  type Segment,
} from "../../pipeline/model/mod.ts";
import { ConsistencyLevel } from "../../pipeline/proto/gen/common_pb.ts";
import { CollectionSchemaSchema, DataType, FieldSchemaSchema } from "../../pipeline/proto/gen/schema_pb.ts";
import { backupSinkSpec, createBackupSink } from "../../sinks/backup/mod.ts";
import {
  applyPrune,
  catalogAt,
  createArchiveLog,
  listBackups,
  openBackupSource,
  planPrune,
  readBackup,
  verifyBackup,
} from "../../sources/backup/mod.ts";
import { createMemoryStore, readAlterations, readCatalogJournal, readDrops } from "../../stores/mod.ts";
import { segmentOf } from "../fakes/segment.ts";

export interface ArchiveSinkHarness {
  /** A fresh, empty place; the same one on each call of `open`. */
  store(): Promise<{ open(): Promise<ObjectStore> } & AsyncDisposable>;
}

const PCHANNEL = "by-dev-rootcoord-dml_0";
const VCHANNEL = `${PCHANNEL}_470597784452279572v0`;
const signal = new AbortController().signal;
const T0 = 470597853918265344n;

export const CUT: Cut = {
  vchannel: VCHANNEL,
  pchannel: PCHANNEL,
  collectionId: 470597784452279572n,
  offset: 100n,
  ts: T0,
};

export function collection(): Collection {
  return {
    id: CUT.collectionId,
    dbId: 1n,
    dbName: "default",
    name: "c",
    schema: create(CollectionSchemaSchema, {
      name: "c",
      fields: [
        create(FieldSchemaSchema, { fieldID: 100n, name: "pk", isPrimaryKey: true, dataType: DataType.Int64 }),
      ],
    }),
    shards: 1,
    vchannels: [VCHANNEL],
    pchannels: [PCHANNEL],
    startOffsets: new Map([[PCHANNEL, 7n]]),
    createTs: T0 - 1000n,
    consistency: ConsistencyLevel.Bounded,
    properties: { "collection.ttl.seconds": "60" },
    partitions: [{ id: 2n, name: "_default", createTs: 0n }],
    aliases: ["a"],
    indexes: [],
    load: undefined,
  };
}

export function facts(cuts: readonly Cut[] = [CUT]): BaseFacts {
  return {
    revision: 5n,
    clusterId: "14841639068965178418",
    serverVersion: "2.3.5",
    takenAtMs: 1_795_188_355_000,
    catalog: {
      databases: [{ id: 1n, name: "default", createTs: 0n, properties: { "database.x": "1" } }],
      collections: [collection()],
      rbac: { users: [], roles: [], grants: [], privilegeGroups: [] },
      notLive: [],
    },
    cuts,
    exactFrom: T0,
    collectionIds: [CUT.collectionId],
    findings: [],
    knownDeletes: [],
  };
}

/** A segment of two fields with one file each, and its objects in a store of their own. */
export function segment(id: bigint): Segment {
  const file = (logId: bigint, path: string): LogFile => ({ path, logId, entries: 3n, tsFrom: T0, tsTo: T0, size: 0n });
  const folder = `${CUT.collectionId}/2/${id}`;
  return segmentOf({
    id,
    collectionId: CUT.collectionId,
    partitionId: 2n,
    vchannel: VCHANNEL,
    level: 2,
    rows: 3n,
    binlogs: [100n, 1n].map((fieldId) => ({
      fieldId,
      childFields: [],
      files: [file(id * 10n + fieldId, `insert_log/${folder}/${fieldId}/${id * 10n + fieldId}`)],
    })),
    deltalogs: [{ fieldId: 0n, childFields: [], files: [file(id * 10n + 9n, `delta_log/${folder}/${id * 10n + 9n}`)] }],
    classReason: "",
  });
}

export async function sourceStore(segments: readonly Segment[]) {
  const store = createMemoryStore({ name: "source" });
  for (const { binlogs, deltalogs } of segments) {
    for (const { path } of [...binlogs, ...deltalogs].flatMap(({ files }) => files)) {
      await store.put(`files/${path}`, new TextEncoder().encode(`content of ${path}`));
    }
  }
  const reads: string[] = [];
  const counting: ObjectStore = {
    ...store,
    get: (key, range, signal) => {
      reads.push(key);
      return store.get(key, range, signal);
    },
  };
  return { store, reads, object: (file: LogFile) => ({ store: counting, key: `files/${file.path}` }) };
}

export function records(from: bigint, count: number, ts = T0): ArchivedRecord[] {
  return Array.from({ length: count }, (_, i) => ({
    record: {
      topic: PCHANNEL,
      offset: from + BigInt(i),
      timestampMs: 1_795_188_355_000n + BigInt(i),
      headers: i % 2 === 0 ? [] : [["h", new Uint8Array([i % 256])] as const],
      value: i % 5 === 0 ? null : new TextEncoder().encode(`record ${from + BigInt(i)}`),
    },
    ts: ts + BigInt(i),
    vchannel: i % 3 === 0 ? "" : VCHANNEL,
    type: i % 3 === 0 ? "tick" : "insert",
  }));
}

export function sinkOn(
  store: ObjectStore,
  options: { name?: string; now?: () => number; roll?: Record<string, string>; storageFormat?: "source" | "v2" } = {},
): ArchiveSink {
  const config = backupSinkSpec.parse({
    type: "backup",
    name: options.name ?? "b",
    storage: { type: "file", path: "/nowhere" },
    roll: options.roll ?? {},
    ...(options.storageFormat === undefined ? {} : { storage_format: options.storageFormat }),
  });
  return createBackupSink(config, {
    name: "b",
    store,
    pipeline: "p",
    program: "tidemark test",
    now: options.now ?? Date.now,
    uuid: () => "7b01d22c-4480-495d-a0ee-d5bc66519e08",
  });
}

const open = (sink: ArchiveSink, resume?: string, previous?: string): Promise<BackupSession> =>
  sink.open({ resume, previous, nowMs: 1_795_188_400_000 }, signal);

export async function readLog(store: ObjectStore, name: string, from: bigint) {
  const offsets: bigint[] = [];
  for await (
    const { records } of createArchiveLog({ store, name, queue: "kafka" }).tail(PCHANNEL, from, undefined, signal)
  ) {
    offsets.push(...records.map(({ offset }) => offset));
  }
  return offsets;
}

const range = (from: bigint, to: bigint) => Array.from({ length: Number(to - from) }, (_, i) => from + BigInt(i));

export function testArchiveSink(name: string, harness: ArchiveSinkHarness): void {
  const test = (sentence: string, body: (open: () => Promise<ObjectStore>) => Promise<void>) =>
    Deno.test(`${name}: ${sentence}`, async () => {
      await using place = await harness.store();
      await body(() => place.open());
    });

  test("a base is a backup that verifies, lists and reads back as it was", async (store) => {
    const to = await store();
    const segments = [segment(11n), segment(12n)];
    const { object } = await sourceStore(segments);
    const sink = sinkOn(to);
    strictEqual((await sink.check(signal))[0]!.ok, "ok");
    const session = await open(sink);
    await session.begin(facts(), signal);
    for (const item of segments) await session.copySegment(item, object, [], signal);
    const { objects } = await session.finishBase([{ collection: collection(), segmentIds: [11n, 12n] }], [], signal);
    strictEqual(objects, 6 + 5);
    await session.appendLog(PCHANNEL, records(100n, 3), { offset: 103n, tick: T0 + 2n }, signal);
    await session.flushLog(signal);
    const report = await verifyBackup(to, "b");
    deepStrictEqual([report.ok, report.findings, report.found], [true, [], 12]);
    const [listed] = await listBackups(to);
    deepStrictEqual([listed?.state, listed?.madeBy, listed?.rows, listed?.collections], [
      "complete",
      "tidemark",
      6n,
      1,
    ]);
    const { meta, manifest } = await readBackup(to, "b");
    deepStrictEqual(manifest?.cuts, [CUT]);
    deepStrictEqual(meta.collections[0]!.collection, collection());
    deepStrictEqual(meta.databases[0]!.properties, { "database.x": "1" });
    await session.close();
    await sink.close();
  });

  test("the next base reads of a base what it knows of deletes, and notices damage", async (store) => {
    const place = await store();
    const { object } = await sourceStore([segment(11n)]);
    const sink = sinkOn(place);
    const first = await open(sink);
    strictEqual(first.previous, undefined);
    const known = [{ vchannel: VCHANNEL, topicId: "topic" }];
    await first.begin(facts(), signal);
    const forgotten = { partitionId: 2n, keys: { kind: "int64", values: [5n] }, timestamps: [T0] } as const;
    await first.copySegment(segment(11n), object, [forgotten], signal);
    await first.begin({ ...facts(), knownDeletes: known }, signal);
    await first.finishBase([{ collection: collection(), segmentIds: [11n] }], [], signal);
    await first.close();
    const second = await sinkOn(place, { name: "c" }).open({ resume: undefined, previous: "b", nowMs: 0 }, signal);
    deepStrictEqual([second.previous?.name, second.previous?.known], ["b", [{ ...CUT, topicId: "topic" }]]);
    const logs = second.previous!.deltaLogs(CUT.collectionId);
    const { objects } = (await readBackup(place, "b")).manifest!;
    const written = objects.filter(({ path }) => path.startsWith("binlogs/delta_log/"));
    ok(written.length > 0);
    strictEqual(logs.length, written.length);
    strictEqual(logs.filter(({ own }) => own).length, 1);
    for (const [i, log] of logs.entries()) {
      match(log.path, new RegExp(`^delta_log/${CUT.collectionId}/2/11/${log.logId}$`));
      strictEqual(log.segmentId, 11n);
      strictEqual(log.own, (await readBackup(place, "b")).manifest!.ownDeltas.includes(written[i]!.path));
      const key = `b/${written[i]!.path}`;
      const bytes = await place.get(key);
      deepStrictEqual(await log.read(signal), bytes);
      await place.put(key, bytes.slice(1));
      await rejects(log.read(signal), { code: "damaged", message: /is not as backup b was written/ });
      await place.delete([key]);
      await rejects(log.read(signal), { code: "not_found" });
    }
    deepStrictEqual(second.previous!.deltaLogs(CUT.collectionId + 1n), []);
    await second.close();
  });

  test("a killed base goes on without copying an object twice", async (store) => {
    const segments = [segment(11n), segment(12n)];
    const { object, reads } = await sourceStore(segments);
    const first = await open(sinkOn(await store()));
    await first.begin(facts(), signal);
    await first.copySegment(segments[0]!, object, [], signal);
    const copied = reads.length;
    // No close: the process is gone, and with it what the ledger had not written yet.
    const second = await open(sinkOn(await store()), "b");
    strictEqual(second.base, "partial");
    await second.begin(facts(), signal);
    const again = await second.copySegment(segments[0]!, object, [], signal);
    deepStrictEqual([again.files, again.presentFiles, reads.length], [3, 3, copied]);
    await second.copySegment(segments[1]!, object, [], signal);
    await second.finishBase([{ collection: collection(), segmentIds: [11n, 12n] }], [], signal);
    ok((await verifyBackup(await store(), "b")).findings.every(({ kind }) => kind === "delayed"));
  });

  test("files of a segment that was compacted meanwhile are removed, not restored", async (store) => {
    const segments = [segment(11n), segment(12n)];
    const { object } = await sourceStore(segments);
    const session = await open(sinkOn(await store()));
    await session.begin(facts(), signal);
    for (const item of segments) await session.copySegment(item, object, [], signal);
    const { removed } = await session.finishBase([{ collection: collection(), segmentIds: [12n] }], [], signal);
    strictEqual(removed.length, 3);
    const { findings } = await verifyBackup(await store(), "b");
    deepStrictEqual(findings.filter(({ kind }) => kind === "surplus"), []);
  });

  test("a file that has gone is not_found with segment and file, never skipped", async (store) => {
    const item = segment(11n);
    const source = await sourceStore([item]);
    await source.store.delete([`files/${item.binlogs[0]!.files[0]!.path}`]);
    const session = await open(sinkOn(await store()));
    await session.begin(facts(), signal);
    await rejects(session.copySegment(item, source.object, [], signal), { code: "not_found", message: /segment 11/ });
    await rejects(session.finishBase([{ collection: collection(), segmentIds: [11n] }], [], signal), {
      code: "damaged",
    });
    strictEqual((await listBackups(await store()))[0]?.state ?? "half-written", "half-written");
  });

  test("forgotten deletes become a delta log of our own in the segment's folder", async (store) => {
    const item = segment(11n);
    const { object } = await sourceStore([item]);
    const session = await open(sinkOn(await store()));
    await session.begin(facts(), signal);
    const forgotten = [{ partitionId: 2n, keys: { kind: "int64" as const, values: [1n, 2n] }, timestamps: [T0, T0] }];
    strictEqual((await session.copySegment(item, object, forgotten, signal)).ownDeletes, 2);
    await session.finishBase([{ collection: collection(), segmentIds: [11n] }], [], signal);
    const { meta, manifest } = await readBackup(await store(), "b");
    strictEqual(meta.collections[0]!.segments[0]!.deltalogs[0]!.files.length, 2);
    strictEqual(manifest!.ownDeltas.length, 1);
  });

  test("a name that is taken is refused, a complete base is not begun again", async (store) => {
    const item = segment(11n);
    const { object } = await sourceStore([item]);
    const session = await open(sinkOn(await store()));
    await session.begin(facts(), signal);
    await session.copySegment(item, object, [], signal);
    await session.finishBase([{ collection: collection(), segmentIds: [11n] }], [], signal);
    await rejects(open(sinkOn(await store())), { code: "target_not_empty" });
    const resumed = await open(sinkOn(await store()), "b");
    strictEqual(resumed.base, "complete");
    await rejects(resumed.begin(facts(), signal), { code: "target_not_empty" });
  });

  test("the archive is durable when its file is closed, and resumes where it ends", async (store) => {
    const session = await open(sinkOn(await store()));
    await session.begin(facts(), signal);
    deepStrictEqual(await session.progress(PCHANNEL, signal), { sequence: 0n, lastOffset: -1n, resume: undefined });
    strictEqual(session.isDurable(PCHANNEL), true);
    await session.appendLog(PCHANNEL, records(100n, 10), { offset: 108n, tick: T0 + 9n }, signal);
    strictEqual(session.durable(PCHANNEL), undefined);
    strictEqual(session.isDurable(PCHANNEL), false);
    await session.flushLog(signal);
    deepStrictEqual(session.durable(PCHANNEL), { offset: 108n, tick: T0 + 9n });
    await session.appendLog(PCHANNEL, [], { offset: 109n, tick: T0 + 12n }, signal);
    strictEqual(session.isDurable(PCHANNEL), true);
    await session.appendLog(PCHANNEL, records(110n, 5), { offset: 115n, tick: T0 + 20n }, signal);
    // Killed: 110 to 114 are lost with the process and come again from the queue, from the resume point on.
    const next = await open(sinkOn(await store()), "b");
    await next.begin(facts(), signal);
    deepStrictEqual(await next.progress(PCHANNEL, signal), {
      sequence: 1n,
      lastOffset: 109n,
      resume: { offset: 108n, tick: T0 + 9n },
    });
    await next.appendLog(PCHANNEL, records(108n, 12), { offset: 120n, tick: T0 + 30n }, signal);
    await next.flushLog(signal);
    deepStrictEqual(await readLog(await store(), "b", 100n), range(100n, 120n));
    deepStrictEqual(await readLog(await store(), "b", 113n), range(113n, 120n));
  });

  test("archive files close by size, by age, and when all together hold too much memory", async (store) => {
    let now = 0;
    const session = await open(
      sinkOn(await store(), { now: () => now, roll: { size: "64KiB", age: "10s", memory: "1MiB" } }),
    );
    await session.begin(facts(), signal);
    await session.appendLog(PCHANNEL, records(100n, 1), { offset: 101n, tick: T0 }, signal);
    await session.rollDue(9_000, signal);
    strictEqual(session.durable(PCHANNEL), undefined);
    now = 10_000;
    await session.rollDue(now, signal);
    deepStrictEqual(session.durable(PCHANNEL)?.offset, 101n);
    await session.appendLog(PCHANNEL, records(101n, 2000), { offset: 2101n, tick: T0 + 1n }, signal);
    deepStrictEqual(session.durable(PCHANNEL)?.offset, 2101n);
    strictEqual((await session.progress(PCHANNEL, signal)).sequence, 2n);
    deepStrictEqual(await readLog(await store(), "b", 100n), range(100n, 2101n));
  });

  test("the catalog after a change is kept, and found by the moment", async (store) => {
    const item = segment(11n);
    const { object } = await sourceStore([item]);
    let now = 1_795_188_500_000;
    const session = await open(sinkOn(await store(), { now: () => now }));
    await session.begin(facts(), signal);
    await session.copySegment(item, object, [], signal);
    await session.finishBase([{ collection: collection(), segmentIds: [11n] }], [], signal);
    const { catalog } = facts();
    const renamed = { ...catalog, collections: [{ ...collection(), name: "renamed" }] };
    await session.noteCatalog(7n, renamed, signal);
    now += 1000;
    await session.noteCatalog(1000n, catalog, signal);
    const source = await openBackupSource(await store(), "b");
    const nameAt = async (ms: number) => (await catalogAt(source, hybridFromMs(ms))).collections[0]!.name;
    deepStrictEqual(
      [await nameAt(1_795_188_499_999), await nameAt(1_795_188_500_500), await nameAt(1_795_188_501_000)],
      ["c", "renamed", "c"],
    );
    await session.noteCatalog(1000n, catalog, signal, hybridFromMs(1_795_188_500_700));
    const again = await openBackupSource(await store(), "b");
    const nameAgain = async (ms: number) => (await catalogAt(again, hybridFromMs(ms))).collections[0]!.name;
    deepStrictEqual([await nameAgain(1_795_188_500_699), await nameAgain(1_795_188_500_700)], ["renamed", "c"]);
    deepStrictEqual((await catalogAt(source, hybridFromMs(1_795_188_500_500))).collections, renamed.collections);
  });

  test("a second writer of the same archive is locked out", async (store) => {
    const one = await open(sinkOn(await store()));
    await one.begin(facts(), signal);
    await one.appendLog(PCHANNEL, records(100n, 3), { offset: 103n, tick: T0 }, signal);
    const two = await open(sinkOn(await store()), "b");
    await two.appendLog(PCHANNEL, records(100n, 2), { offset: 102n, tick: T0 }, signal);
    await one.flushLog(signal);
    await rejects(two.flushLog(signal), { code: "locked" });
  });

  test("a stated gap stops a reader and makes verify fail", async (store) => {
    const item = segment(11n);
    const { object } = await sourceStore([item]);
    const session = await open(sinkOn(await store()));
    await session.begin(facts(), signal);
    await session.copySegment(item, object, [], signal);
    await session.finishBase([{ collection: collection(), segmentIds: [11n] }], [], signal);
    await session.appendLog(PCHANNEL, records(100n, 3), { offset: 103n, tick: T0 + 3n }, signal);
    await session.flushLog(signal);
    await session.gap(PCHANNEL, 103n, 200n, "retention had passed them");
    await session.appendLog(PCHANNEL, records(200n, 3), { offset: 203n, tick: T0 + 9n }, signal);
    await session.flushLog(signal);
    const report = await verifyBackup(await store(), "b");
    deepStrictEqual([report.ok, report.findings.map(({ kind }) => kind)], [false, ["gap"]]);
    strictEqual(report.restorable?.to.ts, T0 + 3n);
    await rejects(readLog(await store(), "b", 100n), { code: "position_lost", message: /retention had passed them/ });
  });

  test("verify names what is lost, damaged and surplus, by listing and by checksum", async (store) => {
    const segments = [segment(11n), segment(12n)];
    const { object } = await sourceStore(segments);
    const session = await open(sinkOn(await store()));
    await session.begin(facts(), signal);
    for (const item of segments) await session.copySegment(item, object, [], signal);
    await session.finishBase([{ collection: collection(), segmentIds: [11n, 12n] }], [], signal);
    for (let i = 0n; i < 3n; i++) {
      await session.appendLog(PCHANNEL, records(100n + i * 5n, 5), { offset: 105n + i * 5n, tick: T0 + i }, signal);
      await session.flushLog(signal);
    }
    const to = await store();
    const { manifest } = await readBackup(to, "b");
    const paths = manifest!.objects.map(({ path }) => path).filter((path) => path.startsWith("binlogs/insert_log"));
    await to.delete([`b/${paths[0]}`, `b/log/${PCHANNEL}/0000000002.parquet`]);
    const bytes = await to.get(`b/${paths[1]}`);
    bytes[3]! ^= 1;
    await to.put(`b/${paths[1]}`, bytes);
    const surplus = `b/${paths[2]!.replace(/\d+$/, "999")}`;
    await to.put(surplus, new Uint8Array(3));
    const report = await verifyBackup(to, "b");
    deepStrictEqual(
      report.findings.map(({ kind, key }) => [kind, key]).sort(),
      [
        ["damaged", `b/${paths[1]}`],
        ["lost", `b/${paths[0]}`],
        ["lost", `b/log/${PCHANNEL}/0000000003.parquet`],
        ["surplus", surplus],
      ].sort(),
    );
    strictEqual(report.restorable?.to.ts, T0);
  });

  test("a new base shares or copies what is unchanged and takes the log over from its cut", async (store) => {
    const segments = [segment(11n), segment(12n), segment(13n)];
    const { object } = await sourceStore(segments);
    const first = await open(sinkOn(await store(), { name: "b1" }));
    await first.begin(facts(), signal);
    for (const item of segments.slice(0, 2)) await first.copySegment(item, object, [], signal);
    await first.finishBase([{ collection: collection(), segmentIds: [11n, 12n] }], [], signal);
    for (let i = 0n; i < 3n; i++) {
      await first.appendLog(PCHANNEL, records(100n + i * 10n, 10), { offset: 110n + i * 10n, tick: T0 + i }, signal);
      if (i < 2n) await first.flushLog(signal);
    }
    await first.noteCatalog(4n, facts().catalog, signal);
    await first.noteCatalog(6n, facts().catalog, signal);
    await first.noteDrops(new Map([[91n, T0], [92n, T0 + 3n]]), signal);
    await first.noteDrops(new Map([[92n, T0 + 2n]]), signal);
    const { schema } = collection();
    const alteration = {
      name: "new",
      database: { id: 7n, name: "db" },
      schema,
      properties: { "mmap.enabled": "true" },
      consistency: 2,
    };
    await first.noteAlterations([{ collectionId: 91n, ts: T0, alteration }], signal);
    for (let i = 0; i < 2; i++) {
      await first.noteAlterations([{ collectionId: 91n, ts: T0 + 4n, alteration: { name: "newer" } }], signal);
      await first.noteAlterations([{ collectionId: 91n, ts: T0 + 3n, alteration }], signal);
    }
    await first.noteSilences(new Map([[PCHANNEL, { tick: T0 + 2n, ts: T0 + 7n }]]), signal);
    const second = await open(sinkOn(await store(), { name: "b2" }), undefined, "b1");
    const cut = { ...CUT, offset: 115n, ts: T0 + 1n };
    await second.begin({ ...facts([cut]), takenAtMs: 1_795_188_390_000 }, signal);
    for (const item of segments) await second.copySegment(item, object, [], signal);
    await second.adoptLog(first, signal);
    await second.finishBase([{ collection: collection(), segmentIds: [11n, 12n, 13n] }], [], signal);
    deepStrictEqual((await second.progress(PCHANNEL, signal)).lastOffset, 129n);
    strictEqual((await verifyBackup(await store(), "b2")).restorable?.to.ts, T0 + 7n);
    await second.appendLog(PCHANNEL, records(130n, 5), { offset: 135n, tick: T0 + 9n }, signal);
    await second.flushLog(signal);
    deepStrictEqual(await readLog(await store(), "b2", 115n), range(115n, 135n));
    const to = await store();
    deepStrictEqual((await readCatalogJournal(to, "b2")).map(({ revision }) => revision), [6n]);
    deepStrictEqual(await readDrops(to, "b2"), new Map([[92n, { first: T0 + 2n, last: T0 + 3n }]]));
    deepStrictEqual([...await readAlterations(to, "b2")], [[91n, [
      { collectionId: 91n, ts: T0 + 3n, alteration },
      { collectionId: 91n, ts: T0 + 4n, alteration: { name: "newer" } },
    ]]]);
    deepStrictEqual((await verifyBackup(to, "b2")).findings, []);
    // Each chain stands alone: the first can go.
    const plan = planPrune(await listBackups(to), { last: 1 }, { nowMs: 1_795_188_500_000 });
    deepStrictEqual(plan.map(({ name, action }) => [name, action]).sort(), [["b1", "remove"], ["b2", "keep"]]);
    deepStrictEqual(await applyPrune(to, plan), ["b1"]);
    deepStrictEqual((await verifyBackup(to, "b2")).findings, []);
    deepStrictEqual((await listBackups(to)).map(({ name }) => name), ["b2"]);
  });
}
