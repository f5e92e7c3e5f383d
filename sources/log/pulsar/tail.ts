/**
 * One topic, read for ever. Pulsar reports no loss: a start that was trimmed, that lies behind the end or whose topic was made
 * anew is replaced by another place, and a reader that is slow is moved on, both in silence. What proves that nothing is missing:
 *
 * 1. It goes on at a record that was seen, inclusive, never at "the next one".
 * 2. Before anything is asked for, the topic's last message must not lie before that record.
 * 3. The first entry that comes must be that very entry.
 * 4. Within a ledger an entry has the number behind the one before it. Where a ledger begins, a second reader that begins at the
 *    last entry must get the two one after the other.
 * 5. A record that is read again must be the message that it was, also by another process: see `witness.ts`.
 */
import { TidemarkError } from "../../../pipeline/errors.ts";
import { after, type LogFetch, type LogRecord, type Position, type TailOptions } from "../../../pipeline/model/mod.ts";
import { pulsarPlace, pulsarPosition, pulsarPositions } from "../../../pipeline/positions/mod.ts";
import { isInsert } from "../gen1/is_insert.ts";
import { Outage, type TopicTailOptions } from "../outage.ts";
import type { PulsarClient, Subscribed } from "./client.ts";
import { type RawEntry, readEntry } from "./entry.ts";
import {
  ConnectionError,
  isTopicUnknown,
  lostBySeal,
  lostByWitness,
  lostOutside,
  lostPosition,
  lostTopic,
  pulsarError,
} from "./errors.ts";
import { Permits } from "./permits.ts";
import { beginningOf, endOf } from "./ends.ts";
import { FloodError } from "./subscription.ts";
import { formatWitness, judgeWitness, type Witness } from "./witness.ts";

export interface PulsarTailOptions extends TopicTailOptions, TailOptions {
  readonly client: PulsarClient;
  readonly topic: string;
  /** For errors: `Pulsar at pulsar:6650`. */
  readonly what: string;
  /** Compressed bytes that may wait. */
  readonly window: number;
  readonly timeoutMs: number;
  /** What the topic was known by. */
  readonly witness?: Witness | undefined;
  readonly onFetched?: (topic: string, bytes: number) => void;
}

/** Without a record for so long, the broker is asked where the log ends. */
const IDLE_MS = 500;
/** Values of a page. */
const PAGE_BYTES = 1 << 20;
/** Attempts after which a topic that stays unknown counts as deleted, and bytes that stay unreadable as damaged. */
const PATIENCE = 6;
/** Attempts after which a log that ends before what was read counts as replaced. */
const SHORT_PATIENCE = 3;

/** A subscription whose first entry is proven, or not yet. */
interface Reading extends Subscribed {
  proven: boolean;
  /** Nothing is there to begin with: the first entry comes when it is written. */
  readonly empty: boolean;
  /** Since when nothing came, `performance.now()`. */
  quiet: number;
}

const { format } = pulsarPositions;

export class PulsarTail {
  readonly #o: PulsarTailOptions;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #permits: Permits;
  /** From where to go on. */
  #next: Position;
  /** The last entry that was read. */
  #last: Witness | undefined;
  readonly #outage: Outage;
  #failures = 0;
  /** The topic was found once, and a record of it read: from then on a refusal may be the moment of a broker's restart. */
  #found = false;
  #proven = false;
  /** What the caller knew the topic by, until it was looked at. */
  #witness: Witness | undefined;

  constructor(offset: Position, options: PulsarTailOptions, signal: AbortSignal) {
    this.#o = options;
    this.#outage = new Outage(options.topic, options);
    this.#next = offset;
    this.#witness = options.witness;
    this.#signal = AbortSignal.any([signal, this.#stop.signal]);
    this.#permits = new Permits(options.window);
  }

  async *pages(): AsyncGenerator<LogFetch> {
    for (;;) {
      let reading: Reading | undefined;
      try {
        reading = await this.#begin();
        for (;;) {
          const page = await this.#page(reading);
          if (page === undefined) continue;
          this.#succeeded();
          yield page;
        }
      } catch (thrown) {
        reading?.subscription.close();
        await this.#recover(thrown);
      } finally {
        reading?.subscription.close();
      }
    }
  }

  close(): void {
    this.#stop.abort(new TidemarkError("aborted", "The log source was closed"));
  }

  /** Rules 1 and 2. */
  async #begin(): Promise<Reading> {
    const { client, topic } = this.#o;
    const { ledger, entry } = pulsarPlace(this.#next);
    const subscribed = await client.subscribe(
      topic,
      { start: { ledger, entry }, permits: this.#permits },
      this.#signal,
    );
    this.#found = true;
    try {
      const { last } = await subscribed.subscription.last(this.#signal);
      const empty = last === undefined;
      if (empty || this.#next > endOf(last)) {
        const begin = await this.#beginning(subscribed);
        // Of an empty topic only the very beginning is a place.
        if (!empty || this.#last !== undefined || this.#next !== begin) {
          throw lostOutside(topic, this.#next, { earliest: begin, latest: empty ? begin : endOf(last) });
        }
      }
      if (this.#witness !== undefined) await this.#identify(subscribed, this.#witness);
      return { ...subscribed, proven: false, empty, quiet: performance.now() };
    } catch (error) {
      subscribed.subscription.close();
      throw error;
    }
  }

  /** Rule 5, where another process read last. */
  async #identify({ connection }: Subscribed, witness: Witness): Promise<void> {
    const { client, topic, timeoutMs } = this.#o;
    const verdict = await judgeWitness({ client, connection, topic, timeoutMs }, witness, this.#signal);
    if (verdict.kind === "other") throw lostByWitness(topic, this.#next, witness, verdict.there);
    this.#witness = undefined;
  }

  /** Where the first record is, or will be. */
  async #beginning({ connection }: Subscribed): Promise<Position> {
    const { client, topic } = this.#o;
    const permits = new Permits(1);
    const subscription = await client.beside(connection, topic, { start: undefined, permits }, this.#signal);
    try {
      return beginningOf(await subscription.last(this.#signal), topic);
    } finally {
      subscription.close();
    }
  }

  /** What is here, as a page; where nothing comes, one that says where the log ends. Undefined: to be asked again. */
  async #page(reading: Reading): Promise<LogFetch | undefined> {
    const { subscription } = reading;
    subscription.grant();
    if (await subscription.peek(IDLE_MS, this.#signal) === undefined) return await this.#idle(reading);
    reading.quiet = performance.now();
    const records: LogRecord[] = [];
    const { topic, withoutInserts = false, onFetched } = this.#o;
    let bytes = 0;
    let kept = 0;
    for (let raw = subscription.here; raw !== undefined && bytes < PAGE_BYTES; raw = subscription.here) {
      try {
        if (reading.proven && raw.ledger !== this.#last!.ledger) {
          // What is here is handed out before anything can fail.
          if (kept > 0) break;
          await this.#proveSeam(reading, raw);
        }
        const entry = readEntry(raw, topic);
        this.#prove(reading, raw, entry.seal, entry.end);
        subscription.take();
        for (const record of entry.records) {
          bytes += record.value?.length ?? 0;
          if (record.offset < this.#next || (withoutInserts && isInsert(record))) continue;
          records.push(record);
        }
        reading.proven = true;
        this.#last = { ledger: raw.ledger, entry: raw.entry, seal: entry.seal };
        if (entry.end > this.#next) this.#next = entry.end;
        kept++;
      } catch (thrown) {
        // It is met again with the next page.
        if (kept > 0) break;
        throw thrown;
      }
    }
    subscription.grant();
    onFetched?.(topic, bytes);
    // Whether this is the end is not known: more may be on its way.
    const topicId = formatWitness(this.#last!);
    return { records, next: this.#next, highWatermark: after(this.#next), topicId };
  }

  /** Rules 3, 4 within a ledger, and 5. */
  #prove(reading: Reading, { ledger, entry }: RawEntry, seal: string, end: Position): void {
    const { topic } = this.#o;
    const last = this.#last;
    const at = pulsarPosition({ ledger, entry, batch: 0 });
    if (reading.proven) {
      // Of another ledger the seam was proven.
      if (ledger !== last!.ledger || entry === last!.entry + 1n) return;
      throw lostPosition(topic, this.#next, `behind ${last!.ledger}:${last!.entry} comes ${format(at)}`);
    }
    const wanted = pulsarPlace(this.#next);
    if (ledger !== wanted.ledger || entry !== wanted.entry) {
      throw lostPosition(
        topic,
        this.#next,
        `the broker goes on at ${format(at)}, so it was removed or the topic replaced`,
      );
    }
    if (last !== undefined && last.seal !== seal) throw lostBySeal(topic, at, last.seal, seal);
    if (this.#next > end) throw lostPosition(topic, this.#next, `the entry ends before ${format(end)}`);
  }

  /** Rule 4 between two ledgers: nothing lies between the last entry and this one. */
  async #proveSeam({ connection }: Reading, next: RawEntry): Promise<void> {
    const { client, topic, timeoutMs, window } = this.#o;
    const last = this.#last!;
    const probe = await client.beside(connection, topic, { start: last, permits: new Permits(window) }, this.#signal);
    try {
      for (const expected of [last, next]) {
        probe.grant();
        const found = await probe.peek(timeoutMs, this.#signal);
        if (found === undefined) throw new ConnectionError(`Nothing comes from ${last.ledger}:${last.entry} on`);
        probe.take();
        if (found.ledger === expected.ledger && found.entry === expected.entry) continue;
        throw lostPosition(
          topic,
          this.#next,
          `behind ${last.ledger}:${last.entry} came ${next.ledger}:${next.entry}, and whoever reads from there gets ` +
            `${found.ledger}:${found.entry}: what lay between was removed before it was read`,
        );
      }
    } finally {
      probe.close();
    }
  }

  async #idle(reading: Reading): Promise<LogFetch | undefined> {
    const { last } = await reading.subscription.last(this.#signal);
    // An empty topic ends where it begins; of one that was emptied by its retention everything was read.
    const end = last === undefined ? this.#next : endOf(last);
    if (end <= this.#next && (reading.proven || (reading.empty && last === undefined))) {
      reading.quiet = performance.now();
      return { records: [], next: this.#next, highWatermark: this.#next };
    }
    if (performance.now() - reading.quiet > this.#o.timeoutMs) {
      // Brokers without apache/pulsar 23368 come to that where they opened a topic while its bookies were away.
      const { client, topic } = this.#o;
      throw new ConnectionError(
        `The log goes on to ${format(end)}, but the broker sends nothing behind ${format(this.#next)}. ` +
          `Where that lasts, let it open the topic anew: pulsar-admin topics unload ${client.fullName(topic)}`,
      );
    }
    return undefined;
  }

  #succeeded(): void {
    this.#failures = 0;
    this.#proven = true;
    this.#outage.over();
  }

  /** Waits before the next attempt; throws what repeating does not mend. */
  async #recover(thrown: unknown): Promise<void> {
    this.#signal.throwIfAborted();
    if (thrown instanceof FloodError) return;
    const failures = this.#failures++;
    this.#throwIfHopeless(thrown, failures);
    await this.#outage.wait(failures, thrown instanceof Error ? thrown.message : String(thrown), this.#signal);
  }

  #throwIfHopeless(thrown: unknown, failures: number): void {
    const { topic, what } = this.#o;
    if (thrown instanceof TidemarkError) {
      // A broker that was just started may be behind for a moment.
      if (thrown.code === "position_lost" && this.#proven && failures < SHORT_PATIENCE) return;
      throw thrown;
    }
    if (isTopicUnknown(thrown)) {
      // A topic that was there is given the time that a restarting cluster needs to know it again.
      if (failures < (this.#found ? PATIENCE : 0)) return;
      throw this.#found ? lostTopic(topic) : pulsarError(thrown, what);
    }
    if (thrown instanceof RangeError) {
      if (failures < PATIENCE) return;
      throw new TidemarkError(
        "damaged",
        `The message behind ${format(this.#next)} of topic ${topic} cannot be read: ${thrown.message}`,
        { hint: "The log holds a message that is broken. Another bookie may hold it whole.", cause: thrown },
      );
    }
    const error = pulsarError(thrown, what);
    // A wrong token does not mend itself; a broker that just restarts can refuse one for a moment, and a token is renewed.
    const hopeless = !(error instanceof TidemarkError) || !error.retriable;
    if (hopeless && (!this.#proven || failures >= PATIENCE)) throw error;
  }
}
