/**
 * The log sources beside each other: the same records written to Kafka, to Pulsar as either generation of Milvus writes them, and
 * to Woodpecker's objects in S3, and read from the beginning by a process of its own; then single records, from the queue's
 * acknowledgement until they are read, and what Woodpecker asks of the store meanwhile.
 *
 *     deno run -A tests/bench/queues.ts [--small]
 */
import { connectEtcd } from "../../stores/mod.ts";
import { CompressionType } from "../../pipeline/proto/gen/pulsar_api_pb.ts";
import { EtcdKeys } from "../fakes/etcd_keys.ts";
import { WoodpeckerWriter } from "../fakes/woodpecker_writer.ts";
import { Broker } from "../stack/broker.ts";
import { openBucket } from "../stack/bucket.ts";
import { startStack } from "../stack/mod.ts";
import { PulsarStandalone } from "../stack/pulsar/standalone.ts";
import { numberArgument } from "./arguments.ts";
import { openQueue, type QueueConfig, type Read, readApart } from "./queue_reader.ts";
import { countRequests } from "./request_counter.ts";
import { note } from "./rig.ts";
import { fixed, printFigure, quantile, thousands } from "./table.ts";

const BUCKET = "bench-queues";
const ROUNDS = numberArgument("rounds", 3, 1);
const SINGLE = numberArgument("single", 200, 20);
const IDLE_SECONDS = numberArgument("idle", 30, 5);
const SHAPES = [
  { name: "1 KB", size: 1000, count: numberArgument("records", 60_000, 2_000) },
  { name: "64 KB", size: 64_000, count: numberArgument("large", 2_000, 50) },
] as const;
/** Records of a block of Woodpecker, of a batch of Kafka's and of generation 2: what Milvus gathers in some milliseconds. */
const TOGETHER = 100;
/** Milvus closes a block every 200 ms, the others write when something is there. */
const BLOCK_MS = 200;
const RECORD_MS = 20;
/** Blocks of a segment. */
const SEGMENT_BLOCKS = 100;
/** Single records until a reader has learned when the next one is due. */
const LEARNING = Math.min(50, Math.floor(SINGLE / 2));

type Messages = readonly { readonly value: Uint8Array }[];

/** One queue as it is written to; `send` resolves when the queue has acknowledged. */
interface Queue {
  readonly name: string;
  /** Of its topics. */
  readonly prefix: string;
  readonly config: QueueConfig;
  readonly everyMs: number;
  create(topic: string): Promise<void>;
  send(topic: string, messages: Messages): Promise<void>;
}

/** Vectors do not compress; keys and texts beside them do. */
function* messages(size: number, count: number): Generator<{ value: Uint8Array }> {
  const pool = new Uint8Array(1 << 20);
  for (let at = 0; at < pool.length; at += 65_536) crypto.getRandomValues(pool.subarray(at, at + 65_536));
  const text = new TextEncoder().encode("some words about a row, as they come. ".repeat(1 + size / 38));
  for (let i = 0; i < count; i++) {
    const value = new Uint8Array(size);
    const random = Math.floor(size * 0.8);
    const from = (i * 7919) % (pool.length - random);
    value.set(pool.subarray(from, from + random));
    value.set(text.subarray(0, size - random), random);
    yield { value };
  }
}

async function fill(queue: Queue, topic: string, size: number, count: number): Promise<void> {
  await queue.create(topic);
  const chunk = Math.max(1, Math.min(TOGETHER, Math.floor(4_000_000 / size)));
  let waiting: { value: Uint8Array }[] = [];
  for (const message of messages(size, count)) {
    waiting.push(message);
    if (waiting.length < chunk) continue;
    await queue.send(topic, waiting);
    waiting = [];
  }
  if (waiting.length > 0) await queue.send(topic, waiting);
}

/** Of the rounds, the one that took the least time. */
async function throughput(queue: Queue): Promise<string[][]> {
  const rows: string[][] = [];
  for (const { name, size, count } of SHAPES) {
    const topic = `${queue.prefix}-${size}`;
    note(`${queue.name}: ${count} records of ${name}`);
    await fill(queue, topic, size, count);
    let best: Read | undefined;
    for (let i = 0; i < ROUNDS; i++) {
      const read = await readApart(queue.config, topic, count);
      if (best === undefined || read.seconds < best.seconds) best = read;
    }
    const { seconds, cpu, bytes, peak } = best!;
    rows.push([
      `${queue.name}, ${name}`,
      thousands(count / seconds),
      fixed(bytes / 1e6 / seconds, 0),
      fixed(cpu / (bytes / 1e9), 1),
      fixed(peak, 0),
    ]);
  }
  return rows;
}

/** ms from the acknowledgement of each single record until it was read. `learned` is called where the reader knows its writer. */
async function latency(queue: Queue, learned: () => void = () => {}): Promise<number[]> {
  const topic = `${queue.prefix}-single`;
  await queue.create(topic);
  await queue.send(topic, [{ value: new TextEncoder().encode("-1") }]);
  const source = await openQueue(queue.config);
  const stop = new AbortController();
  const readAt: number[] = [];
  const all = Promise.withResolvers<void>();
  const { earliest } = await source.bounds(topic, stop.signal);
  const reading = (async () => {
    for await (const { records } of source.tail(topic, earliest, undefined, stop.signal)) {
      for (const { value } of records) readAt[parseInt(new TextDecoder().decode(value!), 10)] = performance.now();
      if (readAt.length === SINGLE) all.resolve();
    }
  })().catch((error) => stop.signal.aborted ? undefined : all.reject(error));
  const delays: (() => number)[] = [];
  for (let i = 0; i < SINGLE; i++) {
    if (i === LEARNING) learned();
    await queue.send(topic, [{ value: new TextEncoder().encode(String(i)) }]);
    const acknowledged = performance.now();
    // Read before the writer had its answer: no delay.
    delays.push(() => Math.max(0, readAt[i]! - acknowledged));
    await new Promise((resolve) => setTimeout(resolve, queue.everyMs));
  }
  await all.promise;
  stop.abort();
  await reading;
  await source.close();
  return delays.map((delay) => delay());
}

async function kafka(broker: Broker): Promise<Queue> {
  return await Promise.resolve({
    name: "Kafka",
    prefix: "kafka",
    config: { log: { type: "kafka", brokers: [broker.address] } },
    everyMs: RECORD_MS,
    create: (topic) => broker.createTopic(topic),
    send: (topic, messages) => broker.produce(topic, messages, { batch: messages.length }),
  });
}

/** As generation 1 writes: an entry a record, zstd; as 2: batches, plain. */
function pulsar(server: PulsarStandalone, generation: 1 | 2): Queue {
  const producers = new Map<string, Awaited<ReturnType<PulsarStandalone["producer"]>>>();
  return {
    name: generation === 1 ? "Pulsar, an entry a record, zstd" : "Pulsar, batches, plain",
    prefix: `pulsar-${generation}`,
    config: { log: { type: "pulsar", address: server.address } },
    everyMs: RECORD_MS,
    async create(topic) {
      await server.createTopic(topic);
      producers.set(topic, await server.producer(topic));
    },
    async send(topic, messages) {
      const how = generation === 1
        ? { window: 50, compression: CompressionType.ZSTD }
        : { batch: messages.length, compression: CompressionType.NONE };
      await producers.get(topic)!.send(messages, how);
    },
  };
}

/** The keys that the writer puts, in a real etcd as well. */
class MirroredKeys extends EtcdKeys {
  readonly #client: ReturnType<typeof connectEtcd>;
  #last: Promise<unknown> = Promise.resolve();

  constructor(client: ReturnType<typeof connectEtcd>) {
    super();
    this.#client = client;
  }

  override put(key: string, value: Uint8Array | string): void {
    super.put(key, value);
    this.#last = this.#last.then(() => this.#client.put(key, value));
  }

  async settled(): Promise<void> {
    await this.#last;
  }
}

function woodpecker(
  writer: WoodpeckerWriter,
  keys: MirroredKeys,
  env: Record<string, string>,
  endpoint: string,
): Queue {
  const blocks = new Map<string, number>();
  return {
    name: "Woodpecker, S3",
    prefix: "woodpecker",
    config: {
      log: {
        type: "woodpecker",
        meta_prefix: "woodpecker",
        root_path: "files/wp",
        storage: {
          type: "s3",
          endpoint,
          bucket: BUCKET,
          access_key_id: env.S3_ACCESS_KEY,
          secret_access_key: env.S3_SECRET_KEY,
        },
      },
      etcd: env.ETCD_ENDPOINT!,
    },
    everyMs: BLOCK_MS,
    async create(topic) {
      writer.create(topic);
      blocks.set(topic, 0);
      await keys.settled();
    },
    async send(topic, messages) {
      const written = blocks.get(topic)!;
      if (written > 0 && written % SEGMENT_BLOCKS === 0) {
        const full = writer.last(topic);
        writer.begin(topic);
        await writer.fence(topic, full);
        writer.complete(topic, full);
        await keys.settled();
      }
      blocks.set(topic, written + 1);
      await writer.append(topic, messages);
    },
  };
}

async function main(): Promise<void> {
  const speeds: string[][] = [];
  const delays: string[][] = [];
  const requests: string[][] = [];
  const measure = async (queue: Queue) => {
    speeds.push(...await throughput(queue));
    note(`${queue.name}: ${SINGLE} single records`);
    const found = await latency(queue);
    delays.push([queue.name, fixed(quantile(found, 0.5), 1), fixed(quantile(found, 0.95), 1)]);
  };
  await using stack = await startStack("full", { without: ["kafka", "source", "target", "lite"], log: note });
  Deno.env.set("TIDEMARK_STACK_ENV", stack.envFile);
  const broker = await Broker.start();
  try {
    await measure(await kafka(broker));
  } finally {
    await broker[Symbol.asyncDispose]();
  }
  {
    await using server = await PulsarStandalone.start({ isMeasured: true });
    for (const generation of [1, 2] as const) await measure(pulsar(server, generation));
  }
  await using counter = countRequests(stack.env.S3_ENDPOINT!);
  await using client = connectEtcd({ endpoints: [stack.env.ETCD_ENDPOINT!], timeoutMs: 5000 });
  const keys = new MirroredKeys(client);
  // The writer's own requests do not pass the counter.
  await Deno.mkdir(`${stack.dir}/s3/data/${BUCKET}`);
  const store = openBucket(stack.env, BUCKET);
  const queue = woodpecker(new WoodpeckerWriter(store, keys), keys, stack.env, counter.endpoint);
  speeds.push(...await throughput(queue));
  let began = 0;
  const found = await latency(queue, () => {
    counter.take();
    began = performance.now();
  });
  requests.push(rate(`a block every 200 ms, behind the first ${LEARNING}`, counter.take(), began));
  delays.push([queue.name, fixed(quantile(found, 0.5), 1), fixed(quantile(found, 0.95), 1)]);
  requests.push(await idle(queue, counter));
  await store.close();
  print(speeds, delays, requests);
}

/** Requests a second and channel since `began`. */
function rate(what: string, taken: ReadonlyMap<string, number>, began: number): string[] {
  const seconds = (performance.now() - began) / 1000;
  const count = [...taken.values()].reduce((sum, value) => sum + value, 0);
  return [what, fixed(count / seconds), [...taken].map(([kind, value]) => `${value} ${kind}`).join(", ")];
}

/** A reader at the end of a log to which nobody writes. */
async function idle(queue: Queue, counter: ReturnType<typeof countRequests>): Promise<string[]> {
  note(`${queue.name}: idle for ${IDLE_SECONDS} s`);
  const source = await openQueue(queue.config);
  const stop = new AbortController();
  const topic = `${queue.prefix}-single`;
  const { latest } = await source.bounds(topic, stop.signal);
  const reading = (async () => {
    for await (const _ of source.tail(topic, latest, undefined, stop.signal)) { /* nothing comes */ }
  })().catch(() => {});
  // Its back-off has grown by then.
  await new Promise((resolve) => setTimeout(resolve, 10_000));
  counter.take();
  const began = performance.now();
  await new Promise((resolve) => setTimeout(resolve, IDLE_SECONDS * 1000));
  const row = rate("nothing", counter.take(), began);
  stop.abort();
  await reading;
  await source.close();
  return row;
}

function print(speeds: string[][], delays: string[][], requests: string[][]): void {
  const command = "deno task bench queues";
  printFigure({
    title: "Reading a log from its beginning",
    command,
    head: ["queue and record", "records/s", "MB/s", "CPU s per GB", "peak RSS MiB"],
    rows: speeds,
    notes: [
      `${
        SHAPES.map(({ name, count }) => `${count} of ${name}`).join(", ")
      }; the fastest of ${ROUNDS}; the client alone, undecoded.`,
      "Woodpecker's objects are written by the tests' own writer.",
    ],
  });
  printFigure({
    title: "From the queue's acknowledgement to the record read",
    command,
    head: ["queue", "p50 ms", "p95 ms"],
    rows: delays,
    notes: [`${SINGLE} single records, one every ${RECORD_MS} ms; of Woodpecker a block every ${BLOCK_MS} ms.`],
  });
  printFigure({
    title: "What a reader of Woodpecker asks of the store",
    command,
    head: ["written", "requests a second and channel", "in all"],
    rows: requests,
  });
}

if (import.meta.main) await main();
