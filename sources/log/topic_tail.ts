/**
 * The loop around a topic's fetches: repeats what repeating mends, throws what it does not, never goes on from another
 * place than asked, and fetches one response ahead of its reader.
 */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { LogBounds, LogFetch } from "../../pipeline/model/mod.ts";
import { kafkaPositions } from "../../pipeline/positions/mod.ts";
import { hasProtocolError, innermostMessage, isUndecodable, isUnknownTopic, kafkaError } from "./kafka/errors.ts";
import { Outage, type TopicTailOptions } from "./outage.ts";
import { lostByBounds, lostByIdentity, lostByRemoval } from "./position.ts";

/** One topic of a broker, not more than one `fetch` at a time. Errors are the client's own. */
export interface TopicPort {
  readonly topic: string;
  /** For errors: `Kafka at b1:9092`. */
  readonly what: string;
  /** Asks the broker, not a cache. */
  bounds(): Promise<LogBounds>;
  /** `identify` is called with the topic's id before anything is fetched under it. */
  fetch(offset: bigint, identify: (topicId: string) => void): Promise<LogFetch>;
  /** Makes a waiting fetch fail at once. */
  close(): Promise<void>;
}

/** Attempts after which a topic that stays unknown counts as deleted, and bytes that stay unreadable as damaged. */
const PATIENCE = 6;

export class TopicTail {
  readonly #port: TopicPort;
  readonly #outage: Outage;
  readonly #signal: AbortSignal;
  readonly #onAbort: () => void;
  /** Ends a wait between attempts when the tail is closed, whoever closes it. */
  readonly #stop = new AbortController();
  /** Identity that the topic must have; the first one seen where the caller named none. */
  #topicId: string | undefined;
  #closed: Promise<void> | undefined;
  /** True once a fetch succeeded: from then on a refusal may be the moment of a broker's restart. */
  #proven = false;

  constructor(port: TopicPort, topicId: string | undefined, options: TopicTailOptions, signal: AbortSignal) {
    this.#port = port;
    this.#topicId = topicId;
    this.#outage = new Outage(port.topic, options);
    this.#signal = signal;
    // Closing is what makes a waiting fetch return.
    this.#onAbort = () => void this.close().catch(() => {});
    signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  async *pages(offset: bigint): AsyncGenerator<LogFetch> {
    await this.#persist(() => this.#verify(offset));
    let coming = this.#read(offset);
    try {
      while (true) {
        const page = await coming;
        // One response ahead, no more: whoever does not call next() stops the fetching.
        coming = this.#read(page.next);
        coming.catch(() => {});
        yield page;
      }
    } finally {
      // What cannot be closed hides nothing: whoever closes the source hears of it.
      await this.close().catch(() => {});
      await coming.catch(() => {});
    }
  }

  close(): Promise<void> {
    this.#signal.removeEventListener("abort", this.#onAbort);
    this.#closed ??= this.#port.close();
    this.#stop.abort(
      this.#signal.aborted ? this.#signal.reason : new TidemarkError("aborted", "The log source was closed"),
    );
    return this.#closed;
  }

  #read(offset: bigint): Promise<LogFetch> {
    return this.#persist(async () => {
      const page = await this.#port.fetch(offset, (id) => this.#identify(id, offset));
      this.#proven = true;
      return page;
    }, () => this.#verify(offset));
  }

  /** Repeats until it succeeds; throws only what repeating does not mend. */
  async #persist<T>(attempt: () => Promise<T>, onOutOfRange?: () => Promise<void>): Promise<T> {
    for (let failures = 0;; failures++) {
      this.#throwIfClosed();
      try {
        const result = await attempt();
        this.#outage.over();
        return result;
      } catch (thrown) {
        this.#throwIfClosed();
        if (thrown instanceof TidemarkError) throw thrown;
        if (onOutOfRange !== undefined && hasProtocolError(thrown, "OFFSET_OUT_OF_RANGE")) {
          // Within bounds after all: a broker that is behind after a restart says so for a moment.
          await this.#persist(onOutOfRange);
        }
        this.#throwIfHopeless(thrown, failures);
        await this.#outage.wait(failures, innermostMessage(thrown), this.#stop.signal);
      }
    }
  }

  #throwIfClosed(): void {
    this.#signal.throwIfAborted();
    this.#stop.signal.throwIfAborted();
  }

  #throwIfHopeless(thrown: unknown, failures: number): void {
    if (isUnknownTopic(thrown)) {
      // A topic that was there is given the time that a restarting cluster needs to know it again.
      const known = this.#topicId !== undefined;
      if (failures < (known ? PATIENCE : 0)) return;
      throw known ? lostByRemoval(this.#port.topic) : kafkaError(thrown, this.#port.what);
    }
    if (isUndecodable(thrown)) {
      if (failures < PATIENCE) return;
      throw new TidemarkError(
        "damaged",
        `A fetch from topic ${this.#port.topic} cannot be decoded: ${innermostMessage(thrown)}`,
        {
          hint:
            "The log holds a batch that is broken, or of a format older than Kafka 0.11. Where the topic has replicas, " +
            "another broker may hold it whole.",
          cause: thrown,
        },
      );
    }
    const error = kafkaError(thrown, this.#port.what);
    // A wrong password does not mend itself; a broker that just restarts can refuse one for a moment.
    const hopeless = !(error instanceof TidemarkError) || !error.retriable;
    if (hopeless && (!this.#proven || failures >= PATIENCE)) throw error;
  }

  /** Throws `position_lost` unless the topic is the one and `offset` lies inside it. */
  async #verify(offset: bigint): Promise<void> {
    const bounds = await this.#port.bounds();
    this.#identify(bounds.topicId, offset);
    if (offset < bounds.earliest || offset > bounds.latest) {
      throw lostByBounds(this.#port.topic, offset, bounds, kafkaPositions);
    }
  }

  #identify(id: string, offset: bigint): void {
    if (this.#topicId !== undefined && this.#topicId !== id) {
      throw lostByIdentity(this.#port.topic, offset, this.#topicId, id);
    }
    this.#topicId = id;
  }
}
