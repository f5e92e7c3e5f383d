/** A log in memory, for tests of what reads one. Passes the conformance suite of LogSource like the real one. */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { CheckLine, LogBounds, LogFetch, LogRecord, LogSource, TailOptions } from "../../pipeline/model/mod.ts";
import { kafkaPositions } from "../../pipeline/positions/mod.ts";
import { isInsert } from "../../sources/log/gen1/is_insert.ts";
import { lostByBounds, lostByIdentity, lostByRemoval } from "../../sources/log/position.ts";

export interface FakeValue {
  readonly value: Uint8Array | null;
  readonly headers?: readonly (readonly [name: string, value: Uint8Array])[];
  /** Default: the next one. A larger offset leaves a hole. */
  readonly offset?: bigint;
}

interface FakeTopic {
  readonly id: string;
  records: LogRecord[];
  earliest: bigint;
  next: bigint;
}

export class FakeLog implements LogSource {
  readonly queue = "kafka";
  readonly #topics = new Map<string, FakeTopic>();
  readonly #maxRecords: number;
  readonly #waitMs: number | undefined;
  #changed = Promise.withResolvers<void>();
  #created = 0;
  #down = false;
  #closed = false;
  /** Fetches answered, by topic: how far a reader was let run. */
  readonly fetches = new Map<string, number>();
  /** Offsets handed out, by topic, each as often as it was read. */
  readonly read = new Map<string, bigint[]>();
  /** Told of each record that is written. */
  onRecord: (record: LogRecord) => void = () => {};

  /** `maxRecords`: most records of one fetch; `waitMs`: after this a fetch that finds nothing is answered so. Default: never. */
  constructor(options: { readonly maxRecords?: number; readonly waitMs?: number } = {}) {
    this.#maxRecords = options.maxRecords ?? 100;
    this.#waitMs = options.waitMs;
  }

  createTopic(topic: string, earliest = 0n): void {
    this.#topics.set(topic, { id: `topic-${++this.#created}`, records: [], earliest, next: earliest });
    this.#wake();
  }

  deleteTopic(topic: string): void {
    this.#topics.delete(topic);
    this.#wake();
  }

  /** Returns the offset of the last one. */
  append(topic: string, values: Iterable<FakeValue>): bigint {
    const held = this.#topic(topic);
    for (const { value, headers = [], offset = held.next } of values) {
      const record = { topic, offset, timestampMs: 0n, headers, value };
      held.records.push(record);
      held.next = offset + 1n;
      this.onRecord(record);
    }
    this.#wake();
    return held.next - 1n;
  }

  /** Takes records with their own offsets, as of a file; the topic is created where it is missing. */
  load(records: Iterable<LogRecord>): void {
    for (const record of records) {
      if (!this.#topics.has(record.topic)) this.createTopic(record.topic, record.offset);
      const { value, headers, offset } = record;
      this.append(record.topic, [{ value, headers, offset }]);
    }
  }

  /** As retention does. */
  deleteRecords(topic: string, before: bigint): void {
    const held = this.#topic(topic);
    held.records = held.records.filter((record) => record.offset >= before);
    held.earliest = before;
  }

  /** Nothing answers until {@link up}. */
  down(): void {
    this.#down = true;
  }

  up(): void {
    this.#down = false;
    this.#wake();
  }

  topics(signal: AbortSignal): Promise<string[]> {
    return this.#answer(signal, () => [...this.#topics.keys()].sort());
  }

  bounds(topic: string, signal: AbortSignal): Promise<LogBounds> {
    return this.#answer(signal, () => {
      const { id, earliest, next } = this.#topic(topic);
      return { earliest, latest: next, topicId: id };
    });
  }

  async *tail(
    topic: string,
    offset: bigint,
    topicId: string | undefined,
    signal: AbortSignal,
    { withoutInserts = false }: TailOptions = {},
  ): AsyncIterable<LogFetch> {
    let id = topicId;
    /** What is written to other topics is no answer. */
    let answerAt: number | undefined;
    while (true) {
      signal.throwIfAborted();
      if (this.#closed) throw new TidemarkError("aborted", "The log source was closed");
      if (this.#down) {
        await this.#change(signal);
        continue;
      }
      const held = this.#topics.get(topic);
      if (held === undefined) throw id === undefined ? unknown(topic) : lostByRemoval(topic);
      id ??= held.id;
      if (held.id !== id) throw lostByIdentity(topic, offset, id, held.id);
      if (offset < held.earliest || offset > held.next) {
        throw lostByBounds(
          topic,
          offset,
          { earliest: held.earliest, latest: held.next },
          kafkaPositions,
        );
      }
      const records = held.records.filter((record) => record.offset >= offset).slice(0, this.#maxRecords);
      if (records.length === 0) {
        const now = performance.now();
        if (this.#waitMs !== undefined) answerAt ??= now + this.#waitMs;
        const left = answerAt === undefined ? undefined : answerAt - now;
        if ((left === undefined || left > 0) && await this.#change(signal, left)) continue;
        answerAt = undefined;
        yield { records, highWatermark: held.next, next: offset };
        continue;
      }
      answerAt = undefined;
      this.fetches.set(topic, (this.fetches.get(topic) ?? 0) + 1);
      this.read.set(topic, [...this.read.get(topic) ?? [], ...records.map((record) => record.offset)]);
      offset = records.at(-1)!.offset + 1n;
      yield {
        records: withoutInserts ? records.filter((record) => !isInsert(record)) : records,
        highWatermark: held.next,
        next: offset,
      };
    }
  }

  check(signal: AbortSignal): Promise<CheckLine[]> {
    return this.#answer(
      signal,
      () => [{ what: "fake log", ok: "ok" as const, detail: `${this.#topics.size} topics` }],
    );
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#wake();
    return Promise.resolve();
  }

  #topic(topic: string): FakeTopic {
    const held = this.#topics.get(topic);
    if (held === undefined) throw unknown(topic);
    return held;
  }

  async #answer<T>(signal: AbortSignal, answer: () => T): Promise<T> {
    signal.throwIfAborted();
    if (this.#down) throw new TidemarkError("unreachable", "The fake log is down");
    return await answer();
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** Until anything changes; false where nothing did within `ms`. */
  async #change(signal: AbortSignal, ms?: number): Promise<boolean> {
    const { promise, reject } = Promise.withResolvers<never>();
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    const waited = Promise.withResolvers<boolean>();
    const timer = ms === undefined ? undefined : setTimeout(() => waited.resolve(false), ms);
    try {
      return await Promise.race([this.#changed.promise.then(() => true), waited.promise, promise]);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    }
  }
}

function unknown(topic: string): TidemarkError {
  return new TidemarkError("not_found", `Unknown topic ${topic}`);
}
