/** Snapshots that begin with what the last one has read, against those that read all, on an etcd of their own. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { type EtcdMetaSource, etcdMetaSpec, type MetaReading, openEtcdMeta } from "../../../../sources/meta/mod.ts";
import { connectEtcd, type EtcdClient } from "../../../../stores/mod.ts";
import { binlogRecords, collectionRecord, logRecord, segmentRecord } from "../../../sources/meta/records_of.ts";
import { OwnEtcd } from "../../stores/etcd_process.ts";

const PAGE = 10;
const IDS = 3;

type Change =
  | { readonly kind: "segment"; readonly id: number; readonly rows: number; readonly dropped: boolean }
  | { readonly kind: "files"; readonly id: number; readonly field: number; readonly files: number }
  | { readonly kind: "deletes"; readonly id: number; readonly file: number }
  | { readonly kind: "damaged"; readonly id: number }
  | { readonly kind: "tombstone" | "delete" | "delete and write again"; readonly id: number; readonly field: number }
  | { readonly kind: "delete all of"; readonly id: number };

const id = fc.integer({ min: 1, max: IDS });
const field = fc.integer({ min: 100, max: 102 });
const change: fc.Arbitrary<Change> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("segment" as const), id, rows: fc.nat(20), dropped: fc.boolean() }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("files" as const), id, field, files: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("deletes" as const), id, file: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("damaged" as const), id }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom("tombstone" as const, "delete" as const, "delete and write again" as const),
      id,
      field,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("delete all of" as const), id }) },
);

async function write(etcd: EtcdClient, change: Change): Promise<void> {
  const of = BigInt(change.id);
  const key = (field: number) => logRecord("binlog", of, BigInt(field), []).key;
  switch (change.kind) {
    case "segment": {
      const made = segmentRecord(of, { numOfRows: BigInt(change.rows), state: change.dropped ? 4 : 3 });
      await etcd.put(made.key, made.value);
      return;
    }
    case "files": {
      const files = Array.from({ length: change.files + 1 }, (_, i) => ({ entriesNum: 10n, logID: BigInt(i + 1) }));
      const made = logRecord("binlog", of, BigInt(change.field), files);
      await etcd.put(made.key, made.value);
      return;
    }
    case "deletes": {
      const made = logRecord(
        "deltalog",
        of,
        0n,
        change.file === 0 ? [] : [{ entriesNum: 1n, logID: BigInt(change.file) }],
      );
      await etcd.put(made.key, made.value);
      return;
    }
    case "damaged":
      await etcd.put(key(100), new Uint8Array([0xff, 0xff]));
      return;
    case "tombstone":
      await etcd.put(key(change.field), new Uint8Array([0xe2, 0x9b, 0xbc]));
      return;
    case "delete and write again":
      await etcd.delete(key(change.field));
      await write(etcd, { ...change, kind: "files", files: 1 });
      return;
    case "delete":
      await etcd.delete(key(change.field));
      return;
    case "delete all of":
      for (const record of [segmentRecord(of), ...binlogRecords(of, { 100: 1n, 101: 1n, 102: 1n })]) {
        await etcd.delete(record.key);
      }
  }
}

/** What it says, or why it says nothing: both read the same keys. */
async function read(meta: EtcdMetaSource): Promise<MetaReading | string> {
  try {
    return await meta.snapshot(new AbortController().signal);
  } catch (thrown) {
    return String(thrown);
  }
}

Deno.test("EtcdMetaSource.snapshot says the same whether it remembers the last one or not, and what it has said stays", async () => {
  await using server = new OwnEtcd();
  await server.start();
  await using etcd = connectEtcd({ endpoints: [server.address] });
  const open = (remembers: boolean) =>
    openEtcdMeta(
      etcdMetaSpec.parse({ type: "etcd", endpoints: [server.address], root_path: "by-dev", page_size: PAGE }),
      { remembers, now: () => 1_700_000_000_000, sleep: () => Promise.resolve() },
    );
  const collection = collectionRecord();
  await etcd.put(collection.key, collection.value);
  await using plain = await open(false);
  let same = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(change, { maxLength: 2 * PAGE }), { minLength: 2, maxLength: 6 }),
      async (rounds) => {
        await using remembering = await open(true);
        let last: { readonly said: MetaReading | string; readonly true: MetaReading | string } | undefined;
        for (const changes of rounds) {
          for (const each of changes) await write(etcd, each);
          const now = { said: await read(remembering), true: await read(plain) };
          assert.deepEqual(now.said, now.true);
          if (last !== undefined) assert.deepEqual(last.said, last.true, "an earlier snapshot has changed");
          last = now;
          if (typeof now.said !== "string") same++;
        }
      },
    ),
    { numRuns: 15 },
  );
  assert.ok(same > 10, `${same} snapshots were said at all`);
});

Deno.test("EtcdMetaSource.snapshot remembers nothing of an etcd that was set back, also where it is as far again", async () => {
  await using server = new OwnEtcd();
  await server.start();
  const { address } = server;
  const files = (entries: number) =>
    logRecord(
      "binlog",
      1n,
      100n,
      Array.from({ length: entries }, (_, i) => ({ entriesNum: 1n, logID: BigInt(i + 1) })),
    );
  const put = async (records: readonly { readonly key: string; readonly value: Uint8Array }[]) => {
    await using etcd = connectEtcd({ endpoints: [address] });
    let revision = 0n;
    for (const { key, value } of records) revision = await etcd.put(key, value);
    return revision;
  };
  const open = (remembers: boolean) =>
    openEtcdMeta(etcdMetaSpec.parse({ type: "etcd", endpoints: [address], root_path: "by-dev" }), {
      remembers,
      now: () => 1_700_000_000_000,
      sleep: () => Promise.resolve(),
    });
  await using remembering = await open(true);
  const check = async () => {
    await using plain = await open(false);
    const truth = await read(plain);
    assert.notEqual(typeof truth, "string", String(truth));
    assert.deepEqual(await read(remembering), truth);
    return (truth as MetaReading).revision;
  };
  await put([collectionRecord(), segmentRecord(1n), ...binlogRecords(1n, { 100: 1n, 101: 1n, 102: 1n })]);
  await server.kill();
  const copy = await server.copy();
  await server.start();
  // Both histories after the copy have the same number of writes, and as many keys; they differ in what the one key holds.
  await put([files(2)]);
  const before = await check();
  for (const records of [[files(3)], [files(4), segmentRecord(1n)]]) {
    await server.kill();
    await server.restore(copy);
    await server.start();
    const revision = await put(records);
    assert.equal(revision, before + BigInt(records.length) - 1n);
    assert.equal(await check(), revision);
    await server.kill();
    await server.restore(copy);
    await server.start();
    // As it was at first: set back for those that are further.
    await put([files(2)]);
    assert.equal(await check(), before);
  }
});

Deno.test("EtcdClient.range gives what was written after a revision, and counts all keys below its prefix", async () => {
  await using server = new OwnEtcd();
  await server.start();
  await using etcd = connectEtcd({ endpoints: [server.address], pageSize: 3 });
  for (let i = 0; i < 10; i++) await etcd.put(`a/${i}`, "v");
  const since = await etcd.put("b", "v");
  const changed = async () =>
    (await Array.fromAsync(etcd.range("a/", { changedAfter: since })))
      .map(({ kvs, count, more }) => [kvs.map(({ key }) => key).join(), count, more]);
  assert.deepEqual(await changed(), [["", 10n, false]]);
  await etcd.put("a/3", "w");
  await etcd.put("a/new", "w");
  await etcd.delete("a/5");
  assert.deepEqual(await changed(), [["a/3,a/new", 10n, false]]);
  for (const i of [0, 1, 2]) await etcd.put(`a/${i}`, "w");
  assert.deepEqual((await changed())[0], ["a/0,a/1,a/2", 10n, true]);
});
