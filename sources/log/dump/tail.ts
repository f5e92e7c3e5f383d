/**
 * One channel, followed for ever. The server gives its messages in the order of their time ticks and keeps the ticks to itself,
 * so that
 *
 * - each message says that everything before it was given: its tick counts as one that was read;
 * - on a channel on which nothing comes, a second reading up to the source's clock ends once everything up to there was given;
 * - the place to start again is not behind the last message but where that message says that everything later lies (`_lc`), or
 *   where Milvus itself would start again.
 */
import { leave } from "../../../pipeline/leave.ts";
import { pause } from "../../../pipeline/pause.ts";
import { TidemarkError } from "../../../pipeline/errors.ts";
import {
  after,
  type HybridTs,
  isoOfHybrid,
  type LogBounds,
  type LogFetch,
  type LogRecord,
  type Position,
  type TailOptions,
} from "../../../pipeline/model/mod.ts";
import { isInsert } from "../gen1/is_insert.ts";
import { lostByBounds, lostByIdentity, lostByRemoval } from "../position.ts";
import { Outage, type TopicTailOptions } from "../outage.ts";
import type { DumpClient } from "./client.ts";
import type { DumpItem } from "./message.ts";

export interface DumpTailOptions extends TopicTailOptions, TailOptions {
  readonly client: DumpClient;
  readonly topic: string;
  readonly topicId: string | undefined;
  readonly idlePollMs: number;
  readonly timeoutMs: number;
  /** As {@link DumpLogOptions.quietMs}. */
  readonly quietMs?: number;
  /** Asks the server. */
  readonly bounds: (signal: AbortSignal) => Promise<LogBounds>;
  /** Nothing from there on was removed. */
  readonly earliest: (signal: AbortSignal) => Promise<Position>;
  /** As {@link ChannelFacts.restart}. */
  readonly restart: (signal: AbortSignal) => Promise<Position | undefined>;
  /** The log was found to end there. */
  readonly onEnd?: (end: Position) => void;
  readonly onFetched?: (topic: string, bytes: number) => void;
}

const QUIET_MS = 500;
const GROWTH = 1.6;
/** Values of a page. */
const PAGE_BYTES = 1 << 20;
/** How long a log is believed not to have lost what is still to be read. */
const REACH_MS = 60_000;
/** Records that are known again. */
const RECENT = 4096;
/** Attempts after which a channel that stays unknown counts as deleted, and bytes that stay unreadable as damaged. */
const PATIENCE = 6;

const KEEP =
  "raise the source's streaming.walTruncate.retentionInterval, or what its queue keeps, above any pause of a run";

export class DumpTail {
  readonly #o: DumpTailOptions;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  #topicId: string | undefined;
  /** Everything that was not handed out lies here or behind. */
  #safe: Position;
  /** Behind everything that was handed out. */
  #next: Position;
  /** Everything up to it was handed out. */
  #tick: HybridTs = 0n;
  /** The last records that were handed out, oldest first. */
  readonly #recent = new Set<Position>();
  #provenAt = 0;
  readonly #outage: Outage;
  #failures = 0;
  #read = false;

  constructor(from: Position, options: DumpTailOptions, signal: AbortSignal) {
    this.#o = options;
    this.#outage = new Outage(options.topic, options);
    this.#safe = from;
    this.#next = from;
    this.#topicId = options.topicId;
    this.#signal = AbortSignal.any([signal, this.#stop.signal]);
  }

  async *pages(): AsyncGenerator<LogFetch> {
    for (;;) {
      try {
        await this.#verify();
        for await (const page of this.#connected()) {
          this.#succeeded();
          yield page;
        }
      } catch (thrown) {
        await this.#recover(thrown);
      }
    }
  }

  close(): void {
    this.#stop.abort(new TidemarkError("aborted", "The log source was closed"));
  }

  /** The server begins in silence at a later place where the wanted one is gone: so it is asked before. */
  async #verify(): Promise<void> {
    const { topic, bounds: ask, client } = this.#o;
    const bounds = await ask(this.#signal);
    if (this.#topicId !== undefined && bounds.topicId !== this.#topicId) {
      throw lostByIdentity(topic, client.ids.forms.format(this.#safe), this.#topicId, bounds.topicId);
    }
    this.#topicId = bounds.topicId;
    if (this.#safe < bounds.earliest || this.#safe > bounds.latest) {
      throw lostByBounds(topic, this.#safe, bounds, client.ids.forms, KEEP);
    }
    this.#provenAt = 0;
  }

  /** One stream, until it fails. */
  async *#connected(): AsyncGenerator<LogFetch> {
    const { client, topic, idlePollMs, quietMs: firstMs = QUIET_MS } = this.#o;
    const stop = new AbortController();
    const reading = AbortSignal.any([this.#signal, stop.signal]);
    const items = client.follow({ topic, from: this.#safe, after: this.#tick }, reading);
    const ask = () => {
      const coming = items.next();
      coming.catch(() => {});
      return coming;
    };
    let coming = ask();
    let quietMs = firstMs;
    /** Since when the server says that there is more than it gives. */
    let owed: number | undefined;
    try {
      for (;;) {
        if (!await settles(coming, quietMs, this.#signal)) {
          quietMs = Math.min(quietMs * GROWTH, Math.max(firstMs, idlePollMs));
          const page = await this.#lookForEnd();
          if (page !== undefined) {
            owed = undefined;
            yield page;
            continue;
          }
          quietMs = firstMs;
          owed ??= performance.now();
          if (performance.now() - owed > this.#o.timeoutMs) throw new StreamFault("the server gives less than it has");
          continue;
        }
        owed = undefined;
        quietMs = firstMs;
        const found: DumpItem[] = [];
        let bytes = 0;
        let failure: { readonly thrown: unknown } | undefined;
        do {
          try {
            const { done, value } = await coming;
            if (done) throw new StreamFault("the server ended the stream");
            found.push(value);
            for (const { value: content } of value.records) bytes += content?.length ?? 0;
          } catch (thrown) {
            failure = { thrown };
            break;
          }
          coming = ask();
        } while (bytes < PAGE_BYTES && await settles(coming, 0, this.#signal));
        if (found.length > 0) {
          await this.#prove();
          yield this.#page(found, bytes);
        }
        if (failure !== undefined) throw failure.thrown;
      }
    } finally {
      stop.abort();
      await leave(items);
    }
  }

  #page(items: readonly DumpItem[], bytes: number): LogFetch {
    const { topic, withoutInserts = false, onFetched } = this.#o;
    const records: LogRecord[] = [];
    for (const item of items) {
      if (item.tick !== undefined) {
        if (item.tick <= this.#tick && this.#isAgain(item)) continue;
        this.#tick = item.tick;
      }
      for (const record of item.records) {
        this.#recent.add(record.offset);
        if (after(record.offset) > this.#next) this.#next = after(record.offset);
        if (!withoutInserts || !isInsert(record)) records.push(record);
      }
      // What has no tick was not written by Milvus, and is in the order of its places.
      const safe = item.tick === undefined ? after(item.records.at(-1)!.offset) : item.safe;
      if (safe !== undefined && safe > this.#safe) this.#safe = safe;
    }
    for (const place of this.#recent) {
      if (this.#recent.size <= RECENT) break;
      this.#recent.delete(place);
    }
    if (this.#safe > this.#next) this.#next = this.#safe;
    onFetched?.(topic, bytes);
    // Whether this is the end is not known: more may be on its way.
    return { records, next: this.#next, highWatermark: after(this.#next), ...this.#confirmed() };
  }

  /** Throws `damaged` for what was not given before: behind its tick it would be missing for everybody. */
  #isAgain({ records, tick }: DumpItem): true {
    if (records.every(({ offset }) => this.#recent.has(offset))) return true;
    const { client, topic } = this.#o;
    throw new TidemarkError(
      "damaged",
      `${client.what} gives ${client.ids.forms.format(records[0]!.offset)} of ${topic}, of ${
        isoOfHybrid(tick!)
      }, after it had given everything up to ${isoOfHybrid(this.#tick)}`,
      { hint: "Its log has no order that can be trusted: name the queue itself in sources.log." },
    );
  }

  #confirmed(): Pick<LogFetch, "confirmed" | "resume"> {
    return this.#tick === 0n ? { resume: this.#safe } : { confirmed: this.#tick, resume: this.#safe };
  }

  /** A page that says that everything up to now was handed out; undefined where the server has more. */
  async #lookForEnd(): Promise<LogFetch | undefined> {
    const { client, topic, restart, onEnd } = this.#o;
    const place = await restart(this.#signal);
    const upTo = await client.now(this.#signal);
    if (upTo > this.#tick) {
      const request = { topic, from: this.#safe, after: this.#tick };
      for await (const _ of client.window(request, upTo, this.#signal)) return undefined;
      this.#tick = upTo;
    }
    // It was there before this moment, so what comes is later than its tick.
    if (place !== undefined && place > this.#safe) this.#safe = place;
    if (this.#safe > this.#next) this.#next = this.#safe;
    onEnd?.(this.#next);
    return { records: [], next: this.#next, highWatermark: this.#next, ...this.#confirmed() };
  }

  /** A queue removes what is old also under a slow reader, and then goes on behind it. */
  async #prove(): Promise<void> {
    if (performance.now() < this.#provenAt) return;
    const { topic, earliest, client } = this.#o;
    const begin = await earliest(this.#signal);
    if (begin > this.#safe) {
      const latest = begin > this.#next ? begin : this.#next;
      throw lostByBounds(topic, this.#safe, { earliest: begin, latest }, client.ids.forms, KEEP);
    }
    this.#provenAt = performance.now() + REACH_MS;
  }

  #succeeded(): void {
    this.#failures = 0;
    this.#read = true;
    this.#outage.over();
  }

  /** Waits before the next attempt; throws what repeating does not mend. */
  async #recover(thrown: unknown): Promise<void> {
    this.#signal.throwIfAborted();
    const failures = this.#failures++;
    this.#throwIfHopeless(thrown, failures);
    await this.#outage.wait(failures, thrown instanceof Error ? thrown.message : String(thrown), this.#signal);
  }

  #throwIfHopeless(thrown: unknown, failures: number): void {
    const { topic } = this.#o;
    if (thrown instanceof StreamFault) {
      if (failures < PATIENCE) return;
      throw new TidemarkError("unreachable", `${this.#o.client.what} does not go on with ${topic}: ${thrown.message}`);
    }
    if (thrown instanceof RangeError) {
      if (failures < PATIENCE) return;
      throw new TidemarkError(
        "damaged",
        `What ${this.#o.client.what} gives of ${topic} behind ${
          this.#o.client.ids.forms.format(this.#next)
        } cannot be read: ${thrown.message}`,
        { hint: "Set sources.log.queue to the queue that the source uses.", cause: thrown },
      );
    }
    // A reading that begins anew would pass over what came too late.
    if (!(thrown instanceof TidemarkError) || LOSSES.has(thrown.code)) throw thrown;
    if (thrown.retriable) return;
    // A channel that was there, and a login that was taken, are given the time that a restarting server needs.
    if (this.#read && failures < PATIENCE && thrown.code !== "unsupported") return;
    if (this.#read && thrown.code === "not_found") {
      throw lostByRemoval(topic, "sources.meta still names the source's etcd and root path");
    }
    throw thrown;
  }
}

const LOSSES: ReadonlySet<TidemarkError["code"]> = new Set(["position_lost", "damaged"]);

/** The stream does not go on as it should; another one may. */
class StreamFault extends Error {
  constructor(message: string) {
    super(message);
    this.name = "StreamFault";
  }
}

/** Whether `coming` settles within `ms`. Rejects with the signal's reason. */
async function settles(coming: Promise<unknown>, ms: number, signal: AbortSignal): Promise<boolean> {
  const over = new AbortController();
  const settled = coming.then(() => true, () => true);
  try {
    return await Promise.race([settled, pause(ms, AbortSignal.any([signal, over.signal])).then(() => false)]);
  } finally {
    over.abort();
  }
}
