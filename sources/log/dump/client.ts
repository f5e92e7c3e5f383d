/** The calls of a Milvus that are made to read its log, and what their failures mean. */
import {
  create,
  type DescMethod,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { TidemarkError } from "../../../pipeline/errors.ts";
import { leave } from "../../../pipeline/leave.ts";
import type { HybridTs, Position } from "../../../pipeline/model/mod.ts";
import { MilvusService } from "../../../pipeline/proto/gen/milvus_pb.ts";
import type { DumpIds } from "./ids.ts";
import { type DumpItem, DumpReader } from "./message.ts";

/** A connection to a Milvus: requests and answers are bytes, `path` is `/package.Service/Method`. */
export interface DumpChannel {
  readonly address: string;
  unary(
    path: string,
    body: Uint8Array,
    options: { readonly db: string; readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<Uint8Array>;
  stream(
    path: string,
    body: Uint8Array,
    options: { readonly db: string; readonly signal: AbortSignal },
  ): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

export interface DumpRequest {
  readonly topic: string;
  /** Nothing before it is handed out; undefined: from the first message that there is. */
  readonly from: Position | undefined;
  /** Only what has a later tick; 0: everything. */
  readonly after: HybridTs;
}

const { dumpMessages, getVersion, allocTimestamp } = MilvusService.method;

export class DumpClient {
  readonly ids: DumpIds;
  readonly #channel: DumpChannel;
  readonly #timeoutMs: number;

  constructor(channel: DumpChannel, ids: DumpIds, timeoutMs: number) {
    this.#channel = channel;
    this.ids = ids;
    this.#timeoutMs = timeoutMs;
  }

  /** For errors. */
  get what(): string {
    return `Milvus at ${this.#channel.address}`;
  }

  async version(signal: AbortSignal): Promise<string> {
    return (await this.#call(getVersion, {}, signal)).version;
  }

  /** The source's clock: everything that it stamps from now on is later. */
  async now(signal: AbortSignal): Promise<HybridTs> {
    const { timestamp, status } = await this.#call(allocTimestamp, {}, signal);
    if (timestamp > 0n && (status?.code ?? 0) === 0) return timestamp;
    throw new TidemarkError("unreachable", `${this.what} gives no timestamp: ${status?.reason || "no reason given"}`);
  }

  /** In the order of their ticks, for ever. Throws RangeError for what is no message of the log. */
  async *follow(request: DumpRequest, signal: AbortSignal): AsyncGenerator<DumpItem> {
    yield* this.#dump(request, 0n, signal);
  }

  /**
   * Everything up to `upTo`, and then it ends. A server that stops may end it earlier and call that a success: so the end counts
   * only where the server still answers behind it.
   */
  async *window(request: DumpRequest, upTo: HybridTs, signal: AbortSignal): AsyncGenerator<DumpItem> {
    const stop = new AbortController();
    const items = this.#dump(request, upTo, AbortSignal.any([signal, stop.signal]));
    try {
      for (;;) {
        const { done, value } = await this.#soon(items.next(), stop);
        if (done) break;
        yield value;
      }
    } finally {
      stop.abort();
      await leave(items);
    }
    await this.now(signal);
  }

  close(): Promise<void> {
    return this.#channel.close();
  }

  async *#dump({ topic, from, after }: DumpRequest, upTo: HybridTs, signal: AbortSignal): AsyncGenerator<DumpItem> {
    const reader = new DumpReader(topic, this.ids, this.what);
    const body = toBinary(
      dumpMessages.input,
      create(dumpMessages.input, {
        pchannel: topic,
        startMessageId: from === undefined ? this.ids.first : this.ids.before(from),
        // Releases that do not know it leave out the start, which lies before what is wanted.
        includeStartMessage: true,
        startTimetick: after === 0n ? 0n : after + 1n,
        endTimetick: upTo,
      }),
    );
    try {
      for await (const answer of this.#channel.stream(pathOf(dumpMessages), body, { db: "", signal })) {
        const item = reader.read(answer);
        if (item === undefined) continue;
        if (from === undefined) yield item;
        else {
          const records = item.records.filter(({ offset }) => offset >= from);
          if (records.length > 0) yield records.length === item.records.length ? item : { ...item, records };
        }
      }
    } catch (thrown) {
      throw thrown instanceof TidemarkError && thrown.code === "unsupported" ? this.#unknown(thrown) : thrown;
    }
  }

  #unknown(cause: TidemarkError): TidemarkError {
    return new TidemarkError("unsupported", `${this.what} does not know DumpMessages: ${cause.message}`, {
      hint:
        "Milvus 3.0 and 2.6 have it, 2.6 whole from 2.6.20 on. For an older one name its queue in sources.log (type " +
        "kafka, pulsar or woodpecker), or follow its files (type files).",
      cause,
    });
  }

  /** Throws `unreachable` where nothing comes in time. */
  async #soon<T>(coming: Promise<T>, stop: AbortController): Promise<T> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      stop.abort();
    }, this.#timeoutMs);
    try {
      return await coming;
    } catch (thrown) {
      if (!late) throw thrown;
      throw new TidemarkError(
        "unreachable",
        `${this.what} did not say within ${this.#timeoutMs} ms that its log has nothing more`,
        { hint: "A channel may have no node that serves it: look at the source's streaming nodes.", cause: thrown },
      );
    } finally {
      clearTimeout(timer);
    }
  }

  async #call<M extends DescMethod & { methodKind: "unary" }>(
    method: M,
    request: MessageInitShape<M["input"]>,
    signal: AbortSignal,
  ): Promise<MessageShape<M["output"]>> {
    const body = toBinary(method.input, create(method.input, request));
    const options = { db: "", timeoutMs: this.#timeoutMs, signal };
    return fromBinary(method.output, await this.#channel.unary(pathOf(method), body, options)) as MessageShape<
      M["output"]
    >;
  }
}

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}
