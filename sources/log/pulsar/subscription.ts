/**
 * A non-durable subscription to one topic. It holds nothing: a durable one that lags would stop Milvus' writes once its backlog
 * reaches the namespace's quota. What was received waits here; how much may come is granted in messages, as many as fit.
 */
import {
  BaseCommand_Type as Type,
  CommandSubscribe_InitialPosition,
  CommandSubscribe_SubType,
} from "../../../pipeline/proto/gen/pulsar_api_pb.ts";
import type { MessageIdData } from "../../../pipeline/proto/gen/pulsar_api_pb.ts";
import type { MessageReceiver, PulsarConnection } from "./connection.ts";
import type { RawEntry } from "./entry.ts";
import type { MessageCommand } from "./message_command.ts";
import type { Permits } from "./permits.ts";

export interface Place {
  readonly ledger: bigint;
  readonly entry: bigint;
}

/** A last message. */
export interface LastMessage extends Place {
  /** Of its record in the entry's batch; 0 where it is none. */
  readonly batch: number;
}

export interface LastAnswer {
  /** undefined: the topic holds none. */
  readonly last: LastMessage | undefined;
  /** Where the subscription began, as far as the broker says it; of one at the very beginning it is entry -1 of the first ledger. */
  readonly markLedger: bigint | undefined;
}

export interface SubscribeOptions {
  /** Full name: `persistent://tenant/namespace/topic`. */
  readonly topic: string;
  /** Unique. */
  readonly subscription: string;
  /** Inclusive; undefined: the very beginning. */
  readonly start: Place | undefined;
  readonly permits: Permits;
}

const NONE = BigInt.asUintN(64, -1n);

export class Subscription implements MessageReceiver {
  readonly #connection: PulsarConnection;
  readonly #id: bigint;
  readonly #permits: Permits;
  #queue: RawEntry[] = [];
  /** Of the queue that was taken. */
  #taken = 0;
  #bytes = 0;
  #reason: Error | undefined;
  #wake: (() => void) | undefined;
  /** More came than was to come: what follows is dropped, and asked for again. */
  #flooded = false;

  private constructor(connection: PulsarConnection, permits: Permits) {
    this.#connection = connection;
    this.#id = connection.newId();
    this.#permits = permits;
    permits.begin();
  }

  /** Throws `BrokerError`; `TopicNotFound` where there is no such topic, which is not made. */
  static async open(
    connection: PulsarConnection,
    { topic, subscription, start, permits }: SubscribeOptions,
    signal: AbortSignal,
  ): Promise<Subscription> {
    const it = new Subscription(connection, permits);
    connection.receive(it.#id, it);
    const requestId = connection.newId();
    try {
      await connection.request(requestId, {
        type: Type.SUBSCRIBE,
        subscribe: {
          topic,
          subscription,
          subType: CommandSubscribe_SubType.Exclusive,
          consumerId: it.#id,
          requestId,
          consumerName: subscription,
          durable: false,
          startMessageId: {
            ledgerId: start?.ledger ?? NONE,
            entryId: start?.entry ?? NONE,
            partition: -1,
            batchIndex: -1,
          },
          readCompacted: false,
          initialPosition: CommandSubscribe_InitialPosition.Earliest,
          // Otherwise a topic that was deleted would come back, empty.
          forceTopicCreation: false,
        },
      }, signal);
    } catch (error) {
      it.#leave();
      throw error;
    }
    return it;
  }

  async last(signal: AbortSignal): Promise<LastAnswer> {
    const requestId = this.#connection.newId();
    const { getLastMessageIdResponse: answer } = await this.#connection.request(requestId, {
      type: Type.GET_LAST_MESSAGE_ID,
      getLastMessageId: { consumerId: this.#id, requestId },
    }, signal);
    return {
      last: lastOf(answer!.lastMessageId!),
      markLedger: answer!.consumerMarkDeletePosition?.ledgerId,
    };
  }

  /** Lets as many messages come as there is room for. */
  grant(): void {
    const count = this.#reason === undefined && !this.#flooded ? this.#permits.more(this.#bytes) : 0;
    if (count === 0 || !this.#connection.open) return;
    this.#connection.send({ type: Type.FLOW, flow: { consumerId: this.#id, messagePermits: count } });
  }

  /**
   * The next entry, without taking it. Undefined: none came within `ms`. Throws why nothing comes any more once all that came is
   * taken.
   */
  async peek(ms: number, signal: AbortSignal): Promise<RawEntry | undefined> {
    signal.throwIfAborted();
    if (this.#taken < this.#queue.length) return this.#queue[this.#taken];
    if (this.#reason !== undefined) throw this.#reason;
    await new Promise<void>((resolve, reject) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", onAbort);
        this.#wake = undefined;
        resolve();
      };
      const onAbort = () => {
        done();
        reject(signal.reason);
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener("abort", onAbort, { once: true });
      this.#wake = done;
    });
    signal.throwIfAborted();
    if (this.#taken < this.#queue.length) return this.#queue[this.#taken];
    if (this.#reason !== undefined) throw this.#reason;
    return undefined;
  }

  /** The next entry that is here, without waiting. */
  get here(): RawEntry | undefined {
    return this.#queue[this.#taken];
  }

  take(): void {
    const entry = this.#queue[this.#taken];
    if (entry === undefined) return;
    this.#bytes -= entry.rest.length;
    // Shifting a long array costs its length.
    if (++this.#taken >= 256 || this.#taken === this.#queue.length) {
      this.#queue = this.#queue.slice(this.#taken);
      this.#taken = 0;
    }
  }

  message({ ledger, entry }: MessageCommand, rest: Uint8Array): void {
    if (this.#flooded) return;
    this.#permits.came(rest);
    if (this.#permits.floods(this.#bytes, rest.length) && this.#queue.length > this.#taken) {
      this.#flooded = true;
      this.#leave();
      return this.ended(new FloodError("More came than there is room for"));
    }
    this.#bytes += rest.length;
    this.#queue.push({ ledger, entry, rest });
    this.#wake?.();
  }

  ended(reason: Error): void {
    this.#reason ??= reason;
    this.#wake?.();
  }

  close(): void {
    this.#leave();
    this.#queue = [];
    this.#taken = 0;
    this.ended(new Error("The subscription was closed"));
  }

  /** Messages on their way are dropped; the answer is not waited for. */
  #leave(): void {
    this.#connection.forget(this.#id);
    if (!this.#connection.open) return;
    const requestId = this.#connection.newId();
    this.#connection.send({ type: Type.CLOSE_CONSUMER, closeConsumer: { consumerId: this.#id, requestId } });
  }
}

/** Not a failure: the reader subscribes again where it is, and asks for less. */
export class FloodError extends Error {}

function lastOf({ ledgerId, entryId, batchIndex }: MessageIdData): LastMessage | undefined {
  if (ledgerId === NONE || entryId === NONE) return undefined;
  return { ledger: ledgerId, entry: entryId, batch: Math.max(0, batchIndex) };
}
