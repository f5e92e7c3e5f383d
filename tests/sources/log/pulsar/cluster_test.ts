/** The reader against stand-ins for several brokers and for a proxy. */
import assert from "node:assert/strict";
import { TidemarkError } from "../../../../pipeline/errors.ts";
import type { LogRecord, LogSource, Position } from "../../../../pipeline/model/mod.ts";
import { pulsarPlace } from "../../../../pipeline/positions/mod.ts";
import { BaseCommand_Type as Type, ServerError } from "../../../../pipeline/proto/gen/pulsar_api_pb.ts";
import { type LogState, openPulsarLog, pulsarLogSpec } from "../../../../sources/log/mod.ts";
import { testLogSource } from "../../../conformance/log.ts";
import { PulsarCluster } from "../../../fakes/pulsar_cluster.ts";

const never = new AbortController().signal;

function open({ address }: PulsarCluster, sleep?: () => Promise<void>): Promise<LogSource> {
  const config = pulsarLogSpec.parse({ type: "pulsar", address, request_timeout_ms: "5s" });
  return openPulsarLog(config, sleep === undefined ? {} : { sleep });
}

function numbered(count: number, first = 0): { value: Uint8Array }[] {
  return Array.from({ length: count }, (_, i) => ({ value: new TextEncoder().encode(`${first + i}`) }));
}

const texts = (count: number) => Array.from({ length: count }, (_, i) => `${i}`);
const said = ({ value }: LogRecord) => new TextDecoder().decode(value!);

async function take(source: LogSource, topic: string, from: Position, count: number): Promise<string[]> {
  const found: string[] = [];
  for await (const { records } of source.tail(topic, from, undefined, never)) {
    found.push(...records.map(said));
    if (found.length >= count) break;
  }
  return found;
}

const connects = ({ asked }: PulsarCluster) =>
  asked.filter(({ command }) => command.type === Type.CONNECT).map(({ at, through }) => `${through} ${at}`);

testLogSource("openPulsarLog, stand-in,", async () => {
  const cluster = new PulsarCluster({ brokers: 2 });
  const source = await open(cluster, () => Promise.resolve());
  let topics = 0;
  return {
    source,
    createTopic: (topic) => Promise.resolve(cluster.createTopic(topic, topics++ % 2)),
    deleteTopic: (topic) => Promise.resolve(cluster.deleteTopic(topic)),
    append: (topic, values) => Promise.resolve(cluster.append(topic, values, values.length > 30 ? 20 : 0)),
    deleteRecords: (topic, before) => Promise.resolve(cluster.trim(topic, pulsarPlace(before).ledger)),
    close: async () => {
      await source.close();
      await cluster[Symbol.asyncDispose]();
    },
  };
}, { counted: false, binaryHeaders: false });

Deno.test("openPulsarLog goes where the brokers send it, and asks there as it was told to", async () => {
  await using cluster = new PulsarCluster({ brokers: 3 });
  // Only the leader, which is the second, knows who serves a topic.
  cluster.redirects.set(0, 1);
  for (const [i, topic] of ["a", "b", "c"].entries()) {
    cluster.createTopic(topic, i);
    cluster.append(topic, numbered(25));
  }
  const source = await open(cluster);
  try {
    for (const topic of ["a", "b", "c"]) {
      const { earliest } = await source.bounds(topic, never);
      assert.deepEqual(await take(source, topic, earliest, 25), texts(25));
    }
  } finally {
    await source.close();
  }
  const lookups = cluster.asked.flatMap(({ at, command: { lookupTopic } }) =>
    lookupTopic === undefined ? [] : [`${lookupTopic.topic.slice(-1)} ${at} ${lookupTopic.authoritative}`]
  );
  assert.deepEqual([...new Set(lookups)], ["a 0 false", "b 0 false", "b 1 true", "c 0 false", "c 1 true"]);
  assert.deepEqual(connects(cluster), ["broker 0", "broker 1", "broker 2"], "one connection to each");
});

Deno.test("openPulsarLog reads all brokers through their proxy and connects to none of them", async () => {
  await using cluster = new PulsarCluster({ brokers: 2, proxy: true });
  for (const [i, topic] of ["a", "b", "c"].entries()) {
    cluster.createTopic(topic, i % 2);
    cluster.append(topic, numbered(25), 5);
  }
  const source = await open(cluster);
  try {
    assert.deepEqual(await source.topics(never), ["a", "b", "c"]);
    for (const topic of ["a", "b", "c"]) {
      const { earliest } = await source.bounds(topic, never);
      assert.deepEqual(await take(source, topic, earliest, 25), texts(25));
    }
  } finally {
    await source.close();
  }
  assert.deepEqual(connects(cluster), ["proxy -1", "proxy 0", "proxy 1"]);
  const targets = cluster.asked.flatMap(({ command: { connect } }) => connect?.proxyToBrokerUrl ?? []);
  assert.deepEqual(targets.filter((target) => target !== ""), [cluster.addressOf(0), cluster.addressOf(1)]);
});

for (const proxy of [false, true]) {
  Deno.test(`openPulsarLog goes on where a topic moved to while it was read, ${proxy ? "through" : "without"} a proxy`, async () => {
    await using cluster = new PulsarCluster({ brokers: 3, proxy });
    cluster.createTopic("t", 0);
    cluster.append("t", numbered(7));
    const source = await open(cluster, () => Promise.resolve());
    try {
      const { earliest } = await source.bounds("t", never);
      const found: string[] = [];
      let moves = 0;
      for await (const { records } of source.tail("t", earliest, undefined, never)) {
        found.push(...records.map(said));
        if (found.length === 49) break;
        if (found.length !== 7 * (moves + 1)) continue;
        cluster.move("t", ++moves % 3);
        cluster.append("t", numbered(7, 7 * moves));
      }
      assert.deepEqual(found, texts(49));
      assert.equal(moves, 6);
    } finally {
      await source.close();
    }
  });
}

Deno.test("openPulsarLog waits for a topic that moves while a run begins, and says at once that there is none", async () => {
  await using cluster = new PulsarCluster({ brokers: 2 });
  cluster.createTopic("t", 1);
  cluster.append("t", numbered(3));
  let refusals = 0;
  cluster.intercept = ({ command: { subscribe } }) =>
    subscribe === undefined || refusals++ > 2 ? undefined : {
      type: Type.ERROR,
      error: { requestId: subscribe.requestId, error: ServerError.ServiceNotReady, message: "is being unloaded" },
    };
  let waits = 0;
  const source = await open(cluster, () => Promise.resolve(void waits++));
  try {
    const { earliest } = await source.bounds("t", never);
    assert.equal(waits, 3);
    assert.deepEqual(await take(source, "t", earliest, 3), texts(3));
    await assert.rejects(
      source.bounds("none", never),
      (thrown) => thrown instanceof TidemarkError && thrown.code === "not_found",
    );
    assert.equal(waits, 3);
  } finally {
    await source.close();
  }
});

Deno.test("openPulsarLog reads the only partition of a topic, and refuses one that has several", async () => {
  await using cluster = new PulsarCluster();
  cluster.partitions.set("one", 1).set("three", 3);
  for (const topic of ["one-partition-0", "three-partition-0", "three-partition-1"]) cluster.createTopic(topic);
  cluster.append("one-partition-0", numbered(5));
  const source = await open(cluster);
  try {
    assert.deepEqual(await source.topics(never), ["one", "three"]);
    const { earliest } = await source.bounds("one", never);
    assert.deepEqual(await take(source, "one", earliest, 5), texts(5));
    await assert.rejects(source.bounds("three", never), /Topic three has 3 partitions: they have no order/);
  } finally {
    await source.close();
  }
});

Deno.test("openPulsarLog gives up where brokers send a question in circles", async () => {
  await using cluster = new PulsarCluster({ brokers: 3 });
  cluster.redirects.set(0, 1).set(1, 0);
  cluster.createTopic("t", 2);
  const config = pulsarLogSpec.parse({ type: "pulsar", address: cluster.address, request_timeout_ms: "1s" });
  const source = await openPulsarLog(config);
  try {
    await assert.rejects(source.bounds("t", never), /sent the question for .*t on 20 times/);
  } finally {
    await source.close();
  }
});

Deno.test("openPulsarLog says what to do where a broker sends nothing of what it has, and goes on when it does", async () => {
  await using cluster = new PulsarCluster();
  cluster.createTopic("a");
  cluster.append("a", numbered(5));
  let stands = true;
  // What it may send, it does not hear.
  cluster.intercept = ({ command }) => stands && command.type === Type.FLOW ? { type: Type.PONG, pong: {} } : undefined;
  const states: LogState[] = [];
  const config = pulsarLogSpec.parse({ type: "pulsar", address: cluster.address, request_timeout_ms: "1s" });
  const source = await openPulsarLog(config, {
    onState: (state) => {
      states.push(state);
      stands = false;
    },
    sleep: () => Promise.resolve(),
  });
  try {
    const { earliest } = await source.bounds("a", never);
    assert.deepEqual(await take(source, "a", earliest, 5), texts(5));
  } finally {
    await source.close();
  }
  assert.deepEqual(states.map(({ topic, state }) => [topic, state]), [["a", "down"], ["a", "up"]]);
  assert.match(
    states[0]!.reason,
    /^The log goes on to 1:4:1, but the broker sends nothing behind 1:0:0\. Where that lasts, .*topics unload persistent:\/\/public\/default\/a$/,
  );
});
