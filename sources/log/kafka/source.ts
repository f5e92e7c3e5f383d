/**
 * The log source on Kafka. Only metadata, listOffsets and fetch of the client are used: no consumer group, no stream, no
 * committed offsets. What a tailer must never do, skip silently, is checked here: bounds before the first fetch, the
 * topic's identity at every fetch, and both again where the broker says that an offset is out of range.
 */
import { Admin, compressionsAlgorithmsByBitmask, Consumer, kGetApi, ResponseError } from "@platformatic/kafka";
import type { API, Callback, Connection, Reader } from "@platformatic/kafka";
import { TidemarkError } from "../../../pipeline/errors.ts";
import type {
  CheckLine,
  LogBounds,
  LogFetch,
  LogMeasure,
  LogRecord,
  LogRetention,
  LogSource,
  TailOptions,
} from "../../../pipeline/model/mod.ts";
import { patientBounds } from "../patient_bounds.ts";
import type { Pieces } from "../byte_cursor.ts";
import { type FetchAnswer, parseFetchResponse } from "./fetch_response.ts";
import { beginsAsInsert, isInsert } from "../gen1/is_insert.ts";
import { kafkaError } from "./errors.ts";
import { Expansion } from "./expansion.ts";
import {
  assertWhole,
  frontOfOnly,
  isCompressed,
  isControl,
  type OtherCodec,
  readBatches,
  recordsOf,
} from "./record_batch.ts";
import type { KafkaClientOptions } from "./options.ts";
import { RETENTION_KEYS, retentionOf } from "./retention.ts";
import { Scratch } from "./scratch.ts";
import type { KafkaLogConfig } from "./spec.ts";
import type { TopicTailOptions } from "../outage.ts";
import { measureOf } from "../stretches.ts";
import { type TopicPort, TopicTail } from "../topic_tail.ts";
import { plural } from "../../../pipeline/units/mod.ts";

export interface KafkaLogOptions extends TopicTailOptions {
  /** Offsets that the log does not hold between two records: legal in Kafka, unexpected on Milvus' topics. */
  readonly onHole?: (topic: string, from: bigint, to: bigint) => void;
  /** Told of the values of each response, in bytes; what was asked for twice counts twice. */
  readonly onFetched?: (topic: string, bytes: number) => void;
}

/** Milvus writes and reads partition 0 only, whatever the topic has. */
const PARTITION = 0;
const EARLIEST = -2n;
const LATEST = -1n;
/** Type of a topic as a resource of a configuration. */
const TOPIC = 2 as const;
/** Of a tail without inserts, which keeps little of what it fetches: fewer, larger answers. */
const SCAN_BYTES = 8 << 20;
/** `check` names at most this many topics. */
const TOPICS_NAMED = 64;
const PCHANNEL = /-dml_\d+$/;

/** Connects to nothing. */
export function createKafkaLog(
  config: KafkaLogConfig,
  client: KafkaClientOptions,
  options: KafkaLogOptions,
): LogSource {
  return new KafkaLog(config, client, options);
}

class KafkaLog implements LogSource {
  readonly queue = "kafka";
  readonly #config: KafkaLogConfig;
  readonly #client: KafkaClientOptions;
  readonly #options: KafkaLogOptions;
  readonly #what: string;
  readonly #tails = new Set<TopicTail>();
  #asking: Consumer | undefined;
  /** The brokers have told the bounds of a topic once. */
  #answered = false;
  #admin: Admin | undefined;

  constructor(
    config: KafkaLogConfig,
    client: KafkaClientOptions,
    options: KafkaLogOptions,
  ) {
    this.#config = config;
    this.#client = client;
    this.#options = options;
    this.#what = `Kafka at ${config.brokers.join(", ")}`;
  }

  async topics(signal: AbortSignal): Promise<string[]> {
    const admin = this.#asAdmin();
    const topics = await this.#ask(() => admin.listTopics({ includeInternals: false }), signal);
    return topics.sort();
  }

  /** Needs the right to describe the configuration of the topic. */
  async retention(topic: string, signal: AbortSignal): Promise<LogRetention> {
    const admin = this.#asAdmin();
    const resources = [{ resourceType: TOPIC, resourceName: topic, configurationKeys: [...RETENTION_KEYS] }];
    const answers = await this.#ask(() => admin.describeConfigs({ resources }), signal);
    return retentionOf(answers.flatMap(({ configs }) => configs));
  }

  /** Of the whole topic, so that records count with their mean size on the brokers' disks. Needs the right to describe the cluster. */
  async measure(topic: string, _from: bigint, signal: AbortSignal): Promise<LogMeasure | undefined> {
    const admin = this.#asAdmin();
    const topics = [{ name: topic, partitions: [PARTITION] }];
    const [brokers, { earliest, latest }] = await Promise.all([
      this.#ask(() => admin.describeLogDirs({ topics }), signal),
      this.bounds(topic, signal),
    ]);
    const bytes = sizeOnDisk(brokers, topic);
    if (bytes === undefined) return undefined;
    const stretch = { number: 0n, first: earliest, entries: latest - earliest, bytes };
    return measureOf([stretch], (entry) => ({ number: 0n, entry }));
  }

  #asAdmin(): Admin {
    return this.#admin ??= new Admin({
      clientId: this.#config.client_id,
      bootstrapBrokers: this.#config.brokers,
      retries: 0,
      requestTimeout: this.#config.request_timeout_ms,
      ...(this.#client.sasl === undefined ? {} : { sasl: this.#client.sasl }),
      ...(this.#client.tls === undefined ? {} : { tls: this.#client.tls }),
    });
  }

  /** A wrong address is said at once; once the brokers have answered, an outage is waited out. */
  async bounds(topic: string, signal: AbortSignal): Promise<LogBounds> {
    return await patientBounds({
      ...this.#options,
      topic,
      answered: () => this.#answered,
      ask: async () => {
        this.#asking ??= new Consumer(this.#client);
        const consumer = this.#asking;
        const bounds = await this.#ask(() => topicBounds(consumer, topic), signal);
        this.#answered = true;
        return bounds;
      },
    }, signal);
  }

  async *tail(
    topic: string,
    offset: bigint,
    topicId: string | undefined,
    signal: AbortSignal,
    options: TailOptions = {},
  ): AsyncIterable<LogFetch> {
    signal.throwIfAborted();
    const port = new KafkaTopic(this.#client, this.#config, this.#options, this.#what, topic, options);
    const tail = new TopicTail(port, topicId, this.#options, signal);
    this.#tails.add(tail);
    try {
      yield* tail.pages(offset);
    } finally {
      this.#tails.delete(tail);
      await tail.close().catch(() => {});
    }
  }

  async check(signal: AbortSignal): Promise<CheckLine[]> {
    const what = `kafka ${this.#config.brokers.join(", ")}`;
    const lines: CheckLine[] = [];
    let topics: string[];
    try {
      topics = await this.topics(signal);
    } catch (thrown) {
      if (!(thrown instanceof TidemarkError)) throw thrown;
      return [{ what, ok: "fail", detail: sentence(thrown), code: thrown.code }];
    }
    const login = this.#config.sasl === undefined ? "no login" : `logged in as ${this.#config.sasl.username}`;
    lines.push({ what, ok: "ok", detail: `reached, ${login}, ${topics.length} ${plural(topics.length, "topic")}` });
    const pchannels = topics.filter((topic) => PCHANNEL.test(topic));
    if (pchannels.length === 0) {
      lines.push({
        what: "kafka topics",
        ok: "warn",
        detail: "no topic is named like a channel of Milvus (…-dml_0). Right where nothing was created yet, or where " +
          "common.preCreatedTopic is used; otherwise sources.log.brokers is another cluster.",
      });
    }
    for (const topic of pchannels.slice(0, TOPICS_NAMED)) {
      try {
        const { earliest, latest } = await this.bounds(topic, signal);
        lines.push({ what: `kafka ${topic}`, ok: "ok", detail: `offsets ${earliest} to ${latest}` });
      } catch (thrown) {
        if (!(thrown instanceof TidemarkError)) throw thrown;
        lines.push({ what: `kafka ${topic}`, ok: "fail", detail: sentence(thrown), code: thrown.code });
      }
    }
    return lines;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#tails].map((tail) => tail.close()));
    await Promise.all([this.#asking?.close(), this.#admin?.close()]);
    this.#asking = undefined;
    this.#admin = undefined;
  }

  /** One question, not repeated; an abort ends the wait at once, the answer is then dropped. */
  async #ask<T>(question: () => Promise<T>, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    const { promise, reject } = Promise.withResolvers<never>();
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    const answer = question();
    answer.catch(() => {});
    try {
      return await Promise.race([answer, promise]);
    } catch (thrown) {
      signal.throwIfAborted();
      throw kafkaError(thrown, this.#what);
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }
}

/** Of the replica that has most: each has the same records, but for what one that is behind lacks. */
function sizeOnDisk(brokers: Awaited<ReturnType<Admin["describeLogDirs"]>>, topic: string): bigint | undefined {
  const sizes = brokers.flatMap(({ results }) => results)
    .flatMap(({ topics }) => topics.filter(({ name }) => name === topic))
    .flatMap(({ partitions }) => partitions)
    .filter(({ partitionIndex, isFutureKey }) => partitionIndex === PARTITION && !isFutureKey)
    .map(({ partitionSize }) => partitionSize);
  return sizes.reduce<bigint | undefined>((most, size) => most === undefined || size > most ? size : most, undefined);
}

function sentence(error: TidemarkError): string {
  return error.hint === undefined ? error.message : `${error.message}. ${error.hint}`;
}

async function topicBounds(consumer: Consumer, topic: string): Promise<LogBounds> {
  const metadata = await consumer.metadata({ topics: [topic], forceUpdate: true });
  const ask = async (timestamp: bigint) => {
    const offsets = await consumer.listOffsets({ topics: [topic], partitions: { [topic]: [PARTITION] }, timestamp });
    const offset = offsets.get(topic)?.[PARTITION];
    if (offset === undefined) throw new Error(`No offset for topic ${topic}`);
    return offset;
  };
  const [earliest, latest] = await Promise.all([ask(EARLIEST), ask(LATEST)]);
  return { earliest, latest, topicId: metadata.topics.get(topic)?.id ?? "" };
}

/** A consumer whose fetches bring the batches as they are. */
class BatchConsumer extends Consumer<Buffer, Buffer, Buffer, Buffer> {
  override [kGetApi]<Request extends unknown[], Response>(
    name: string,
    callback: Callback<API<Request, Response>>,
  ): void {
    if (name !== "Fetch") return super[kGetApi](name, callback);
    super[kGetApi]<Request, Response>(name, (error, api) => {
      if (error !== null || api === undefined) return callback(error, api);
      // The request is the client's, of the version that it found; only the reading of the answer is not.
      const fetch = (connection: Connection, ...request: unknown[]) => {
        const send = (...call: Parameters<Connection["send"]>) => {
          call[3] = parseFetch as unknown as typeof call[3];
          connection.send(...call);
        };
        (api as unknown as (connection: unknown, ...request: unknown[]) => void)({ send }, ...request);
      };
      callback(null, Object.assign(fetch, { key: api.key, version: api.version }) as unknown as typeof api);
    });
  }
}

/** Throws the client's own error for an error that the broker states. */
function parseFetch(_correlationId: number, key: number, version: number, reader: Reader): FetchAnswer {
  const { buffer, position, length } = reader;
  const pieces = {
    length: length - position,
    slice: (start: number, end: number) => buffer.slice(position + start, position + end),
  };
  const answer = parseFetchResponse(pieces, version);
  const errors: Record<string, [number, null]> = {};
  if (answer.errorCode !== 0) errors["/"] = [answer.errorCode, null];
  answer.responses.forEach(({ partitions }, i) =>
    partitions.forEach(({ errorCode }, j) => {
      if (errorCode !== 0) errors[`/responses/${i}/partitions/${j}`] = [errorCode, null];
    })
  );
  if (Object.keys(errors).length > 0) throw new ResponseError(key, version, errors, answer);
  return answer;
}

const otherCodec: OtherCodec = (codec, payload) => {
  const algorithm = compressionsAlgorithmsByBitmask[codec];
  if (algorithm === undefined) throw new RangeError(`A batch of records is compressed by an unknown codec (${codec})`);
  return algorithm.decompressSync(Buffer.from(payload.buffer, payload.byteOffset, payload.length));
};

/** One topic over its own consumer: the client keeps fetch sessions per broker, so two loops must not share one. */
class KafkaTopic implements TopicPort {
  readonly topic: string;
  readonly what: string;
  readonly #consumer: BatchConsumer;
  readonly #config: KafkaLogConfig;
  readonly #options: KafkaLogOptions;
  readonly #withoutInserts: boolean;
  readonly #expansion = new Expansion();
  readonly #scratch = new Scratch();

  constructor(
    client: KafkaClientOptions,
    config: KafkaLogConfig,
    options: KafkaLogOptions,
    what: string,
    topic: string,
    { withoutInserts = false }: TailOptions,
  ) {
    this.topic = topic;
    this.what = what;
    this.#withoutInserts = withoutInserts;
    this.#consumer = new BatchConsumer(client);
    // The client resolves metadata only of topics that are tracked.
    this.#consumer.topics.trackAll(topic);
    this.#config = config;
    this.#options = options;
  }

  bounds(): Promise<LogBounds> {
    return topicBounds(this.#consumer, this.topic);
  }

  async fetch(offset: bigint, identify: (topicId: string) => void): Promise<LogFetch> {
    const metadata = await this.#consumer.metadata({ topics: [this.topic] });
    const topic = metadata.topics.get(this.topic);
    const partition = topic?.partitions[PARTITION];
    if (topic === undefined || partition === undefined) throw new Error(`Unknown topic ${this.topic}`);
    identify(topic.id);
    const { max_wait_ms, fetch_max_bytes, partition_max_bytes } = this.#config;
    const response = await this.#consumer.fetch({
      node: partition.leader,
      maxWaitTime: max_wait_ms,
      minBytes: 1,
      maxBytes: fetch_max_bytes,
      isolationLevel: 0,
      topics: [{
        topicId: topic.id,
        partitions: [{
          partition: PARTITION,
          fetchOffset: offset,
          partitionMaxBytes: this.#withoutInserts ? Math.max(SCAN_BYTES, partition_max_bytes) : partition_max_bytes,
          currentLeaderEpoch: -1,
          lastFetchedEpoch: -1,
        }],
      }],
    }) as unknown as FetchAnswer;
    const answer = response.responses[0]?.partitions[0];
    // A session answers without the partition where nothing changed: the asked offset is still the end.
    if (answer === undefined) return { records: [], highWatermark: offset, next: offset };
    return this.#page(answer.records, offset, answer.highWatermark);
  }

  close(): Promise<void> {
    return this.#consumer.close();
  }

  #page(bytes: Pieces, offset: bigint, highWatermark: bigint): LogFetch {
    const records: LogRecord[] = [];
    let next = offset;
    for (const found of readBatches(bytes)) {
      const batch = isCompressed(found) ? { ...found, payload: this.#scratch.gathered(found.payload) } : found;
      assertWhole(batch, this.topic);
      const { firstOffset } = batch;
      const end = batch.lastOffset + 1n;
      // Whole batches are returned: what lies below the asked offset was seen before.
      if (end <= next) continue;
      if (firstOffset > next) this.#options.onHole?.(this.topic, next, firstOffset);
      next = end;
      if (isControl(batch) || (this.#withoutInserts && beginsAsInsert(frontOfOnly(batch)))) continue;
      for (const record of recordsOf(batch, this.topic, otherCodec, this.#expansion)) {
        if (record.offset < offset || (this.#withoutInserts && isInsert(record))) continue;
        records.push(record);
      }
    }
    this.#options.onFetched?.(this.topic, records.reduce((sum, { value }) => sum + (value?.length ?? 0), 0));
    return { records, highWatermark, next };
  }
}
