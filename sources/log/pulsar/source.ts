/**
 * The log source on Pulsar: the reading half of its binary protocol. No client library is used: each makes a deleted topic anew
 * when it reconnects, and none tells what a position that is gone was replaced by.
 */
import { TidemarkError } from "../../../pipeline/errors.ts";
import type {
  CheckLine,
  LogBounds,
  LogFetch,
  LogMeasure,
  LogRetention,
  LogSource,
  Position,
  TailOptions,
} from "../../../pipeline/model/mod.ts";
import { pulsarPositions } from "../../../pipeline/positions/mod.ts";
import { patientBounds } from "../patient_bounds.ts";
import type { TopicTailOptions } from "../outage.ts";
import { PulsarClient } from "./client.ts";
import { pulsarError } from "./errors.ts";
import type { PulsarServer } from "./login.ts";
import { topicMeasure } from "./measure.ts";
import { Permits } from "./permits.ts";
import { namespaceRetention, retentionLine } from "./retention.ts";
import type { PulsarLogConfig } from "./spec.ts";
import type { LastAnswer } from "./subscription.ts";
import { beginningOf, endOf } from "./ends.ts";
import { PulsarTail } from "./tail.ts";
import { formatWitness, judgeWitness, messageAt, parseWitness, type WitnessStand } from "./witness.ts";
import { plural } from "../../../pipeline/units/mod.ts";

export interface PulsarLogOptions extends TopicTailOptions {
  /** Told of the values of each page, in bytes; what was read twice counts twice. */
  readonly onFetched?: (topic: string, bytes: number) => void;
}

/** `check` names at most this many topics. */
const TOPICS_NAMED = 64;
const PCHANNEL = /-dml_\d+$/;
/** Who did not ask for it is told no identity: Pulsar's topics have none, and the one that is made up costs a read. */
const NO_ID = "";

const { format } = pulsarPositions;

/** Connects to nothing. */
export function createPulsarLog(config: PulsarLogConfig, server: PulsarServer, options: PulsarLogOptions): LogSource {
  return new PulsarLog(config, server, options);
}

class PulsarLog implements LogSource {
  readonly queue = "pulsar";
  readonly #config: PulsarLogConfig;
  readonly #server: PulsarServer;
  readonly #options: PulsarLogOptions;
  readonly #client: PulsarClient;
  readonly #what: string;
  readonly #tails = new Set<PulsarTail>();
  /** The brokers have told the bounds of a topic once. */
  #answered = false;

  constructor(config: PulsarLogConfig, server: PulsarServer, options: PulsarLogOptions) {
    this.#config = config;
    this.#server = server;
    this.#options = options;
    this.#client = new PulsarClient(server, config);
    this.#what = `Pulsar at ${config.address.replace(/^[a-z+]+:\/\//, "")}`;
  }

  async topics(signal: AbortSignal): Promise<string[]> {
    return await this.#ask(() => this.#client.topics(signal), signal);
  }

  /**
   * A wrong address is said at once; once the brokers have answered, an outage is waited out. A topic that moves is refused for a
   * moment by a broker that was reached.
   */
  async bounds(topic: string, signal: AbortSignal, known?: string): Promise<LogBounds> {
    const { request_timeout_ms: timeoutMs } = this.#config;
    return await patientBounds({
      ...this.#options,
      topic,
      answered: () => this.#answered || performance.now() - (this.#client.reachedMs ?? -Infinity) < timeoutMs,
      ask: async () => {
        const bounds = await this.#ask(() => this.#bounds(topic, known, signal), signal);
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
    const witness = topicId === undefined || topicId === NO_ID ? undefined : parseWitness(topicId);
    if (witness === undefined && topicId !== undefined && topicId !== NO_ID) {
      throw new TidemarkError(
        "position_lost",
        `The position in ${topic} is of the topic ${topicId}: of another queue`,
        {
          hint: "Set on_position_lost: resnapshot to copy afresh, or delete the run's state.",
        },
      );
    }
    const tail = new PulsarTail(offset, {
      ...this.#options,
      ...options,
      client: this.#client,
      topic,
      what: this.#what,
      window: this.#config.receive_bytes,
      timeoutMs: this.#config.request_timeout_ms,
      witness,
    }, signal);
    this.#tails.add(tail);
    try {
      yield* tail.pages();
    } finally {
      this.#tails.delete(tail);
      tail.close();
    }
  }

  async check(signal: AbortSignal): Promise<CheckLine[]> {
    const { address, tenant, namespace } = this.#config;
    const what = `pulsar ${address}`;
    let topics: string[];
    try {
      topics = await this.topics(signal);
    } catch (thrown) {
      if (!(thrown instanceof TidemarkError)) throw thrown;
      return [{ what, ok: "fail", detail: sentence(thrown), code: thrown.code }];
    }
    const { method } = this.#server.login;
    const login = method === undefined
      ? "no login"
      : method === "token"
      ? "logged in by token"
      : "logged in by certificate";
    const lines: CheckLine[] = [
      {
        what,
        ok: "ok",
        detail: `reached, ${login}, ${topics.length} ${plural(topics.length, "topic")} in ${tenant}/${namespace}`,
      },
    ];
    const pchannels = topics.filter((topic) => PCHANNEL.test(topic));
    if (pchannels.length === 0) {
      lines.push({
        what: "pulsar topics",
        ok: "warn",
        detail:
          `no topic in ${tenant}/${namespace} is named like a channel of Milvus (…-dml_0). Right where nothing was ` +
          "created yet; otherwise sources.log.tenant or namespace is another than in the source's milvus.yaml, or there " +
          "is no such namespace.",
      });
    }
    for (const topic of pchannels.slice(0, TOPICS_NAMED)) {
      try {
        const { earliest, latest } = await this.bounds(topic, signal);
        lines.push({ what: `pulsar ${topic}`, ok: "ok", detail: `${format(earliest)} to ${format(latest)}` });
      } catch (thrown) {
        if (!(thrown instanceof TidemarkError)) throw thrown;
        lines.push({ what: `pulsar ${topic}`, ok: "fail", detail: sentence(thrown), code: thrown.code });
      }
    }
    lines.push(await retentionLine(this.#config, this.#server, signal));
    return lines;
  }

  retention(_topic: string, signal: AbortSignal): Promise<LogRetention> {
    return namespaceRetention(this.#config, this.#server, signal);
  }

  /** Ledger by ledger; only the web service says it. */
  measure(topic: string, _from: Position, signal: AbortSignal): Promise<LogMeasure | undefined> {
    return topicMeasure(this.#config, this.#server, topic, signal);
  }

  async close(): Promise<void> {
    for (const tail of this.#tails) tail.close();
    await this.#client.close();
  }

  async #bounds(topic: string, known: string | undefined, signal: AbortSignal): Promise<LogBounds> {
    const request = { start: undefined, permits: new Permits(1) };
    const { connection, subscription } = await this.#client.subscribe(topic, request, signal);
    try {
      const answer = await subscription.last(signal);
      const earliest = beginningOf(answer, topic);
      const latest = answer.last === undefined ? earliest : endOf(answer.last);
      if (known === undefined) return { earliest, latest, topicId: NO_ID };
      const stand = { client: this.#client, connection, topic, timeoutMs: this.#config.request_timeout_ms };
      return { earliest, latest, topicId: await this.#identity(stand, known, answer, signal) };
    } finally {
      subscription.close();
    }
  }

  /** `known` as long as nothing speaks against it; otherwise what the topic is known by from now on. */
  async #identity(
    stand: WitnessStand,
    known: string,
    { last }: Pick<LastAnswer, "last">,
    signal: AbortSignal,
  ): Promise<string> {
    const witness = parseWitness(known);
    if (witness !== undefined && (await judgeWitness(stand, witness, signal)).kind !== "other") return known;
    return last === undefined ? NO_ID : formatWitness(await messageAt(stand, last, signal));
  }

  async #ask<T>(question: () => Promise<T>, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    try {
      return await question();
    } catch (thrown) {
      signal.throwIfAborted();
      throw pulsarError(thrown, this.#what);
    }
  }
}

function sentence(error: TidemarkError): string {
  return error.hint === undefined ? error.message : `${error.message}. ${error.hint}`;
}
