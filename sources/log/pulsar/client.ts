/** The brokers of a cluster: which one serves a topic, one connection to each, and the topics of the namespace. */
import { TidemarkError } from "../../../pipeline/errors.ts";
import {
  BaseCommand_Type as Type,
  CommandGetTopicsOfNamespace_Mode,
  CommandLookupTopicResponse_LookupType as Lookup,
  CommandPartitionedTopicMetadataResponse_LookupType as MetadataLookup,
  ServerError,
} from "../../../pipeline/proto/gen/pulsar_api_pb.ts";
import { PulsarConnection, within } from "./connection.ts";
import { BrokerError, ConnectionError, isTopicUnknown } from "./errors.ts";
import { parseAddress, type PulsarAddress, type PulsarServer } from "./login.ts";
import type { Permits } from "./permits.ts";
import type { PulsarLogConfig } from "./spec.ts";
import { type Place, Subscription } from "./subscription.ts";

const MAX_HOPS = 20;
const PARTITION = /-partition-\d+$/;

export interface Subscribed {
  readonly connection: PulsarConnection;
  readonly subscription: Subscription;
}

export class PulsarClient {
  readonly #server: PulsarServer;
  readonly #config: PulsarLogConfig;
  /** `broker`, and `proxy>broker` of those that are reached through the configured address. */
  readonly #connections = new Map<string, Promise<PulsarConnection>>();
  /** Topic -> the name under which it is read, where it has one partition. */
  readonly #partitioned = new Map<string, string>();
  readonly #closing = new AbortController();
  #serial = 0;
  #reachedMs: number | undefined;

  constructor(server: PulsarServer, config: PulsarLogConfig) {
    this.#server = server;
    this.#config = config;
  }

  /** When a broker or proxy first let it in, `performance.now()`; undefined: none has. */
  get reachedMs(): number | undefined {
    return this.#reachedMs;
  }

  /** Short names. A namespace that does not exist has none. */
  async topics(signal: AbortSignal): Promise<string[]> {
    const names = await this.#listed(signal);
    return [...new Set(names.map((name) => name.replace(PARTITION, "")))].sort();
  }

  /** Reads `topic` from `start` on, over the connection to its broker. Throws `BrokerError`, `ConnectionError`, `unsupported`. */
  async subscribe(
    topic: string,
    { start, permits }: { readonly start: Place | undefined; readonly permits: Permits },
    signal: AbortSignal,
  ): Promise<Subscribed> {
    try {
      return await this.#subscribe(this.#partitioned.get(topic) ?? topic, start, permits, signal);
    } catch (error) {
      if (!isTopicUnknown(error) || this.#partitioned.has(topic)) throw error;
      const only = await this.#onlyPartition(topic, signal);
      if (only === undefined) throw error;
      const found = await this.#subscribe(only, start, permits, signal);
      this.#partitioned.set(topic, only);
      return found;
    }
  }

  /** A second reader beside one that there is. */
  beside(
    connection: PulsarConnection,
    topic: string,
    { start, permits }: { readonly start: Place | undefined; readonly permits: Permits },
    signal: AbortSignal,
  ): Promise<Subscription> {
    const options = {
      topic: this.fullName(this.#partitioned.get(topic) ?? topic),
      subscription: this.#name(),
      start,
      permits,
    };
    return Subscription.open(connection, options, signal);
  }

  async close(): Promise<void> {
    this.#closing.abort(new TidemarkError("aborted", "The log source was closed"));
    const opened = [...this.#connections.values()];
    this.#connections.clear();
    for (const connection of await Promise.allSettled(opened)) {
      if (connection.status === "fulfilled") connection.value.close();
    }
  }

  async #subscribe(
    topic: string,
    start: Place | undefined,
    permits: Permits,
    signal: AbortSignal,
  ): Promise<Subscribed> {
    const connection = await this.#lookup(this.fullName(topic), signal);
    const options = { topic: this.fullName(topic), subscription: this.#name(), start, permits };
    return { connection, subscription: await Subscription.open(connection, options, signal) };
  }

  /** `persistent://tenant/namespace/topic` */
  fullName(topic: string): string {
    return `persistent://${this.#config.tenant}/${this.#config.namespace}/${topic}`;
  }

  /** Of a subscription: unique among all that read the topic, for each is the only consumer of its own. */
  #name(): string {
    return `${this.#config.subscription_prefix}-${crypto.randomUUID().slice(0, 13)}-${++this.#serial}`;
  }

  async #listed(signal: AbortSignal): Promise<string[]> {
    const connection = await this.#connect(undefined, undefined, signal);
    const requestId = connection.newId();
    const namespace = `${this.#config.tenant}/${this.#config.namespace}`;
    const { getTopicsOfNamespaceResponse: answer } = await connection.request(requestId, {
      type: Type.GET_TOPICS_OF_NAMESPACE,
      getTopicsOfNamespace: { requestId, namespace, mode: CommandGetTopicsOfNamespace_Mode.PERSISTENT },
    }, signal);
    const prefix = `persistent://${namespace}/`;
    return answer!.topics.flatMap((name) => name.startsWith(prefix) ? [name.slice(prefix.length)] : []);
  }

  /** Undefined for a topic without partitions. Asked only of one that there is: old brokers may make what they are asked for. */
  async #onlyPartition(topic: string, signal: AbortSignal): Promise<string | undefined> {
    const names = await this.#listed(signal);
    if (!names.some((name) => PARTITION.test(name) && name.replace(PARTITION, "") === topic)) return undefined;
    const connection = await this.#connect(undefined, undefined, signal);
    const requestId = connection.newId();
    const { partitionMetadataResponse: answer } = await connection.request(requestId, {
      type: Type.PARTITIONED_METADATA,
      partitionMetadata: { topic: this.fullName(topic), requestId },
    }, signal);
    if (answer!.response === MetadataLookup.Failed) throw new BrokerError(answer!.error, answer!.message);
    const { partitions } = answer!;
    if (partitions === 1) return `${topic}-partition-0`;
    if (partitions === 0) return undefined;
    throw new TidemarkError("unsupported", `Topic ${topic} has ${partitions} partitions: they have no order`, {
      hint: "Milvus needs topics without partitions: set allowAutoTopicCreationType=non-partitioned in Pulsar.",
    });
  }

  /** A connection to the broker that serves a topic. It makes nothing, and finds a place for topics that do not exist, too. */
  async #lookup(topic: string, signal: AbortSignal): Promise<PulsarConnection> {
    let connection = await this.#connect(undefined, undefined, signal);
    let authoritative = false;
    for (let hop = 0; hop < MAX_HOPS; hop++) {
      const requestId = connection.newId();
      const { lookupTopicResponse: answer } = await connection.request(requestId, {
        type: Type.LOOKUP,
        lookupTopic: { topic, requestId, authoritative },
      }, signal);
      if (answer!.response === Lookup.Failed) throw new BrokerError(answer!.error, answer!.message);
      const url = this.#server.tls === undefined ? answer!.brokerServiceUrl : answer!.brokerServiceUrlTls;
      if (url === "") {
        throw new BrokerError(
          ServerError.ServiceNotReady,
          `the broker of ${topic} has no address ${this.#server.tls === undefined ? "without" : "with"} TLS`,
        );
      }
      const proxied = answer!.proxyThroughServiceUrl;
      connection = await this.#connect(parseAddress(url), proxied, signal);
      if (answer!.response === Lookup.Connect) return connection;
      authoritative = answer!.authoritative;
    }
    throw new ConnectionError(`The brokers sent the question for ${topic} on ${MAX_HOPS} times`);
  }

  /** No address: the configured one. `proxied`: through it to the broker. */
  async #connect(
    broker: PulsarAddress | undefined,
    proxied: boolean | undefined,
    signal: AbortSignal,
  ): Promise<PulsarConnection> {
    const text = ({ host, port }: PulsarAddress) => `${host.includes(":") ? `[${host}]` : host}:${port}`;
    const key = broker === undefined ? text(this.#server.address) : proxied ? `proxy>${text(broker)}` : text(broker);
    const { request_timeout_ms: timeoutMs } = this.#config;
    const known = await this.#connections.get(key)?.catch(() => undefined);
    if (known?.open === false) this.#connections.delete(key);
    let opening = this.#connections.get(key);
    if (opening === undefined) {
      this.#closing.signal.throwIfAborted();
      opening = PulsarConnection.open({
        server: this.#server,
        timeoutMs,
        signal: this.#closing.signal,
        ...(broker === undefined || proxied ? {} : { address: broker }),
        ...(broker !== undefined && proxied ? { proxyTo: text(broker) } : {}),
      });
      const mine = opening;
      this.#connections.set(key, mine);
      mine.then(() => void (this.#reachedMs ??= performance.now()), () => {
        if (this.#connections.get(key) === mine) this.#connections.delete(key);
      });
    }
    // Others may wait for the same connection: who stops waiting does not end it.
    return await within(opening, 2 * timeoutMs, "a connection", signal);
  }
}
