import assert from "node:assert/strict";
import { TidemarkError } from "../../../../pipeline/errors.ts";
import { kafkaLogSpec, type LogState, openKafkaLog } from "../../../../sources/log/mod.ts";
import { testLogSource } from "../../../conformance/log.ts";
import { Broker } from "../../../stack/broker.ts";
import { eventually } from "../../../stack/eventually.ts";

const never = new AbortController().signal;
const text = new TextEncoder();

/** One broker for the whole file, stopped by its last test. */
const shared: { broker?: Promise<Broker> } = {};
const broker = () => shared.broker ??= Broker.start();

async function open(address: string, extra: Record<string, unknown> = {}, onState?: (state: LogState) => void) {
  const config = kafkaLogSpec.parse({ type: "kafka", brokers: [address], ...extra });
  return await openKafkaLog(config, onState === undefined ? {} : { onState });
}

Deno.test({
  name: "a broker of the tests' own starts",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    assert.match((await broker()).address, /^127\.0\.0\.1:\d+$/);
  },
});

testLogSource("openKafkaLog", async () => {
  const own = await broker();
  const source = await open(own.address, { max_wait_ms: "2s" });
  return {
    source,
    createTopic: (topic) => own.createTopic(topic),
    deleteTopic: (topic) => own.deleteTopic(topic),
    append: (topic, values) => own.produce(topic, values),
    deleteRecords: (topic, before) => own.deleteRecords(topic, before),
    close: () => source.close(),
  };
});

Deno.test("openKafkaLog reads batches of every compression and size", async () => {
  const own = await broker();
  await own.createTopic("mixed");
  const large = new Uint8Array(3_000_000);
  for (let i = 0; i < large.length; i += 65_536) crypto.getRandomValues(large.subarray(i, i + 65_536));
  for (const compression of ["none", "gzip", "zstd"] as const) {
    await own.produce("mixed", [{ value: text.encode(compression) }, { value: large }], { compression });
  }
  const source = await open(own.address, { partition_max_bytes: "64KiB", fetch_max_bytes: "64KiB" });
  try {
    const values: Uint8Array[] = [];
    for await (const { records } of source.tail("mixed", 0n, undefined, never)) {
      values.push(...records.map((record) => record.value!));
      if (values.length === 6) break;
    }
    assert.deepEqual(values.map((value) => value.length), [4, 3_000_000, 4, 3_000_000, 4, 3_000_000]);
    assert.deepEqual(new Uint8Array(values[5]!), large);
  } finally {
    await source.close();
  }
});

Deno.test("openKafkaLog survives a broker that is killed, stopped and hung, without a gap or a double", async () => {
  const own = await broker();
  await own.createTopic("outage");
  const states: string[] = [];
  const source = await open(own.address, { request_timeout_ms: "2s" }, ({ state }) => states.push(state));
  const offsets: bigint[] = [];
  const stop = new AbortController();
  const { promise: complete, resolve } = Promise.withResolvers<void>();
  const reading = (async () => {
    for await (const { records } of source.tail("outage", 0n, undefined, stop.signal)) {
      for (const { offset } of records) offsets.push(offset);
      if (offsets.length >= 400) resolve();
    }
  })();
  reading.catch(() => {});
  try {
    const write = () => own.produce("outage", Array.from({ length: 100 }, (_, i) => ({ value: text.encode(`${i}`) })));
    await write();
    await own.down("SIGKILL");
    await eventually("the source says that the broker is down", () => states.at(-1) === "down");
    await own.up();
    await write();
    await own.down("SIGTERM");
    await own.up();
    await write();
    own.signal("SIGSTOP");
    await eventually("the source says that the broker is down again", () => states.at(-1) === "down");
    own.signal("SIGCONT");
    await write();
    await complete;
    assert.deepEqual(offsets, Array.from({ length: 400 }, (_, i) => BigInt(i)));
    assert.ok(states.includes("down") && states.at(-1) === "up", states.join());
    const changes = states.filter((state, i) => state !== states[i - 1]);
    assert.deepEqual(changes, changes.map((_, i) => i % 2 === 0 ? "down" : "up"));
  } finally {
    stop.abort();
    await assert.rejects(reading, { name: "AbortError" });
    await source.close();
  }
});

Deno.test("openKafkaLog stops in the middle of an outage", async () => {
  const own = await broker();
  await own.createTopic("stop");
  const { promise: down, resolve } = Promise.withResolvers<void>();
  const source = await open(own.address, {}, ({ state }) => state === "down" && resolve());
  const stop = new AbortController();
  const reading = (async () => {
    for await (const _ of source.tail("stop", 0n, undefined, stop.signal)) { /* waits */ }
  })();
  reading.catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, 300));
  await own.down("SIGTERM");
  await down;
  stop.abort();
  await assert.rejects(reading, { name: "AbortError" });
  await source.close();
  await own.up();
});

Deno.test("openKafkaLog says how long a topic keeps its records, of its own or by the broker's default", async () => {
  const own = await broker();
  await own.createTopic("kept", { "retention.ms": "7200000" });
  await own.createTopic("bounded", { "retention.ms": "-1", "retention.bytes": "1000000" });
  await own.createTopic("default");
  const source = await open(own.address);
  try {
    for (const topic of ["kept", "bounded", "default"]) {
      await eventually(`${topic} is known`, async () => await source.retention!(topic, never) !== undefined);
    }
    assert.deepEqual(await source.retention!("kept", never), { ms: 7_200_000, why: "" });
    const bounded = await source.retention!("bounded", never);
    assert.equal(bounded.ms, undefined);
    assert.match(bounded.why, /^retention\.bytes is 1000000/);
    assert.equal((await source.retention!("default", never)).ms, 604_800_000);
    await assert.rejects(async () => await source.retention!("nothing", never), TidemarkError);
  } finally {
    await source.close();
  }
});

Deno.test("openKafkaLog says how many bytes lie behind a place, by the size of the topic on the broker's disk", async () => {
  const own = await broker();
  await own.createTopic("sized");
  const source = await open(own.address);
  const value = crypto.getRandomValues(new Uint8Array(10_000));
  try {
    await own.produce("sized", Array.from({ length: 40 }, () => ({ value })), { compression: "none" });
    const measure = (await source.measure!("sized", 0n, never))!;
    const bytes = measure.bytes(10n, 40n)!;
    assert.ok(bytes >= 300_000n && bytes < 310_000n, `${bytes}`);
    assert.equal(measure.bytes(40n, 40n), 0n);
    await own.createTopic("empty");
    assert.equal(await source.measure!("empty", 0n, never), undefined);
  } finally {
    await source.close();
  }
});

Deno.test("openKafkaLog loses its position when retention passes it while it is away", async () => {
  const own = await broker();
  await own.createTopic("retention");
  await own.produce("retention", Array.from({ length: 10 }, (_, i) => ({ value: text.encode(`${i}`) })));
  const source = await open(own.address);
  try {
    const reading = source.tail("retention", 0n, undefined, never)[Symbol.asyncIterator]();
    await reading.next();
    // The response that is fetched ahead waits at the end of the log; what comes next is removed before it is read.
    await own.produce("retention", [{ value: text.encode("ahead") }]);
    await own.produce("retention", Array.from({ length: 10 }, (_, i) => ({ value: text.encode(`${i}`) })));
    await own.deleteRecords("retention", 21n);
    const rest = async () => {
      const seen: bigint[] = [];
      while (true) {
        const { value } = await reading.next();
        for (const { offset } of value.records) seen.push(offset);
        if (seen.length >= 11) throw new TidemarkError("position_lost", "everything was read before");
      }
    };
    await assert.rejects(
      rest(),
      (thrown: unknown) => thrown instanceof TidemarkError && thrown.code === "position_lost",
    );
    await reading.return?.();
  } finally {
    await source.close();
  }
});

Deno.test("openKafkaLog answers unreachable, with the broker's address, where nobody listens", async () => {
  const source = await open("127.0.0.1:1");
  try {
    await assert.rejects(source.topics(never), (thrown: unknown) => {
      assert.ok(thrown instanceof TidemarkError);
      assert.equal(thrown.code, "unreachable");
      assert.match(thrown.message, /Kafka at 127\.0\.0\.1:1 cannot be reached/);
      return true;
    });
    const lines = await source.check(never);
    assert.deepEqual([lines.length, lines[0]!.ok, lines[0]!.code], [1, "fail", "unreachable"]);
  } finally {
    await source.close();
  }
});

Deno.test("openKafkaLog refuses a batch that rotted on the broker's disk", async () => {
  const own = await broker();
  await own.createTopic("rotten");
  await own.produce("rotten", [{ value: text.encode("as it was written") }]);
  await own.rot("rotten", text.encode("was written"));
  const source = await open(own.address);
  try {
    await assert.rejects(
      source.tail("rotten", 0n, undefined, never)[Symbol.asyncIterator]().next(),
      (thrown) => {
        assert.ok(thrown instanceof TidemarkError);
        assert.equal(thrown.code, "damaged");
        assert.match(thrown.message, /batch at offset 0 of rotten has the checksum [0-9a-f]{8}, .* [0-9a-f]{8}$/);
        return true;
      },
    );
  } finally {
    await source.close();
  }
});

Deno.test({
  name: "the broker of the tests stops",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    await (await broker())[Symbol.asyncDispose]();
  },
});

Deno.test("openKafkaLog tells wrong credentials from an unreachable broker, and never shows them", async () => {
  await using own = await Broker.start({ users: { reader: "right-password" } });
  await own.createTopic("t");
  await own.produce("t", [{ value: text.encode("x") }]);
  const sasl = (password: string) => ({ sasl: { mechanism: "PLAIN", username: "reader", password } });
  const good = await open(own.address, sasl("right-password"));
  const wrong = await open(own.address, sasl("wrong-password"));
  const none = await open(own.address);
  try {
    assert.deepEqual(await good.topics(never), ["t"]);
    for await (const { records } of good.tail("t", 0n, undefined, never)) {
      assert.equal(records.length, 1);
      break;
    }
    const refused = (thrown: unknown) => {
      assert.ok(thrown instanceof TidemarkError);
      assert.equal(thrown.code, "authentication");
      assert.equal(thrown.exitCode, 12);
      assert.doesNotMatch(Deno.inspect(thrown, { depth: 20 }), /wrong-password/);
      return true;
    };
    await assert.rejects(wrong.topics(never), refused);
    await assert.rejects(wrong.bounds("t", never), refused);
    await assert.rejects(
      wrong.tail("t", 0n, undefined, never)[Symbol.asyncIterator]().next(),
      refused,
    );
    assert.equal((await wrong.check(never))[0]?.code, "authentication");
    await assert.rejects(none.topics(never), TidemarkError);
  } finally {
    await Promise.all([good.close(), wrong.close(), none.close()]);
  }
});

Deno.test("openKafkaLog reads the password from its file, and again when the brokers refuse it", async () => {
  await using own = await Broker.start({ users: { reader: "from-a-file" } });
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, "from-a-file\n");
    const source = await open(own.address, { sasl: { username: "reader", password_file: path } });
    assert.deepEqual(await source.topics(never), []);
    await source.close();
    await Deno.writeTextFile(path, "of yesterday");
    const rotated = await open(own.address, { sasl: { username: "reader", password_file: path } });
    await assert.rejects(rotated.topics(never), { code: "authentication" });
    await Deno.writeTextFile(path, "from-a-file");
    assert.deepEqual(await rotated.topics(never), []);
    await rotated.close();
  } finally {
    await Deno.remove(path);
  }
});
