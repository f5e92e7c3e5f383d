import assert from "node:assert/strict";
import { TidemarkError } from "../../../../pipeline/errors.ts";
import { after, type LogRecord, type LogSource, type Position } from "../../../../pipeline/model/mod.ts";
import { pulsarPlace, pulsarPosition } from "../../../../pipeline/positions/mod.ts";
import { type LogState, openPulsarLog, pulsarLogSpec } from "../../../../sources/log/mod.ts";
import { testKilledRuns } from "../../../conformance/killed_runs.ts";
import { testLogSource } from "../../../conformance/log.ts";
import { eventually } from "../../../stack/eventually.ts";
import type { ProducedMessage } from "../../../stack/pulsar/producer.ts";
import { pulsarQueue } from "../../../stack/pulsar/queue.ts";
import { PulsarStandalone } from "../../../stack/pulsar/standalone.ts";

const never = new AbortController().signal;
const text = new TextEncoder();

/** A ledger ends after so many entries: everything that has to do with ledgers shows at once. */
const LEDGER_ENTRIES = 10;

/** One server for the whole file, stopped by its last test. */
const shared: { server?: Promise<PulsarStandalone> } = {};
const server = () =>
  shared.server ??= PulsarStandalone.start({
    settings: {
      managedLedgerMaxEntriesPerLedger: LEDGER_ENTRIES,
      managedLedgerMinLedgerRolloverTimeMinutes: 0,
      // Where a subscription lags by more, nobody may write any more.
      backlogQuotaDefaultLimitBytes: 2_000_000,
      backlogQuotaDefaultRetentionPolicy: "producer_exception",
      backlogQuotaCheckIntervalInSeconds: 1,
    },
  });

async function open(address: string, extra: Record<string, unknown> = {}, onState?: (state: LogState) => void) {
  const config = pulsarLogSpec.parse({ type: "pulsar", address, ...extra });
  return await openPulsarLog(config, onState === undefined ? {} : { onState });
}

async function append(own: PulsarStandalone, topic: string, values: readonly ProducedMessage[], batch = 0) {
  await using producer = await own.producer(topic);
  return (await producer.send(values, { batch, window: batch > 0 ? 1 : 8 })).map(pulsarPosition);
}

function numbered(count: number, first = 0): { value: Uint8Array }[] {
  return Array.from({ length: count }, (_, i) => ({ value: text.encode(`${first + i}`) }));
}

function said({ value }: LogRecord): string {
  return new TextDecoder().decode(value!);
}

async function take(source: LogSource, topic: string, from: Position, count: number): Promise<LogRecord[]> {
  const found: LogRecord[] = [];
  for await (const { records } of source.tail(topic, from, undefined, never)) {
    found.push(...records);
    if (found.length >= count) break;
  }
  return found;
}

function lost(message: RegExp) {
  return (thrown: unknown) => {
    assert.ok(thrown instanceof TidemarkError, String(thrown));
    assert.equal(thrown.code, "position_lost", thrown.message);
    assert.match(thrown.message, message);
    assert.match(thrown.hint ?? "", /on_position_lost/);
    return true;
  };
}

Deno.test({
  name: "a Pulsar of the tests' own starts",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    assert.match((await server()).address, /^127\.0\.0\.1:\d+$/);
  },
});

testLogSource("openPulsarLog", async () => {
  const own = await server();
  const source = await open(own.address);
  return {
    source,
    createTopic: (topic) => own.createTopic(topic),
    deleteTopic: (topic) => own.deleteTopic(topic),
    // Many in batches, as generation 2 writes them, few each in an entry of its own, as generation 1 does.
    append: async (topic, values) => void await append(own, topic, values, values.length > 30 ? 20 : 0),
    deleteRecords: (topic, before) => own.trim(topic, pulsarPlace(before)),
    close: () => source.close(),
  };
}, { counted: false, binaryHeaders: false });

Deno.test("openPulsarLog tells that a start was trimmed: the broker would begin at another record in silence", async () => {
  const own = await server();
  await own.createTopic("trimmed");
  const places = await append(own, "trimmed", numbered(25));
  const source = await open(own.address);
  try {
    await own.trim("trimmed", pulsarPlace(places.at(-1)!));
    const { earliest } = await source.bounds("trimmed", never);
    assert.ok(earliest > places[0]!);
    await assert.rejects(take(source, "trimmed", places[0]!, 1), lost(/removed or the topic replaced/));
    await assert.rejects(take(source, "trimmed", after(places[0]!), 1), lost(/removed or the topic replaced/));
  } finally {
    await source.close();
  }
});

Deno.test("openPulsarLog tells that a start lies behind the end: the broker would begin at the first record in silence", async () => {
  const own = await server();
  await own.createTopic("beyond");
  const places = await append(own, "beyond", numbered(5));
  const source = await open(own.address);
  try {
    const { ledger, entry } = pulsarPlace(places[4]!);
    for (const place of [{ ledger, entry: entry + 1n, batch: 0 }, { ledger: ledger + 9n, entry: 0n, batch: 0 }]) {
      await assert.rejects(take(source, "beyond", pulsarPosition(place), 1), lost(/the log was truncated or replaced/));
    }
    await own.createTopic("never-written");
    const { latest } = await source.bounds("never-written", never);
    await assert.rejects(take(source, "never-written", after(latest), 1), lost(/truncated or replaced/));
    await assert.rejects(take(source, "never-written", places[4]!, 1), lost(/is wanted/));
  } finally {
    await source.close();
  }
});

Deno.test("openPulsarLog tells that a topic was deleted and made again while nobody read it", async () => {
  const own = await server();
  await own.createTopic("again");
  const places = await append(own, "again", numbered(5));
  await own.deleteTopic("again");
  await own.createTopic("again");
  const source = await open(own.address);
  try {
    // Empty, with fewer records, and with more.
    await assert.rejects(take(source, "again", places[4]!, 1), lost(/is wanted/));
    for (let i = 0; i < 3; i++) {
      await append(own, "again", numbered(4, 100 * i));
      for (const place of [places[0]!, places[4]!, after(places[4]!)]) {
        await assert.rejects(take(source, "again", place, 1), lost(/removed or the topic replaced/));
      }
    }
  } finally {
    await source.close();
  }
});

Deno.test("openPulsarLog tells that a slow reader was moved on while it was connected", async () => {
  const own = await server();
  await own.createTopic("slow");
  const source = await open(own.address, { receive_bytes: "64KiB" });
  try {
    const value = new Uint8Array(30_000);
    crypto.getRandomValues(value);
    await append(own, "slow", [{ value }]);
    const { earliest } = await source.bounds("slow", never);
    const reading = source.tail("slow", earliest, undefined, never)[Symbol.asyncIterator]();
    assert.equal((await reading.next()).value.records.length, 1);
    // It does not ask for more than it has room for; meanwhile the log passes.
    const places = await append(own, "slow", Array.from({ length: 55 }, () => ({ value })));
    await own.trim("slow", pulsarPlace(places.at(-1)!));
    await append(own, "slow", Array.from({ length: 3 }, () => ({ value })));
    let next = after(earliest);
    const rest = async () => {
      for (;;) {
        const { value: page } = await reading.next();
        for (const { offset } of page.records) {
          const [a, b] = [pulsarPlace(next), pulsarPlace(offset)];
          assert.ok(a.ledger === b.ledger && a.entry + 1n === b.entry || b.entry === 0n, "a gap");
          next = after(offset);
        }
        assert.ok(next < places.at(-1)!, "the log that was trimmed was passed over");
      }
    };
    await assert.rejects(rest(), lost(/removed before it was read|removed or the topic replaced/));
  } finally {
    await source.close();
  }
});

Deno.test("openPulsarLog never keeps writers from writing, however far it is behind", async () => {
  const own = await server();
  await own.createTopic("behind");
  const source = await open(own.address, { receive_bytes: "64KiB" });
  try {
    const value = new Uint8Array(100_000);
    crypto.getRandomValues(value.subarray(0, 65_536));
    await append(own, "behind", [{ value }]);
    const { earliest } = await source.bounds("behind", never);
    const reading = source.tail("behind", earliest, undefined, never)[Symbol.asyncIterator]();
    await reading.next();
    // Twice the quota. What a durable subscription that lags as much does shows when the quota has been looked at.
    await own.createTopic("held");
    await own.rest("PUT", "persistent/public/default/held/subscription/hold");
    for (const topic of ["behind", "held"]) await append(own, topic, Array.from({ length: 40 }, () => ({ value })));
    await eventually("nobody may write to the topic that is held", async () => {
      return await append(own, "held", numbered(1)).then(() => false, () => true);
    });
    await append(own, "behind", Array.from({ length: 5 }, () => ({ value })));
    let read = 1;
    while (read < 46) read += (await reading.next()).value.records.length;
    await reading.return?.();
    assert.deepEqual((await own.subscriptions("behind")).durable, []);
  } finally {
    await source.close();
  }
});

Deno.test("openPulsarLog goes on over a topic that moves, a broker that is killed and one that hangs", async () => {
  const own = await server();
  await own.createTopic("outage");
  const states: string[] = [];
  const source = await open(own.address, { request_timeout_ms: "3s" }, ({ state }) => states.push(state));
  const found: string[] = [];
  const stop = new AbortController();
  await append(own, "outage", numbered(30));
  const { earliest } = await source.bounds("outage", never);
  const reading = (async () => {
    for await (const { records } of source.tail("outage", earliest, undefined, stop.signal)) {
      found.push(...records.map(said));
    }
  })();
  reading.catch(() => {});
  const read = (count: number) =>
    eventually(`${count} records are read`, () => found.length >= count, { progress: () => `${found.length}` });
  try {
    await read(30);
    await own.unload("outage");
    await append(own, "outage", numbered(30, 30));
    await read(60);
    await own.down("SIGKILL");
    await eventually("the source says that the broker is down", () => states.at(-1) === "down");
    await own.up();
    // It recovers the topic's ledger first, and refuses writers until then.
    await eventually("the topic takes writers", async () => {
      await using _producer = await own.producer("outage");
      return true;
    });
    await append(own, "outage", numbered(30, 60), 7);
    await read(90);
    own.signal("SIGSTOP");
    await eventually("the source says that the broker is down again", () => states.at(-1) === "down");
    own.signal("SIGCONT");
    await append(own, "outage", numbered(30, 90));
    await read(120);
    assert.deepEqual(found, numbered(120).map(({ value }) => new TextDecoder().decode(value)));
    assert.equal(states.at(-1), "up");
  } finally {
    stop.abort();
    await assert.rejects(reading, { name: "AbortError" });
    await source.close();
  }
});

Deno.test("openPulsarLog answers unreachable, with the address, where nobody listens", async () => {
  const source = await open("pulsar://127.0.0.1:1");
  try {
    await assert.rejects(source.topics(never), (thrown: unknown) => {
      assert.ok(thrown instanceof TidemarkError);
      assert.equal(thrown.code, "unreachable");
      assert.match(thrown.message, /Pulsar at 127\.0\.0\.1:1 cannot be reached/);
      return true;
    });
    const lines = await source.check(never);
    assert.deepEqual([lines.length, lines[0]!.ok, lines[0]!.code], [1, "fail", "unreachable"]);
  } finally {
    await source.close();
  }
});

Deno.test("openPulsarLog says how many bytes lie behind a place, ledger by ledger, where it may ask", async () => {
  const own = await server();
  await own.createTopic("sized");
  const source = await open(own.address, { admin: own.admin });
  const blind = await open(own.address);
  try {
    assert.equal(await source.measure!("sized", 0n, never), undefined);
    const value = crypto.getRandomValues(new Uint8Array(10_000));
    await append(own, "sized", Array.from({ length: 20 }, () => ({ value })));
    const { earliest, latest } = await source.bounds("sized", never);
    const measure = (await source.measure!("sized", earliest, never))!;
    const bytes = measure.bytes(earliest, latest)!;
    assert.ok(bytes >= 200_000n && bytes < 210_000n, `${bytes}`);
    assert.equal(measure.bytes(latest, latest), 0n);
    assert.equal(await blind.measure!("sized", earliest, never), undefined);
  } finally {
    await source.close();
    await blind.close();
  }
});

Deno.test("openPulsarLog says in check what the namespace keeps, where it may ask", async () => {
  const own = await server();
  const line = async (extra: Record<string, unknown>) => {
    const source = await open(own.address, extra);
    try {
      return (await source.check(never)).find(({ what }) => what === "pulsar retention")!;
    } finally {
      await source.close();
    }
  };
  assert.match((await line({})).detail, /not known: sources\.log\.admin names no web service/);
  await own.setRetention(10_080);
  assert.deepEqual([(await line({ admin: own.admin })).ok], ["ok"]);
  assert.match((await line({ admin: own.admin })).detail, /10080 minutes, without a limit of size/);
  await own.setRetention(0);
  assert.match(
    (await line({ admin: own.admin })).detail,
    /keeps nothing that Milvus has read.*set-retention public\/default/,
  );
  await own.setRetention(60, 100);
  assert.deepEqual([(await line({ admin: own.admin })).ok], ["warn"]);
  await own.setRetention(10_080);
  assert.match((await line({ admin: "http://127.0.0.1:1" })).detail, /^not known: http:\/\/127\.0\.0\.1:1 answers/);
});

Deno.test("openPulsarLog knows a topic again in another process, moves on with what it reads, and forgives what retention took", async () => {
  const own = await server();
  await own.createTopic("known");
  const known = async (id: string) => {
    const source = await open(own.address);
    try {
      return (await source.bounds("known", never, id)).topicId;
    } finally {
      await source.close();
    }
  };
  const page = async (from: Position, topicId: string) => {
    const source = await open(own.address);
    try {
      for await (const { records, topicId: id } of source.tail("known", from, topicId, never)) {
        if (records.length > 0) return { id: id!, records };
      }
      throw new Error("the tail ended");
    } finally {
      await source.close();
    }
  };
  assert.equal(await known(""), "", "nothing is there yet that could bear witness");
  const places = await append(own, "known", numbered(25), 5);
  const last = await known("");
  const { ledger, entry } = pulsarPlace(places.at(-1)!);
  assert.match(last, new RegExp(`^${ledger}:${entry} `));
  assert.equal(await known(last), last);
  const { id, records } = await page(places[0]!, last);
  assert.match(
    id,
    new RegExp(`^${pulsarPlace(records.at(-1)!.offset).ledger}:${pulsarPlace(records.at(-1)!.offset).entry} `),
  );
  assert.equal(await known(id), id);
  // Another message at the place, or none.
  for (const other of [`${id}1`, `${ledger}:${entry + 1n} 1 a 1`, `${ledger + 5n}:0 1 a 1`, "a topic of Kafka"]) {
    assert.notEqual(await known(other), other);
    await assert.rejects(page(places.at(-1)!, other), lost(/is another one than|of another queue/));
  }
  await own.unload("known");
  const later = await append(own, "known", numbered(12, 25));
  await own.trim("known", pulsarPlace(later.at(-1)!));
  assert.equal(await known(id), id, "what is gone proves nothing");
  assert.equal((await page(later.at(-1)!, id)).records.length, 1);
});

for (const generation of [1, 2] as const) {
  testKilledRuns(`Pulsar of generation ${generation}`, async () => pulsarQueue(await server(), generation), 1);
}

/** Last of all: nothing of what was written before is there any more. */
Deno.test("openPulsarLog tells in the next process that the server was rebuilt, also where its ledgers have the old ids", async () => {
  const own = await server();
  await own.createTopic("rebuilt");
  const places = await append(own, "rebuilt", numbered(LEDGER_ENTRIES + 5));
  const read = async (from: Position, topicId: string, count: number) => {
    const source = await open(own.address);
    try {
      let id = topicId;
      let found = 0;
      for await (const page of source.tail("rebuilt", from, topicId, never)) {
        found += page.records.length;
        id = page.topicId ?? id;
        if (found >= count) return id;
      }
      throw new Error("the tail ended");
    } finally {
      await source.close();
    }
  };
  const identity = async (known: string) => {
    const source = await open(own.address);
    try {
      return await source.bounds("rebuilt", never, known);
    } finally {
      await source.close();
    }
  };
  const place = places.at(-3)!;
  const first = (await identity("")).topicId;
  const known = await read(place, first, 3);
  assert.equal(await read(place, known, 3), known);
  await own.rebuild();
  await own.createTopic("rebuilt");
  // Up to the very ledger, and beyond the very entry.
  for (let at = -1n; at <= pulsarPlace(place).ledger;) {
    at = pulsarPlace((await append(own, "rebuilt", numbered(LEDGER_ENTRIES))).at(-1)!).ledger;
  }
  const { earliest, latest, topicId } = await identity(known);
  assert.ok(earliest < place && place < latest, "the old place is one of the new log");
  assert.notEqual(topicId, known);
  await assert.rejects(read(place, known, 1), lost(/made anew or its server rebuilt|is another one than/));
  assert.notEqual(await read(place, "", 1), known, "without a witness nothing tells it");
});

Deno.test({
  name: "the Pulsar of the tests stops",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    await (await server())[Symbol.asyncDispose]();
  },
});
