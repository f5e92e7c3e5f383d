/** The log source on a Milvus itself: its own reading of its log, over its ordinary port. */
import { TidemarkError } from "../../../pipeline/errors.ts";
import type { CheckLine, LogBounds, LogFetch, LogSource, Position, TailOptions } from "../../../pipeline/model/mod.ts";
import { patientBounds } from "../patient_bounds.ts";
import type { TopicTailOptions } from "../outage.ts";
import { beginningOf, boundsOf } from "./bounds.ts";
import type { DumpClient } from "./client.ts";
import type { DumpKeys } from "./keys.ts";
import { leavesOutTransactions } from "./releases.ts";
import { DumpTail } from "./tail.ts";
import { plural } from "../../../pipeline/units/mod.ts";

export interface DumpLogOptions extends TopicTailOptions {
  readonly client: DumpClient;
  readonly keys: DumpKeys;
  readonly idlePollMs: number;
  readonly timeoutMs: number;
  /** Without a message for so long, the server is asked whether there is one. Default 500. */
  readonly quietMs?: number;
  /** Told of the values of each page, in bytes; what was read twice counts twice. */
  readonly onFetched?: (topic: string, bytes: number) => void;
}

/** `check` names at most this many channels. */
const TOPICS_NAMED = 64;
/** How long an end that a reader has found is told to others: looking for it makes the source write. */
const FRESH_MS = 10_000;

/** Connects to nothing. */
export function createDumpLog(options: DumpLogOptions): LogSource {
  return new DumpLog(options);
}

interface Ended {
  readonly bounds: LogBounds;
  readonly at: number;
}

class DumpLog implements LogSource {
  readonly queue: LogSource["queue"];
  readonly #o: DumpLogOptions;
  readonly #tails = new Map<DumpTail, { readonly topic: string; ended: Ended | undefined }>();
  #answered = false;

  constructor(options: DumpLogOptions) {
    this.#o = options;
    this.queue = options.client.ids.queue;
  }

  topics(signal: AbortSignal): Promise<string[]> {
    return this.#o.keys.topics(signal);
  }

  /** A wrong address is said at once; once the server has answered, an outage is waited out. */
  async bounds(topic: string, signal: AbortSignal): Promise<LogBounds> {
    for (const { topic: read, ended } of this.#tails.values()) {
      if (read === topic && ended !== undefined && performance.now() - ended.at < FRESH_MS) return ended.bounds;
    }
    return await patientBounds({
      ...this.#o,
      topic,
      answered: () => this.#answered,
      ask: async () => {
        const bounds = await this.#bounds(topic, signal);
        this.#answered = true;
        return bounds;
      },
    }, signal);
  }

  async *tail(
    topic: string,
    offset: Position,
    topicId: string | undefined,
    signal: AbortSignal,
    options: TailOptions = {},
  ): AsyncIterable<LogFetch> {
    signal.throwIfAborted();
    const { client, keys } = this.#o;
    let known: LogBounds | undefined;
    const own: { readonly topic: string; ended: Ended | undefined } = { topic, ended: undefined };
    const tail = new DumpTail(offset, {
      ...this.#o,
      ...options,
      topic,
      topicId,
      bounds: async (signal) => known = await this.#bounds(topic, signal),
      earliest: async (signal) => {
        const facts = await keys.facts(topic, signal);
        return await beginningOf(client, topic, facts, await client.now(signal), signal);
      },
      restart: (signal) => keys.restart(topic, signal),
      onEnd: (latest) => own.ended = { bounds: { ...known!, latest }, at: performance.now() },
    }, signal);
    this.#tails.set(tail, own);
    try {
      for await (const page of tail.pages()) {
        // More was there than that end says: whoever stands behind it would hear that it lost its place.
        if (own.ended !== undefined && page.next > own.ended.bounds.latest) own.ended = undefined;
        yield page;
      }
    } finally {
      this.#tails.delete(tail);
      tail.close();
    }
  }

  async check(signal: AbortSignal): Promise<CheckLine[]> {
    const { client, keys } = this.#o;
    const what = client.what.replace(/^Milvus at /, "milvus ");
    const lines: CheckLine[] = [];
    const failed = (label: string, thrown: unknown): CheckLine[] => {
      signal.throwIfAborted();
      if (!(thrown instanceof TidemarkError)) throw thrown;
      const { message, hint, code } = thrown;
      lines.push({ what: label, ok: "fail", detail: hint === undefined ? message : `${message}. ${hint}`, code });
      return lines;
    };
    let topics: string[];
    try {
      const version = await client.version(signal);
      topics = await keys.topics(signal);
      lines.push({
        what,
        ok: "ok",
        detail: `reached, version ${version}, ${topics.length} ${plural(topics.length, "channel")}`,
      });
      if (leavesOutTransactions(version)) {
        lines.push({
          what: `${what} transactions`,
          ok: "warn",
          detail: `the DumpMessages of ${version} leaves out the rows of transactions, which is every upsert: a ` +
            "collection with one behind its checkpoint is blocked. 2.6.20 and 3.0 give them; otherwise name the queue itself",
        });
      }
    } catch (thrown) {
      return failed(what, thrown);
    }
    if (topics.length === 0) {
      lines.push({
        what: `${what} channels`,
        ok: "warn",
        detail:
          "no channel in etcd that a streaming node serves: right before the first start of a 2.6 or 3.0; an older " +
          "Milvus has no DumpMessages",
      });
    }
    const { format } = client.ids.forms;
    for (const topic of topics.slice(0, TOPICS_NAMED)) {
      try {
        const { earliest, latest } = await this.#bounds(topic, signal);
        lines.push({ what: `milvus ${topic}`, ok: "ok", detail: `${format(earliest)} to ${format(latest)}` });
      } catch (thrown) {
        failed(`milvus ${topic}`, thrown);
        // The others would say the same.
        if (thrown instanceof TidemarkError && thrown.code !== "not_found") break;
      }
    }
    return lines;
  }

  async close(): Promise<void> {
    for (const tail of this.#tails.keys()) tail.close();
    await this.#o.client.close();
  }

  async #bounds(topic: string, signal: AbortSignal): Promise<LogBounds> {
    const { client, keys } = this.#o;
    try {
      return await boundsOf(client, topic, await keys.facts(topic, signal), signal);
    } catch (thrown) {
      signal.throwIfAborted();
      if (!(thrown instanceof RangeError)) throw thrown;
      throw new TidemarkError("damaged", `What ${client.what} gives of ${topic} cannot be read: ${thrown.message}`, {
        hint: "Set sources.log.queue to the queue that the source uses.",
        cause: thrown,
      });
    }
  }
}
