/**
 * Brokers of a Pulsar, and a proxy before them, as far as a reader asks them, over real sockets: what a start that is not there is
 * replaced by, too. Each topic is served by one broker; the others say which.
 */
import { type BaseCommand, BaseCommand_Type as Type } from "../../pipeline/proto/gen/pulsar_api_pb.ts";
import {
  CommandLookupTopicResponse_LookupType as Lookup,
  CommandPartitionedTopicMetadataResponse_LookupType as MetadataLookup,
  ServerError,
} from "../../pipeline/proto/gen/pulsar_api_pb.ts";
import type { Command } from "../../sources/log/pulsar/connection.ts";
import { encodeFrame, FrameSplitter, parseFrame } from "../../sources/log/pulsar/frame.ts";
import { batchPayload, messageOf } from "../sources/log/pulsar/messages.ts";

export interface PulsarMessage {
  readonly value: Uint8Array | null;
  readonly headers?: Readonly<Record<string, Uint8Array>>;
}

interface Entry {
  readonly ledger: bigint;
  readonly entry: bigint;
  /** Records; 0: not batched. */
  readonly batch: number;
  readonly rest: Uint8Array;
}

interface Topic {
  owner: number;
  /** First of those that it has. */
  begin: bigint;
  ledger: bigint;
  /** Of the open ledger. */
  count: number;
  entries: Entry[];
}

interface Consumer {
  readonly id: bigint;
  readonly topic: string;
  readonly broker: number;
  /** The next one to be sent lies here or behind. */
  next: readonly [ledger: bigint, entry: bigint];
  /** It began at the very beginning. */
  readonly fromBegin: boolean;
  permits: number;
  send(command: Command, rest?: Uint8Array): void;
}

/** A question that the cluster was asked. `at`: the broker, also where the proxy passed it on; -1: the proxy itself. */
export interface Asked {
  readonly at: number;
  readonly through: "proxy" | "broker";
  readonly command: BaseCommand;
}

export interface PulsarClusterOptions {
  /** Default 1. */
  readonly brokers?: number;
  readonly proxy?: boolean;
  /** Entries of a ledger. Default 10. */
  readonly ledgerEntries?: number;
}

const PROXY = -1;
const NONE = BigInt.asUintN(64, -1n);
const PREFIX = "persistent://public/default/";
const text = new TextDecoder();

export class PulsarCluster implements AsyncDisposable {
  readonly asked: Asked[] = [];
  /** Who sends a question for a topic on, and where to: broker -> broker. */
  readonly redirects = new Map<number, number>();
  /** Called for each question; an answer of its own is sent instead. */
  intercept: (asked: Asked) => Command | undefined = () => undefined;
  readonly partitions = new Map<string, number>();
  readonly #topics = new Map<string, Topic>();
  readonly #consumers = new Set<Consumer>();
  readonly #listeners: Deno.Listener[] = [];
  readonly #open = new Set<Deno.Conn>();
  readonly #ledgerEntries: number;
  readonly #proxied: boolean;
  #ledgers = 0n;

  constructor({ brokers = 1, proxy = false, ledgerEntries = 10 }: PulsarClusterOptions = {}) {
    this.#ledgerEntries = ledgerEntries;
    this.#proxied = proxy;
    for (let at = 0; at < brokers + (proxy ? 1 : 0); at++) {
      const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      this.#listeners.push(listener);
      this.#accept(listener, at === brokers ? PROXY : at);
    }
  }

  /** `host:port` of the proxy where there is one, otherwise of the first broker. */
  get address(): string {
    return this.#proxied ? addressOf(this.#listeners.at(-1)!) : this.addressOf(0);
  }

  addressOf(broker: number): string {
    return addressOf(this.#listeners[broker]!);
  }

  createTopic(topic: string, owner = 0): void {
    const ledger = ++this.#ledgers;
    this.#topics.set(topic, { owner, begin: ledger, ledger, count: 0, entries: [] });
  }

  deleteTopic(topic: string): void {
    this.#topics.delete(topic);
    this.#closeConsumers(topic);
  }

  /** Its readers are told to look it up again. A ledger ends with its broker. */
  move(topic: string, owner: number): void {
    const own = this.#topics.get(topic)!;
    own.owner = owner;
    own.count = this.#ledgerEntries;
    this.#closeConsumers(topic);
  }

  /** `batch`: messages of an entry; 0: not batched. */
  append(topic: string, messages: readonly PulsarMessage[], batch = 0): void {
    for (let at = 0; at < messages.length; at += Math.max(1, batch)) {
      const own = this.#topics.get(topic)!;
      if (own.count >= this.#ledgerEntries) [own.ledger, own.count] = [++this.#ledgers, 0];
      const part = messages.slice(at, at + Math.max(1, batch));
      own.entries.push({
        ledger: own.ledger,
        entry: BigInt(own.count++),
        batch: batch === 0 ? 0 : part.length,
        rest: batch === 0 ? plain(part[0]!) : batched(part),
      });
    }
    for (const consumer of this.#consumers) if (consumer.topic === topic) this.#deliver(consumer);
  }

  /** Removes whole ledgers before this one. */
  trim(topic: string, ledger: bigint): void {
    const own = this.#topics.get(topic)!;
    own.entries = own.entries.filter((entry) => entry.ledger >= ledger);
    own.begin = own.entries[0]?.ledger ?? own.ledger;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const listener of this.#listeners) listener.close();
    for (const connection of this.#open) connection.close();
    this.#open.clear();
    await Promise.resolve();
  }

  async #accept(listener: Deno.Listener, at: number): Promise<void> {
    for await (const connection of listener) {
      this.#open.add(connection);
      this.#serve(connection, at).catch(() => {}).finally(() => {
        if (this.#open.delete(connection)) connection.close();
      });
    }
  }

  async #serve(connection: Deno.Conn, listening: number): Promise<void> {
    const splitter = new FrameSplitter();
    splitter.limit = 8 << 20;
    let at = listening;
    const own = new Set<Consumer>();
    let writing: Promise<unknown> = Promise.resolve();
    const send = (command: Command, rest?: Uint8Array) => {
      writing = writing.then(() => writeAll(connection, encodeFrame(command, rest))).catch(() => {});
    };
    try {
      for await (const chunk of connection.readable) {
        for (const bytes of splitter.split(chunk)) {
          const frame = parseFrame(bytes);
          if (frame.kind === "message") continue;
          const { command } = frame;
          const target = command.connect?.proxyToBrokerUrl ?? "";
          if (listening === PROXY && target !== "") {
            at = this.#listeners.findIndex((listener) => addressOf(listener) === target);
          }
          const asked = { at, through: listening === PROXY ? "proxy" as const : "broker" as const, command };
          this.asked.push(asked);
          const answer = this.intercept(asked) ?? this.#answer(asked, own, send);
          if (answer !== undefined) send(answer);
        }
      }
    } finally {
      for (const consumer of own) this.#consumers.delete(consumer);
    }
  }

  #answer({ at, command }: Asked, own: Set<Consumer>, send: Consumer["send"]): Command | undefined {
    switch (command.type) {
      case Type.CONNECT:
        return { type: Type.CONNECTED, connected: { serverVersion: "test", maxMessageSize: 5 << 20 } };
      case Type.PING:
        return { type: Type.PONG, pong: {} };
      case Type.GET_TOPICS_OF_NAMESPACE: {
        const { requestId } = command.getTopicsOfNamespace!;
        const topics = [...this.#topics.keys()].map((topic) => `${PREFIX}${topic}`);
        return { type: Type.GET_TOPICS_OF_NAMESPACE_RESPONSE, getTopicsOfNamespaceResponse: { requestId, topics } };
      }
      case Type.PARTITIONED_METADATA: {
        const { requestId, topic } = command.partitionMetadata!;
        const partitions = this.partitions.get(short(topic)) ?? 0;
        const answer = { requestId, partitions, response: MetadataLookup.Success };
        return { type: Type.PARTITIONED_METADATA_RESPONSE, partitionMetadataResponse: answer };
      }
      case Type.LOOKUP:
        return this.#lookup(at, command.lookupTopic!);
      case Type.SUBSCRIBE:
        return this.#subscribe(at, command.subscribe!, own, send);
      case Type.GET_LAST_MESSAGE_ID: {
        const { requestId, consumerId } = command.getLastMessageId!;
        const consumer = [...own].find(({ id }) => id === consumerId);
        const topic = consumer === undefined ? undefined : this.#topics.get(consumer.topic);
        if (consumer === undefined || topic === undefined || !this.#consumers.has(consumer)) {
          return refused(requestId, ServerError.MetadataError, "Consumer not found");
        }
        const last = topic.entries.at(-1);
        return {
          type: Type.GET_LAST_MESSAGE_ID_RESPONSE,
          getLastMessageIdResponse: {
            requestId,
            lastMessageId: last === undefined
              ? { ledgerId: NONE, entryId: NONE, batchIndex: -1 }
              : { ledgerId: last.ledger, entryId: last.entry, batchIndex: last.batch - 1 },
            ...(consumer.fromBegin ? { consumerMarkDeletePosition: { ledgerId: topic.begin, entryId: NONE } } : {}),
          },
        };
      }
      case Type.FLOW: {
        const consumer = [...own].find(({ id }) => id === command.flow!.consumerId);
        if (consumer === undefined) return undefined;
        consumer.permits += command.flow!.messagePermits;
        this.#deliver(consumer);
        return undefined;
      }
      case Type.CLOSE_CONSUMER: {
        const { requestId, consumerId } = command.closeConsumer!;
        for (const consumer of own) {
          if (consumer.id !== consumerId) continue;
          own.delete(consumer);
          this.#consumers.delete(consumer);
        }
        return { type: Type.SUCCESS, success: { requestId } };
      }
      default:
        return undefined;
    }
  }

  #lookup(at: number, { topic, requestId, authoritative }: NonNullable<BaseCommand["lookupTopic"]>): Command {
    const asked = at === PROXY ? 0 : at;
    const to = this.redirects.get(asked);
    const owner = this.#topics.get(short(topic))?.owner ?? asked;
    const answer = to !== undefined && owner !== asked
      ? { response: Lookup.Redirect, authoritative: true, brokerServiceUrl: `pulsar://${this.addressOf(to)}` }
      : { response: Lookup.Connect, authoritative, brokerServiceUrl: `pulsar://${this.addressOf(owner)}` };
    return {
      type: Type.LOOKUP_RESPONSE,
      lookupTopicResponse: { requestId, proxyThroughServiceUrl: this.#proxied, ...answer },
    };
  }

  #subscribe(
    at: number,
    { topic: full, requestId, consumerId, startMessageId }: NonNullable<BaseCommand["subscribe"]>,
    own: Set<Consumer>,
    send: Consumer["send"],
  ): Command {
    const name = short(full);
    const topic = this.#topics.get(name);
    if (topic === undefined) return refused(requestId, ServerError.TopicNotFound, `Topic ${full} does not exist`);
    if (topic.owner !== at) {
      return refused(
        requestId,
        ServerError.ServiceNotReady,
        `Namespace bundle of ${full} is not served by this broker`,
      );
    }
    const { ledgerId, entryId } = startMessageId!;
    const last = topic.entries.at(-1);
    const fromBegin = ledgerId === NONE;
    // Beyond the end it begins anew; exactly behind it, it waits.
    const beyond = last !== undefined &&
      (ledgerId > last.ledger || ledgerId === last.ledger && entryId > last.entry + 1n);
    const next = fromBegin || beyond ? [0n, 0n] as const : [ledgerId, entryId] as const;
    const consumer = { id: consumerId, topic: name, broker: at, next, fromBegin, permits: 0, send };
    own.add(consumer);
    this.#consumers.add(consumer);
    return { type: Type.SUCCESS, success: { requestId } };
  }

  #deliver(consumer: Consumer): void {
    const topic = this.#topics.get(consumer.topic);
    if (topic === undefined || !this.#consumers.has(consumer)) return;
    const [ledger, entry] = consumer.next;
    const from = topic.entries.findIndex((own) => own.ledger > ledger || own.ledger === ledger && own.entry >= entry);
    for (let i = from; i >= 0 && i < topic.entries.length && consumer.permits > 0; i++) {
      const { ledger: ledgerId, entry: entryId, batch, rest } = topic.entries[i]!;
      consumer.permits -= Math.max(1, batch);
      consumer.next = [ledgerId, entryId + 1n];
      const messageId = { ledgerId, entryId, partition: -1, batchIndex: -1 };
      consumer.send({ type: Type.MESSAGE, message: { consumerId: consumer.id, messageId } }, rest);
    }
  }

  #closeConsumers(topic: string): void {
    for (const consumer of this.#consumers) {
      if (consumer.topic !== topic) continue;
      this.#consumers.delete(consumer);
      consumer.send({ type: Type.CLOSE_CONSUMER, closeConsumer: { consumerId: consumer.id, requestId: 0n } });
    }
  }
}

function short(topic: string): string {
  return topic.slice(PREFIX.length);
}

function addressOf(listener: Deno.Listener): string {
  const { hostname, port } = listener.addr as Deno.NetAddr;
  return `${hostname}:${port}`;
}

function refused(requestId: bigint, error: ServerError, message: string): Command {
  return { type: Type.ERROR, error: { requestId, error, message } };
}

function propertiesOf({ headers = {} }: PulsarMessage): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, text.decode(value)]));
}

function plain(message: PulsarMessage): Uint8Array {
  const properties = Object.entries(propertiesOf(message)).map(([key, value]) => ({ key, value }));
  return messageOf(
    { properties, ...(message.value === null ? { nullValue: true } : {}) },
    message.value ?? new Uint8Array(0),
  );
}

function batched(messages: readonly PulsarMessage[]): Uint8Array {
  const payload = batchPayload(
    messages.map((message) => ({ value: message.value, properties: propertiesOf(message) })),
  );
  return messageOf({ numMessagesInBatch: messages.length, uncompressedSize: payload.length }, payload);
}

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}
