import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { readLogDeletes, unreadableDeletes } from "../../../../pipeline/flow/base/deletes.ts";
import { MsgType } from "../../../../pipeline/proto/gen/common_pb.ts";
import { DeleteRequestSchema, InsertRequestSchema, TimeTickMsgSchema } from "../../../../pipeline/proto/gen/msg_pb.ts";
import { followPchannel } from "../../../../sources/log/mod.ts";
import { FakeLog } from "../../../fakes/log.ts";

const never = new AbortController().signal;
const pchannel = (i: number) => `by-dev-rootcoord-dml_${i}`;
const vchannel = (i: number, collection = 7n) => `${pchannel(i)}_${collection}v0`;

function tick(ts: bigint): { value: Uint8Array } {
  const base = { msgType: MsgType.TimeTick, timestamp: ts };
  return { value: toBinary(TimeTickMsgSchema, create(TimeTickMsgSchema, { base })) };
}

function remove(shardName: string, key: bigint, ts: bigint): { value: Uint8Array } {
  const message = create(DeleteRequestSchema, {
    base: { msgType: MsgType.Delete, timestamp: ts },
    shardName,
    collectionID: 7n,
    partitionID: -1n,
    numRows: 1n,
    primaryKeys: { idField: { case: "intId", value: { data: [key] } } },
    timestamps: [ts],
  });
  return { value: toBinary(DeleteRequestSchema, message) };
}

function insert(shardName: string, ts: bigint): { value: Uint8Array } {
  const message = create(InsertRequestSchema, {
    base: { msgType: MsgType.Insert, timestamp: ts },
    shardName,
    collectionID: 7n,
    rowIDs: [1n],
    timestamps: [ts],
    numRows: 1n,
  });
  return { value: toBinary(InsertRequestSchema, message) };
}

function dependencies(log: FakeLog, followed: string[] = []) {
  return {
    log,
    baseDeletes: "log_and_files" as const,
    follow: (request: Parameters<typeof followPchannel>[1], signal: AbortSignal) => {
      followed.push(request.pchannel);
      return followPchannel(log, request, signal);
    },
  };
}

const demand = (i: number, ts: bigint, horizon: bigint | undefined = 0n) => ({
  cut: { vchannel: vchannel(i), pchannel: pchannel(i), collectionId: 7n, offset: 0n, ts },
  horizon,
});

function keysOf(marks: ReadonlyMap<string, readonly { keys: { values: ArrayLike<unknown> } }[]>, channel: string) {
  return (marks.get(channel) ?? []).flatMap(({ keys }) => Array.from(keys.values));
}

Deno.test("readLogDeletes finds the deletes of every pchannel, up to each one's cut and of the demanded vchannels only", async () => {
  const log = new FakeLog({ maxRecords: 3 });
  for (let i = 0; i < 9; i++) {
    log.createTopic(pchannel(i));
    log.append(pchannel(i), [
      insert(vchannel(i), 10n),
      remove(vchannel(i), BigInt(i), 20n),
      tick(25n),
      remove(vchannel(i, 8n), 99n, 27n),
      insert(vchannel(i), 30n),
      remove(vchannel(i), BigInt(i) + 100n, 40n),
      remove(vchannel(i), BigInt(i) + 200n, 60n),
      tick(70n),
    ]);
  }
  const demands = Array.from({ length: 9 }, (_, i) => demand(i, 40n));
  const { marks, beyondLog } = await readLogDeletes(dependencies(log), demands, never);
  assert.deepEqual(beyondLog, []);
  assert.deepEqual([...marks.keys()].sort(), demands.map(({ cut }) => cut.vchannel).sort());
  for (let i = 0; i < 9; i++) assert.deepEqual(keysOf(marks, vchannel(i)), [BigInt(i), BigInt(i) + 100n]);
});

Deno.test("readLogDeletes begins at the horizon, and names the vchannels whose horizon the log has lost", async () => {
  const log = new FakeLog();
  for (const i of [0, 1, 2]) {
    log.createTopic(pchannel(i));
    log.append(pchannel(i), [remove(vchannel(i), 1n, 10n), tick(15n), remove(vchannel(i), 2n, 20n), tick(30n)]);
  }
  log.deleteRecords(pchannel(1), 2n);
  const followed: string[] = [];
  const demands = [demand(0, 20n, 2n), demand(1, 20n, 0n), demand(2, 20n), { ...demand(2, 20n), horizon: undefined }];
  const { marks, beyondLog } = await readLogDeletes(dependencies(log, followed), demands, never);
  assert.deepEqual(keysOf(marks, vchannel(0)), [2n]);
  assert.deepEqual(keysOf(marks, vchannel(1)), [2n]);
  assert.deepEqual(keysOf(marks, vchannel(2)), [1n, 2n]);
  assert.deepEqual(beyondLog, [vchannel(1)]);
  assert.deepEqual(followed.sort(), [pchannel(0), pchannel(1), pchannel(2)]);
});

Deno.test("readLogDeletes goes on behind what retention removes while it reads, and names whose horizon that passed", async () => {
  // A fetch of one record, so that the next comes after the removal.
  const log = new FakeLog({ maxRecords: 1 });
  log.createTopic(pchannel(0));
  const records = Array.from({ length: 6 }, (_, i) => {
    const ts = BigInt(i) * 10n;
    return [remove(vchannel(0), BigInt(i), ts + 1n), remove(vchannel(0, 8n), BigInt(i), ts + 2n), tick(ts + 5n)];
  });
  log.append(pchannel(0), records.flat());
  const deps = dependencies(log);
  const follow: typeof deps.follow = async function* (request, signal) {
    for await (const group of deps.follow(request, signal)) {
      yield group;
      // Once, while the second group is read.
      if (group.tick === 5n) log.deleteRecords(pchannel(0), 12n);
    }
  };
  const other = { ...demand(0, 45n), horizon: 12n };
  const demands = [demand(0, 45n), { ...other, cut: { ...other.cut, vchannel: vchannel(0, 8n), collectionId: 8n } }];
  const { marks, beyondLog } = await readLogDeletes({ ...deps, follow }, demands, never);
  assert.deepEqual(keysOf(marks, vchannel(0)), [0n, 4n]);
  assert.deepEqual(keysOf(marks, vchannel(0, 8n)), [0n, 4n]);
  assert.deepEqual(beyondLog, [vchannel(0)]);
});

Deno.test("readLogDeletes throws where the topic is made anew while it reads", async () => {
  const log = new FakeLog({ maxRecords: 1 });
  log.createTopic(pchannel(0));
  log.append(pchannel(0), [tick(5n), tick(15n), tick(25n)]);
  const deps = dependencies(log);
  const follow: typeof deps.follow = async function* (request, signal) {
    for await (const group of deps.follow(request, signal)) {
      yield group;
      log.deleteTopic(pchannel(0));
      log.createTopic(pchannel(0), 10n);
      log.append(pchannel(0), [tick(35n)]);
    }
  };
  await assert.rejects(readLogDeletes({ ...deps, follow }, [demand(0, 20n)], never), { code: "position_lost" });
});

Deno.test("readLogDeletes names the vchannels of which it cannot read a record up to the cut, and finds the deletes of the others", async () => {
  const log = new FakeLog();
  for (const i of [0, 1]) {
    log.createTopic(pchannel(i));
    log.append(pchannel(i), [remove(vchannel(i), 1n, 10n), tick(15n)]);
  }
  const unknown = { base: { msgType: MsgType.Delete, timestamp: 20n }, shardName: vchannel(1), collectionID: 7n };
  const predicate = toBinary(
    DeleteRequestSchema,
    create(DeleteRequestSchema, { ...unknown, serializedExprPlan: new Uint8Array([1]) }),
  );
  log.append(pchannel(1), [{ value: predicate }, remove(vchannel(1, 8n), 5n, 25n), tick(30n)]);
  const base = toBinary(
    TimeTickMsgSchema,
    create(TimeTickMsgSchema, { base: { msgType: MsgType.Delete, timestamp: 35n } }),
  );
  // Cut short in its key: nobody knows of which channel it is.
  const torn = new Uint8Array([...base, 0x12, 0x7f]);
  log.append(pchannel(1), [{ value: torn }, tick(40n)]);
  log.append(pchannel(0), [tick(40n)]);
  const other = { ...demand(1, 32n), cut: { ...demand(1, 32n).cut, vchannel: vchannel(1, 8n), collectionId: 8n } };
  const later = { ...demand(1, 40n), cut: { ...demand(1, 40n).cut, vchannel: vchannel(1, 9n), collectionId: 9n } };
  const found = await readLogDeletes(dependencies(log), [demand(0, 40n), demand(1, 40n), other, later], never);
  assert.deepEqual([...found.unreadable.keys()].sort(), [vchannel(1), vchannel(1, 9n)]);
  assert.match(unreadableDeletes(found, [vchannel(0), vchannel(1)])!.message, /cannot be read: .*predicate/);
  assert.match(unreadableDeletes(found, [vchannel(1, 9n)])!.message, /cannot be decoded/);
  assert.equal(unreadableDeletes(found, [vchannel(0), vchannel(1, 8n)]), undefined);
  assert.deepEqual([keysOf(found.marks, vchannel(0)), keysOf(found.marks, vchannel(1, 8n))], [[1n], [5n]]);
});

Deno.test("readLogDeletes of a backup reads no log", async () => {
  const log = new FakeLog();
  const followed: string[] = [];
  const deps = { ...dependencies(log, followed), baseDeletes: "files" as const };
  assert.equal((await readLogDeletes(deps, [demand(0, 40n)], never)).marks.size, 0);
  assert.deepEqual(followed, []);
});

Deno.test("readLogDeletes ends where the log does, though the checkpoint has moved on with ticks that were never written", async () => {
  const log = new FakeLog();
  log.createTopic(pchannel(0));
  log.append(pchannel(0), [remove(vchannel(0), 1n, 10n), tick(12n), remove(vchannel(0), 2n, 15n), tick(16n)]);
  const { marks } = await readLogDeletes(dependencies(log), [demand(0, 1_000_000n)], never);
  assert.deepEqual(keysOf(marks, vchannel(0)), [1n, 2n]);
});
