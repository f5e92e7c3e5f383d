/** What can happen between a reader and a server that gives its log. */
import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { TidemarkError } from "../../../../pipeline/errors.ts";
import type { LogFetch, LogRecord, TickGroup } from "../../../../pipeline/model/mod.ts";
import { MessageType, TxnContextSchema } from "../../../../pipeline/proto/gen/messages_pb.ts";
import { followPchannel, inspectLog } from "../../../../sources/log/mod.ts";
import { DumpServer, type DumpServerOptions } from "../../../fakes/dump_server.ts";
import { EtcdKeys } from "../../../fakes/etcd_keys.ts";
import { eventually } from "../../../stack/eventually.ts";
import { addChannel, dumpLog, type DumpLogFixture, setRestart } from "./log.ts";

const TOPIC = "by-dev-rootcoord-dml_0";
const SHARD = `${TOPIC}_7v0`;
const never = new AbortController().signal;
const text = new TextEncoder();

interface Written {
  readonly at: bigint;
  readonly tick: bigint;
  readonly type?: MessageType;
  readonly txn?: bigint;
  /** What was confirmed when it was written; default: the record before it. */
  readonly safe?: bigint;
  readonly value?: Uint8Array;
}

/** A record as a streaming node writes it. A drop of a partition is the smallest one that says something. */
function written({ at, tick, type = MessageType.DropPartition, txn, safe = at - 1n, value }: Written): LogRecord {
  const context = txn === undefined
    ? undefined
    : toBinary(TxnContextSchema, create(TxnContextSchema, { txnId: txn, keepaliveMilliseconds: 10_000n })).toBase64();
  const version = type === MessageType.DropPartition ? "1" : "2";
  const properties = {
    _v: version,
    _t: String(type),
    _tt: tick.toString(36),
    _lc: safe.toString(36),
    _vc: SHARD,
    _h: "",
    ...(context === undefined ? {} : { _tx: context }),
  };
  return {
    topic: TOPIC,
    offset: at,
    timestampMs: 0n,
    headers: Object.entries(properties).map(([name, content]) => [name, text.encode(content)] as const),
    value: value ?? new Uint8Array(),
  };
}

const tick = (at: bigint, tick: bigint) => written({ at, tick, type: MessageType.TimeTick });

interface Rig extends DumpLogFixture, AsyncDisposable {
  readonly server: DumpServer;
}

async function rig(options: DumpServerOptions = {}, config: Readonly<Record<string, unknown>> = {}): Promise<Rig> {
  const server = await DumpServer.start({ queue: "kafka", ...options });
  server.create(TOPIC);
  const etcd = new EtcdKeys();
  addChannel(etcd, TOPIC);
  const fixture = dumpLog(server, { etcd, config, options: { random: () => 0, sleep: () => Promise.resolve() } });
  return {
    ...fixture,
    server,
    async [Symbol.asyncDispose]() {
      await fixture.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** Pages until `enough`. */
async function pages(
  { log }: DumpLogFixture,
  from: bigint,
  enough: (offsets: readonly bigint[], page: LogFetch) => boolean,
): Promise<bigint[]> {
  const offsets: bigint[] = [];
  for await (const page of log.tail(TOPIC, from, undefined, never)) {
    offsets.push(...page.records.map(({ offset }) => offset));
    if (enough(offsets, page)) return offsets;
  }
  return offsets;
}

async function groups({ log }: DumpLogFixture, from: bigint, enough: (group: TickGroup) => boolean) {
  const found: TickGroup[] = [];
  const request = { pchannel: TOPIC, from: { offset: from, tick: 0n }, topicId: undefined };
  for await (const group of followPchannel(log, request, never)) {
    found.push(group);
    if (enough(group)) return found;
  }
  return found;
}

function failsWith(code: string, words: RegExp) {
  return (thrown: unknown) => {
    assert.ok(thrown instanceof TidemarkError, String(thrown));
    assert.equal(thrown.code, code);
    assert.match(`${thrown.message} ${thrown.hint}`, words);
    return true;
  };
}

Deno.test("createDumpLog: what lies later and has an earlier tick is given first, and the start to read again from lies before both", async () => {
  await using own = await rig();
  setRestart(own.etcd, own.server, TOPIC, 0n);
  own.server.append(TOPIC, [
    tick(0n, 10n),
    written({ at: 1n, tick: 14n, safe: 0n }),
    written({ at: 2n, tick: 13n, safe: 0n }),
    tick(3n, 15n),
  ]);
  const found = await groups(own, 0n, ({ tick }) => tick >= 14n);
  assert.deepEqual(found.flatMap(({ events }) => events).map(({ offset }) => offset), [2n, 1n]);
  assert.equal(found.at(-1)!.resume.offset, 0n);
  own.etcd.delete(`by-dev/meta/streamingnode-meta/wal/${TOPIC}/consume-checkpoint`);
  assert.equal((await own.log.bounds(TOPIC, never)).earliest, 1n);
});

Deno.test("createDumpLog: a transaction that was open while others were given comes whole, with its commit's tick", async () => {
  await using own = await rig();
  setRestart(own.etcd, own.server, TOPIC, 0n);
  own.server.append(TOPIC, [
    tick(0n, 10n),
    written({ at: 1n, tick: 11n, type: MessageType.BeginTxn, txn: 5n, safe: 0n }),
    written({ at: 2n, tick: 12n, txn: 5n, safe: 0n }),
    written({ at: 3n, tick: 13n, safe: 0n }),
    tick(4n, 14n),
  ]);
  const request = { pchannel: TOPIC, from: { offset: 0n, tick: 0n }, topicId: undefined };
  const reading = followPchannel(own.log, request, never);
  const first = (await reading.next()).value!;
  assert.deepEqual(first.events.map(({ offset }) => offset), [3n]);
  // Whoever starts again there gets the transaction's beginning.
  assert.equal(first.resume.offset, 0n);
  own.server.append(TOPIC, [
    written({ at: 5n, tick: 20n, type: MessageType.CommitTxn, txn: 5n, safe: 0n }),
    tick(6n, 21n),
  ]);
  const events = [];
  while (events.length === 0) events.push(...(await reading.next()).value!.events);
  assert.deepEqual(events.map(({ offset, ts }) => [offset, ts]), [[2n, 20n]]);
  await reading.return();
});

Deno.test("createDumpLog reads on behind an outage, each record once", async () => {
  await using own = await rig();
  const records = Array.from({ length: 60 }, (_, i) => BigInt(i)).flatMap((i) => [
    written({ at: 2n * i + 1n, tick: 100n * (i + 1n), safe: 2n * i }),
    tick(2n * i + 2n, 100n * (i + 1n) + 1n),
  ]);
  own.server.append(TOPIC, records.slice(0, 60));
  let outages = 0;
  const found = await pages(own, 1n, (offsets) => {
    if (outages === 0 && offsets.length === 30) {
      outages++;
      own.server.stop();
      own.server.append(TOPIC, records.slice(60));
      own.server.listen();
    }
    return offsets.length >= 60;
  });
  assert.deepEqual(found, records.map(({ offset }) => offset).filter((offset) => offset % 2n === 1n));
  assert.equal(outages, 1);
});

Deno.test("createDumpLog throws position_lost where what is still to be read was removed during an outage", async () => {
  await using own = await rig();
  const records = Array.from({ length: 20 }, (_, i) => BigInt(i)).flatMap((i) => [
    written({ at: 2n * i + 1n, tick: 100n * (i + 1n), safe: 2n * i }),
    tick(2n * i + 2n, 100n * (i + 1n) + 1n),
  ]);
  own.server.append(TOPIC, records.slice(0, 10));
  const reading = pages(own, 1n, (offsets) => {
    if (offsets.length === 5) {
      own.server.stop();
      own.server.append(TOPIC, records.slice(10));
      own.server.truncate(TOPIC, 20n);
      own.server.listen();
    }
    return offsets.length > 5;
  });
  await assert.rejects(reading, failsWith("position_lost", /holds 21 to .*, but 8 is wanted.*on_position_lost/s));
});

Deno.test("createDumpLog begins where Milvus itself would start again, also where no message lies there", async () => {
  await using own = await rig();
  own.server.append(TOPIC, [
    tick(0n, 10n),
    written({ at: 1n, tick: 11n }),
    tick(2n, 12n),
    tick(3n, 13n),
    tick(4n, 14n),
  ]);
  own.server.truncate(TOPIC, 2n);
  setRestart(own.etcd, own.server, TOPIC, 3n);
  assert.deepEqual(await own.log.bounds(TOPIC, never), { earliest: 3n, latest: 3n, topicId: "channel/2" });
  own.server.append(TOPIC, [written({ at: 5n, tick: 15n }), tick(6n, 16n)]);
  assert.deepEqual(await pages(own, 3n, (offsets) => offsets.length > 0), [5n]);
  await assert.rejects(pages(own, 2n, () => true), failsWith("position_lost", /holds 3 to 6, but 2 is wanted/));
});

Deno.test("createDumpLog moves the start to read again from with the source's own where nothing comes", async () => {
  await using own = await rig();
  own.server.append(TOPIC, [tick(0n, 10n), written({ at: 1n, tick: 11n }), tick(2n, 12n), tick(9n, 13n)]);
  setRestart(own.etcd, own.server, TOPIC, 9n);
  const found = await groups(own, 1n, ({ end }) => end !== undefined);
  const { resume, end } = found.at(-1)!;
  assert.equal(resume.offset, 9n);
  assert.equal(end!.offset, 9n);
  assert.ok(resume.tick > 13n);
});

Deno.test("createDumpLog gives no end any more that a reader of the channel has gone beyond", async () => {
  await using own = await rig();
  const reading = own.log.tail(TOPIC, 1n, undefined, never)[Symbol.asyncIterator]();
  own.server.append(TOPIC, [written({ at: 1n, tick: 11n, safe: 0n }), tick(2n, 12n)]);
  // Its end is found where nothing else comes.
  while (((await reading.next()).value as LogFetch).records.length > 0);
  assert.equal((await own.log.bounds(TOPIC, never)).latest, 2n);
  own.server.append(TOPIC, [written({ at: 9n, tick: 21n, safe: 2n }), tick(10n, 22n)]);
  let page: LogFetch;
  do page = (await reading.next()).value; while (page.records.length === 0);
  const { latest } = await own.log.bounds(TOPIC, never);
  assert.ok(latest >= page.next, `it ends at ${latest}, and ${page.next} was reached`);
  await reading.return!();
});

Deno.test("createDumpLog stops at what comes behind a promise that nothing of before it would", async () => {
  await using own = await rig();
  own.server.append(TOPIC, [tick(0n, 10n), written({ at: 1n, tick: 1000n }), tick(2n, 1001n)]);
  const reading = pages(own, 1n, (_offsets, page) => {
    if (page.records.length === 0) own.server.append(TOPIC, [written({ at: 3n, tick: 500n }), tick(4n, 2000n)]);
    return false;
  });
  await assert.rejects(reading, failsWith("damaged", /gives 3 of .* after it had given everything/));
});

Deno.test("createDumpLog reads no further ahead of its reader than a few messages", async () => {
  await using own = await rig();
  const value = new Uint8Array(100_000);
  const records: LogRecord[] = [];
  for (let i = 0n; i < 1000n; i++) records.push(written({ at: i, tick: 10n + i, value }));
  own.server.append(TOPIC, [...records, tick(1000n, 5000n)]);
  const reading = own.log.tail(TOPIC, 0n, undefined, never)[Symbol.asyncIterator]();
  const { records: first } = (await reading.next()).value as LogFetch;
  const before = own.server.sent;
  // Answers behind what was sent ahead: by then everything that could be sent is.
  for (let i = 0; i < 100; i++) await own.client.version(never);
  assert.ok(first.length < 50, `${first.length} records in a page`);
  assert.ok(own.server.sent - before < 400, `${own.server.sent - before} messages are ahead`);
  await reading.return!();
});

Deno.test("createDumpLog says of a server that is too old what to use instead", async () => {
  await using own = await rig({ dumps: false, version: "2.5.27" });
  const words = /does not know DumpMessages.*3\.0 and 2\.6 have it.*kafka, pulsar or woodpecker/s;
  await assert.rejects(own.log.bounds(TOPIC, never), failsWith("unsupported", words));
  const lines = await own.log.check(never);
  assert.deepEqual(lines.map(({ ok }) => ok), ["ok", "fail"]);
  assert.match(lines[1]!.detail, words);
});

Deno.test("createDumpLog warns of releases that leave out transactions", async () => {
  await using own = await rig({ version: "2.6.19", whole: false });
  const lines = await own.log.check(never);
  assert.deepEqual(lines.map(({ ok }) => ok), ["ok", "warn", "ok"]);
  assert.match(lines[1]!.detail, /2\.6\.19 leaves out the rows of transactions.*2\.6\.20/);
});

Deno.test("createDumpLog says a wrong login at once, and reads the token's file again where it is refused", async () => {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(file, "root:wrong");
    await using own = await rig({ token: "root:Milvus" }, { token_file: file });
    await assert.rejects(own.log.bounds(TOPIC, never), failsWith("authentication", /refused the login.*sources\.log/s));
    assert.equal((await own.log.check(never))[0]!.code, "authentication");
    await Deno.writeTextFile(file, "root:Milvus");
    own.server.append(TOPIC, [written({ at: 1n, tick: 11n }), tick(2n, 12n)]);
    assert.deepEqual(await pages(own, 1n, (offsets) => offsets.length > 0), [1n]);
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("createDumpLog names the queue that the source uses where the configuration says another", async () => {
  await using own = await rig({ queue: "woodpecker" });
  own.etcd.delete(`by-dev/meta/streamingnode-meta/wal/${TOPIC}/consume-checkpoint`);
  const other = await DumpServer.start({ queue: "kafka" });
  setRestart(own.etcd, other, TOPIC, 3n);
  await other[Symbol.asyncDispose]();
  await assert.rejects(
    own.log.bounds(TOPIC, never),
    failsWith("config", /keeps .* in Kafka, and sources\.log\.queue says woodpecker.*to kafka/s),
  );
});

Deno.test("createDumpLog asks an idle channel less and less often", async () => {
  await using own = await rig();
  own.server.append(TOPIC, [tick(0n, 10n), written({ at: 1n, tick: 11n }), tick(2n, 12n)]);
  const stop = new AbortController();
  let ends = 0;
  const reading = (async () => {
    for await (const page of own.log.tail(TOPIC, 1n, undefined, stop.signal)) if (page.records.length === 0) ends++;
  })();
  await eventually("the end was found three times", () => ends >= 3);
  const { dumps } = own.server;
  stop.abort();
  await assert.rejects(reading);
  // Two of the bounds, one of the beginning's proof, the stream itself, and one for each look.
  assert.ok(dumps <= 6 + ends, `${dumps} streams for ${ends} ends`);
});

Deno.test("createDumpLog gives inspect log a change, though no tick is a record", async () => {
  await using own = await rig();
  own.server.append(TOPIC, [written({ at: 1n, tick: 11n, safe: 0n }), tick(2n, 12n)]);
  const lines = await Array.fromAsync(inspectLog(own.log, { topics: [TOPIC], follow: false }, never));
  assert.deepEqual(lines.map(({ ts }) => ts), ["11"]);
});
