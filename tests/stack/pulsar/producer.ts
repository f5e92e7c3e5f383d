/** Writes messages to a topic as Milvus' clients do: generation 1 one an entry, compressed by zstd; generation 2 in batches. */
import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import { deflateSync, zstdCompressSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  BaseCommand_Type as Type,
  CompressionType,
  MessageMetadataSchema,
  ServerError,
  SingleMessageMetadataSchema,
} from "../../../pipeline/proto/gen/pulsar_api_pb.ts";
import { crc32cOfBytes } from "../../../sources/log/crc32c.ts";
import type { Command } from "../../../sources/log/pulsar/connection.ts";
import { encodeFrame, FrameSplitter, parseFrame } from "../../../sources/log/pulsar/frame.ts";
import { hungAfterMs } from "../patience.ts";

export interface ProducedMessage {
  readonly value: Uint8Array | null;
  readonly headers?: Readonly<Record<string, Uint8Array>>;
}

export interface ProduceOptions {
  /** Messages of an entry; 0: not batched. Default 0. */
  readonly batch?: number;
  /** Default zstd. */
  readonly compression?: CompressionType;
  /** Entries on their way at once. Default 1: each is stored before the next one is sent. */
  readonly window?: number;
}

export interface Written {
  readonly ledger: bigint;
  readonly entry: bigint;
  readonly batch: number;
}

const PRODUCER = 1n;
const text = new TextDecoder();

export class PulsarProducer implements AsyncDisposable {
  readonly #socket: Socket;
  readonly #splitter = new FrameSplitter();
  readonly #answers = new Map<string, PromiseWithResolvers<Written>>();
  readonly #closed = Promise.withResolvers<void>();
  readonly #topic: string;
  /** Entries without a receipt, by their sequence. */
  readonly #unstored = new Map<bigint, { readonly command: Command; readonly rest: Uint8Array }>();
  #name = "";
  #sequence = 0n;
  #requests = 0n;
  /** The broker does not take what is sent. */
  #lost = false;
  #opening: Promise<void> | undefined;

  private constructor(socket: Socket, topic: string) {
    this.#socket = socket;
    this.#topic = topic;
    socket.on("data", (chunk: Buffer) => {
      for (const bytes of this.#splitter.split(chunk)) this.#onFrame(bytes);
    });
    const fail = (error?: Error) => {
      for (const { reject } of this.#answers.values()) reject(error ?? new Error("The connection was closed"));
      this.#closed.resolve();
    };
    socket.on("error", fail);
    socket.on("close", () => fail());
  }

  /** `topic`: its full name. */
  static async open(address: string, topic: string, token?: string): Promise<PulsarProducer> {
    const [host, port] = address.split(":");
    const producer = new PulsarProducer(connect({ host: host!, port: parseInt(port!, 10), noDelay: true }), topic);
    try {
      await producer.#ask("connected", {
        type: Type.CONNECT,
        connect: {
          clientVersion: "test",
          protocolVersion: 19,
          ...(token === undefined ? {} : { authMethodName: "token", authData: Buffer.from(token) }),
        },
      });
      await producer.#open();
      return producer;
    } catch (error) {
      await producer[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #open(): Promise<void> {
    const topic = this.#topic;
    const [lookup, open] = [++this.#requests, ++this.#requests];
    await this.#ask(`${lookup}`, { type: Type.LOOKUP, lookupTopic: { topic, requestId: lookup } });
    await this.#ask(`${open}`, { type: Type.PRODUCER, producer: { topic, producerId: PRODUCER, requestId: open } });
  }

  /** As every client of Pulsar does where the broker lets go of a topic for a while: opens it again and sends what is not stored. */
  #openAgain(): void {
    this.#lost = true;
    this.#opening ??= this.#reopen().catch((error) => void this.#socket.destroy(error));
  }

  async #reopen(): Promise<void> {
    const since = performance.now();
    while (this.#lost) {
      this.#lost = false;
      try {
        await this.#open();
      } catch (error) {
        if (this.#socket.destroyed || performance.now() - since > hungAfterMs()) throw error;
        this.#lost = true;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
    this.#opening = undefined;
    for (const { command, rest } of this.#unstored.values()) this.#socket.write(encodeFrame(command, rest));
  }

  /** The places of the messages. */
  async send(messages: Iterable<ProducedMessage>, options: ProduceOptions = {}): Promise<Written[]> {
    const { batch = 0, compression = CompressionType.ZSTD, window = 1 } = options;
    const places: Written[][] = [];
    const open = new Set<Promise<void>>();
    let index = 0;
    const post = async (entry: readonly ProducedMessage[]) => {
      const at = index++;
      const sent = this.#sendEntry(entry, batch > 0, compression).then(({ ledger, entry: id }) => {
        places[at] = entry.map((_, i) => ({ ledger, entry: id, batch: i }));
      });
      open.add(sent);
      sent.then(() => open.delete(sent), () => {});
      if (open.size >= window) await Promise.race(open);
    };
    let waiting: ProducedMessage[] = [];
    for (const message of messages) {
      waiting.push(message);
      if (waiting.length < Math.max(1, batch)) continue;
      await post(waiting);
      waiting = [];
    }
    if (waiting.length > 0) await post(waiting);
    await Promise.all(open);
    return places.flat();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.end();
    this.#socket.destroy();
    await this.#closed.promise;
  }

  #sendEntry(entry: readonly ProducedMessage[], batched: boolean, compression: CompressionType): Promise<Written> {
    const plain = batched ? batchOf(entry) : new Uint8Array(entry[0]!.value ?? []);
    const sequenceId = this.#sequence++;
    const payload = compressed(plain, compression);
    const metadata = toBinary(
      MessageMetadataSchema,
      create(MessageMetadataSchema, {
        producerName: this.#name,
        sequenceId,
        publishTime: BigInt(Date.now()),
        ...(compression === CompressionType.NONE ? {} : { compression }),
        uncompressedSize: plain.length,
        ...(batched
          ? { numMessagesInBatch: entry.length }
          : { properties: propertiesOf(entry[0]!), ...(entry[0]!.value === null ? { nullValue: true } : {}) }),
      }),
    );
    const covered = new Uint8Array(4 + metadata.length + payload.length);
    new DataView(covered.buffer).setUint32(0, metadata.length);
    covered.set(metadata, 4);
    covered.set(payload, 4 + metadata.length);
    const rest = new Uint8Array(6 + covered.length);
    const view = new DataView(rest.buffer);
    view.setUint16(0, 0x0e01);
    view.setUint32(2, crc32cOfBytes(covered));
    rest.set(covered, 6);
    const command: Command = {
      type: Type.SEND,
      send: { producerId: PRODUCER, sequenceId, numMessages: entry.length },
    };
    this.#unstored.set(sequenceId, { command, rest });
    const answer = Promise.withResolvers<Written>();
    this.#answers.set(`sent ${sequenceId}`, answer);
    // While it is opened again, it goes with the others.
    if (this.#opening === undefined) this.#socket.write(encodeFrame(command, rest));
    return answer.promise;
  }

  async #ask(key: string, command: Command): Promise<Written> {
    if (this.#socket.destroyed) throw new Error("The connection was closed");
    const answer = Promise.withResolvers<Written>();
    this.#answers.set(key, answer);
    this.#socket.write(encodeFrame(command));
    return await answer.promise;
  }

  #onFrame(bytes: Uint8Array): void {
    const frame = parseFrame(bytes);
    // It reads nothing.
    if (frame.kind === "message") return;
    const { command } = frame;
    const nothing = { ledger: -1n, entry: -1n, batch: -1 };
    const done = (key: string, written: Written = nothing) => {
      this.#answers.get(key)?.resolve(written);
      this.#answers.delete(key);
    };
    switch (command.type) {
      case Type.CONNECTED:
        return done("connected");
      case Type.LOOKUP_RESPONSE:
        return done(`${command.lookupTopicResponse!.requestId}`);
      case Type.PRODUCER_SUCCESS:
        this.#name = command.producerSuccess!.producerName;
        return done(`${command.producerSuccess!.requestId}`);
      case Type.SEND_RECEIPT: {
        const { sequenceId, messageId } = command.sendReceipt!;
        this.#unstored.delete(sequenceId);
        return done(`sent ${sequenceId}`, { ledger: messageId!.ledgerId, entry: messageId!.entryId, batch: 0 });
      }
      case Type.PING:
        this.#socket.write(encodeFrame({ type: Type.PONG, pong: {} }));
        return;
      case Type.CLOSE_PRODUCER:
        return this.#openAgain();
      case Type.ERROR: {
        const { requestId, error, message } = command.error!;
        const asked = this.#answers.get(`${requestId}`);
        this.#answers.delete(`${requestId}`);
        asked?.reject(new Error(message));
        // Nobody who comes back changes that.
        const isLasting = asked === undefined || error === ServerError.ProducerBlockedQuotaExceededException;
        if (isLasting) this.#socket.destroy(new Error(message));
        return;
      }
      case Type.SEND_ERROR: {
        const { error, message } = command.sendError!;
        if (error === ServerError.PersistenceError) return this.#openAgain();
        this.#socket.destroy(new Error(message));
      }
    }
  }
}

function propertiesOf({ headers = {} }: ProducedMessage): { key: string; value: string }[] {
  return Object.entries(headers).map(([key, value]) => ({ key, value: text.decode(value) }));
}

function batchOf(entry: readonly ProducedMessage[]): Uint8Array {
  const parts = entry.flatMap((message) => {
    const value = message.value ?? new Uint8Array(0);
    const single = toBinary(
      SingleMessageMetadataSchema,
      create(SingleMessageMetadataSchema, {
        properties: propertiesOf(message),
        payloadSize: value.length,
        ...(message.value === null ? { nullValue: true } : {}),
      }),
    );
    const head = new Uint8Array(4);
    new DataView(head.buffer).setUint32(0, single.length);
    return [head, single, value];
  });
  return Buffer.concat(parts);
}

function compressed(plain: Uint8Array, codec: CompressionType): Uint8Array {
  switch (codec) {
    case CompressionType.NONE:
      return plain;
    case CompressionType.ZLIB:
      return deflateSync(plain);
    case CompressionType.ZSTD:
      return zstdCompressSync(plain);
    default:
      throw new Error(`The producer of the tests does not compress by ${CompressionType[codec]}`);
  }
}
