/** The answers of DumpMessages, put together to what is handed out as one: a message, or a transaction with all its parts. */
import { fromBinary } from "@bufbuild/protobuf";
import { TidemarkError } from "../../../pipeline/errors.ts";
import type { HybridTs, LogRecord, Position } from "../../../pipeline/model/mod.ts";
import type { ImmutableMessage, Status } from "../../../pipeline/proto/gen/common_pb.ts";
import { MessageType } from "../../../pipeline/proto/gen/messages_pb.ts";
import { DumpMessagesResponseSchema } from "../../../pipeline/proto/gen/milvus_pb.ts";
import { parseBase36 } from "../gen2/properties.ts";
import { type DumpIds, placeOf } from "./ids.ts";

/**
 * In the order of `tick`, which for a transaction is its commit's. `safe`: everything that is handed out later lies at or
 * behind it, also the parts of a transaction that is still open; undefined where the message does not say.
 */
export interface DumpItem {
  readonly records: readonly LogRecord[];
  readonly tick: HybridTs | undefined;
  readonly safe: Position | undefined;
}

/** `Status.code`s of a server that is starting, stopping or moves a channel. */
const NOT_READY: ReadonlySet<number> = new Set([1, 2, 503, 901, 902, 903, 904, 905, 10_000, 10_001]);

const utf8 = new TextEncoder();

/** One after the other. Throws RangeError for what is no message of the log, and what an answer's Status says. */
export class DumpReader {
  readonly #topic: string;
  readonly #ids: DumpIds;
  readonly #server: string;
  /** Of a transaction whose commit is to come: its parts come one right after the other. */
  #parts: LogRecord[] = [];

  constructor(topic: string, ids: DumpIds, server: string) {
    this.#topic = topic;
    this.#ids = ids;
    this.#server = server;
  }

  /** Undefined for an answer that brings nothing, or a part of a transaction that is not whole yet. */
  read(answer: Uint8Array): DumpItem | undefined {
    const { response } = fromBinary(DumpMessagesResponseSchema, answer);
    if (response.case === "status") {
      if (response.value.code !== 0 || response.value.errorCode !== 0) throw refusal(response.value, this.#server);
      return undefined;
    }
    return response.case === "message" ? this.#message(response.value) : undefined;
  }

  #message({ id, payload, properties }: ImmutableMessage): DumpItem | undefined {
    const record: LogRecord = {
      topic: this.#topic,
      offset: placeOf(this.#ids, id),
      timestampMs: 0n,
      headers: Object.entries(properties).map(([name, value]) => [name, utf8.encode(value)] as const),
      value: payload,
    };
    const type = parseInt(properties._t ?? "0");
    if (type === MessageType.BeginTxn) {
      if (this.#parts.length > 0) throw new RangeError("a transaction begins inside another one");
      this.#parts.push(record);
      return undefined;
    }
    if (this.#parts.length > 0) {
      if (properties._tx === undefined) throw new RangeError("a transaction ends without its commit");
      this.#parts.push(record);
      if (type !== MessageType.CommitTxn) return undefined;
    }
    const records = this.#parts.length > 0 ? this.#parts : [record];
    this.#parts = [];
    return {
      records,
      tick: properties._tt === undefined ? undefined : parseBase36(properties._tt),
      safe: properties._lc === undefined ? undefined : this.#ids.read(properties._lc),
    };
  }
}

function refusal({ code, errorCode, reason, detail, retriable }: Status, server: string): TidemarkError {
  const words = reason || detail || "no reason given";
  const kind = retriable || NOT_READY.has(code) ? "unreachable" : "refused";
  return new TidemarkError(kind, `${server} does not dump its log: ${words} (code ${code === 0 ? errorCode : code})`);
}
