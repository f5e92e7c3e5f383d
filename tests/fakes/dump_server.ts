/**
 * A gRPC server that gives its log by DumpMessages as Milvus does. Its manners are those of real servers: messages come in the
 * order of their time ticks, once a tick confirms them; ticks, segments and what was rolled back are kept back; a start that was
 * removed is replaced by the next one in silence; an empty id is refused; a stream without an end never ends. `whole`: as from
 * 2.6.20 on, the start itself can be asked for and a transaction comes with its parts; otherwise, as in 2.6.14 to 2.6.19, the
 * start is left out and a transaction comes as one message without them.
 */
import { Buffer } from "node:buffer";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type sendUnaryData,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  status,
} from "@grpc/grpc-js";
import type { LogRecord, Position } from "../../pipeline/model/mod.ts";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { pulsarPosition } from "../../pipeline/positions/mod.ts";
import { MessageType } from "../../pipeline/proto/gen/messages_pb.ts";
import {
  AllocTimestampResponseSchema,
  DumpMessagesRequestSchema,
  DumpMessagesResponseSchema,
  GetVersionResponseSchema,
} from "../../pipeline/proto/gen/milvus_pb.ts";
import { type DumpIds, dumpIds, type DumpQueue } from "../../sources/log/dump/ids.ts";
import { parseBase36 } from "../../sources/log/gen2/properties.ts";
import { headerText } from "../../sources/log/headers.ts";

export interface DumpServerOptions {
  readonly queue?: DumpQueue;
  readonly whole?: boolean;
  readonly version?: string;
  /** Calls without it are refused. */
  readonly token?: string;
  /** False: the server is too old for it. */
  readonly dumps?: boolean;
  /** PEM. */
  readonly tls?: { readonly cert: Uint8Array; readonly key: Uint8Array };
  /**
   * False: records are of nobody's making, each is given as it was appended, under a tick of the server's own. Default true: as
   * their own ticks, types and transactions want it.
   */
  readonly ordered?: boolean;
}

/** A message in the order in which it is given. */
interface Message {
  readonly tick: bigint;
  readonly parts: readonly LogRecord[];
}

interface Topic {
  readonly records: LogRecord[];
  readonly messages: Message[];
  /** Nothing before it is there any more. */
  begin: Position;
  /** Records that no tick confirms yet. */
  open: LogRecord[];
  readonly txns: Map<string, LogRecord[]>;
}

const HIDDEN: ReadonlySet<number> = new Set([
  MessageType.TimeTick,
  MessageType.CreateSegment,
  MessageType.Flush,
  MessageType.RollbackTxn,
]);

const PATH = "/milvus.proto.milvus.MilvusService/";
const utf8 = new TextDecoder();
const bytes = { serialize: (value: Uint8Array) => Buffer.from(value), deserialize: (value: Buffer) => value };

export class DumpServer implements AsyncDisposable {
  readonly #o: DumpServerOptions;
  readonly ids: DumpIds;
  readonly #topics = new Map<string, Topic>();
  readonly #waiting = new Set<() => void>();
  readonly #streams = new Set<ServerWritableStream<Uint8Array, Uint8Array>>();
  #server: Server | undefined;
  #port = 0;
  #clock = 1n;
  /** Streams that were begun. */
  dumps = 0;
  /** Messages that were given. */
  sent = 0;
  /** Nothing is given while it is set. */
  held = false;

  private constructor(options: DumpServerOptions) {
    this.#o = options;
    this.ids = dumpIds(options.queue ?? "woodpecker");
  }

  static async start(options: DumpServerOptions = {}): Promise<DumpServer> {
    const server = new DumpServer(options);
    await server.listen();
    return server;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** On the same port as before. */
  async listen(): Promise<void> {
    const server = new Server();
    const unary =
      (answer: () => Uint8Array) => (call: ServerUnaryCall<Buffer, Uint8Array>, done: sendUnaryData<Uint8Array>) =>
        this.#allows(call)
          ? done(null, answer())
          : done({ code: status.UNAUTHENTICATED, details: "auth check failure" });
    const method = (name: string, responseStream: boolean) => ({
      path: `${PATH}${name}`,
      requestStream: false,
      responseStream,
      requestSerialize: bytes.serialize,
      requestDeserialize: bytes.deserialize,
      responseSerialize: bytes.serialize,
      responseDeserialize: bytes.deserialize,
    });
    const { version = "2.6.20", dumps = true, tls } = this.#o;
    server.addService(
      {
        GetVersion: method("GetVersion", false),
        AllocTimestamp: method("AllocTimestamp", false),
        ...(dumps ? { DumpMessages: method("DumpMessages", true) } : {}),
      },
      {
        GetVersion: unary(() => toBinary(GetVersionResponseSchema, create(GetVersionResponseSchema, { version }))),
        AllocTimestamp: unary(() =>
          toBinary(AllocTimestampResponseSchema, create(AllocTimestampResponseSchema, { timestamp: ++this.#clock }))
        ),
        ...(dumps ? { DumpMessages: (call: ServerWritableStream<Buffer, Uint8Array>) => void this.#dump(call) } : {}),
      },
    );
    const credentials = tls === undefined
      ? ServerCredentials.createInsecure()
      : ServerCredentials.createSsl(null, [{ cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) }]);
    this.#port = await new Promise<number>((resolve, reject) =>
      server.bindAsync(
        `127.0.0.1:${this.#port}`,
        credentials,
        (error, port) => error === null ? resolve(port) : reject(error),
      )
    );
    this.#server = server;
  }

  /** At once, whatever is under way. */
  stop(): void {
    this.#server?.forceShutdown();
    this.#server = undefined;
    this.#wake();
  }

  create(topic: string): void {
    this.#topics.set(topic, { records: [], messages: [], begin: 0n, open: [], txns: new Map() });
    this.#wake();
  }

  /** Its readers are cut off. */
  delete(topic: string): void {
    this.#topics.delete(topic);
    for (const stream of this.#streams) {
      stream.emit("error", { code: status.UNAVAILABLE, details: "the channel is gone" });
    }
    this.#wake();
  }

  /** With the places that they have. */
  append(topic: string, records: readonly LogRecord[]): void {
    const log = this.#topics.get(topic)!;
    for (const record of records) {
      log.records.push(record);
      if (this.#o.ordered === false) log.messages.push({ tick: ++this.#clock, parts: [record] });
      else this.#order(log, record);
    }
    this.#wake();
  }

  /** What lies before `place` goes. */
  truncate(topic: string, place: Position): void {
    this.#topics.get(topic)!.begin = place;
  }

  hold(held: boolean): void {
    this.held = held;
    this.#wake();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    await Promise.resolve();
  }

  #order(log: Topic, record: LogRecord): void {
    const tick = tickOf(record);
    if (tick > this.#clock) this.#clock = tick;
    if (typeOf(record) !== MessageType.TimeTick) {
      log.open.push(record);
      return;
    }
    this.#confirm(log, tick);
  }

  /** As a tick does, also one that is in memory only. False: nothing waited for it. */
  #confirm(log: Topic, tick: bigint): boolean {
    const due = log.open.filter((other) => tickOf(other) <= tick).sort((a, b) => tickOf(a) < tickOf(b) ? -1 : 1);
    log.open = log.open.filter((other) => tickOf(other) > tick);
    for (const other of due) {
      const parts = this.#settle(log, other);
      if (parts.length > 0) log.messages.push({ tick: tickOf(parts.at(-1)!), parts });
    }
    if (due.length > 0) this.#wake();
    return due.length > 0;
  }

  /** What is given once `record` is confirmed. */
  #settle(log: Topic, record: LogRecord): readonly LogRecord[] {
    const type = typeOf(record);
    const txn = headerText(record, "_tx");
    if (txn === undefined) return HIDDEN.has(type) ? [] : [record];
    const key = `${headerText(record, "_vc")} ${txn}`;
    if (type === MessageType.BeginTxn) log.txns.set(key, [record]);
    const parts = log.txns.get(key);
    // The rest of one whose beginning was not read.
    if (parts === undefined) return [];
    if (type === MessageType.RollbackTxn) log.txns.delete(key);
    else if (type !== MessageType.BeginTxn) parts.push(record);
    if (type !== MessageType.CommitTxn) return [];
    log.txns.delete(key);
    return this.#o.whole === false ? [collapsed(parts)] : parts.map((part) => withSafe(part, record));
  }

  #allows(call: { readonly metadata: { get(name: string): unknown[] } }): boolean {
    const { token } = this.#o;
    return token === undefined || call.metadata.get("authorization")[0] === btoa(token);
  }

  async #dump(call: ServerWritableStream<Buffer, Uint8Array>): Promise<void> {
    this.dumps++;
    const fail = (code: status, details: string) => call.emit("error", { code, details });
    if (!this.#allows(call)) return void fail(status.UNAUTHENTICATED, "auth check failure");
    const request = fromBinary(DumpMessagesRequestSchema, call.request);
    const { pchannel, startMessageId, startTimetick, endTimetick } = request;
    if (startMessageId === undefined || startMessageId.id === "") {
      return void fail(status.UNKNOWN, "missing parameter start_message_id: parameter missing");
    }
    const start = startOf(this.ids, startMessageId.id);
    const includes = request.includeStartMessage && this.#o.whole !== false;
    this.#streams.add(call);
    let gone = false;
    call.on("cancelled", () => {
      gone = true;
      this.#wake();
    });
    call.on("error", () => gone = true);
    try {
      for (let at = 0; !gone && this.#server !== undefined;) {
        // A channel that is not there is waited for.
        const log = this.#topics.get(pchannel);
        const message = this.held ? undefined : log?.messages[at];
        if (message === undefined) {
          // The next tick is on its way: it is later than what the clock said before.
          if (!this.held && log !== undefined && endTimetick > 0n && this.#clock >= endTimetick) {
            if (!this.#confirm(log, endTimetick)) break;
            continue;
          }
          await this.#change();
          continue;
        }
        at++;
        if (endTimetick > 0n && message.tick > endTimetick) break;
        if (message.tick < startTimetick) continue;
        const inReach = message.parts.every(({ offset }) =>
          offset >= log!.begin && (includes ? offset >= start : offset > start)
        );
        if (!inReach) continue;
        for (const part of message.parts) {
          this.sent++;
          if (!call.write(this.#answer(part))) await this.#drained(call, () => gone);
        }
      }
      if (!gone) call.end();
    } finally {
      this.#streams.delete(call);
    }
  }

  #answer({ offset, headers, value }: LogRecord): Uint8Array {
    const properties = Object.fromEntries(headers.map(([name, content]) => [name, utf8.decode(content)]));
    const id = { id: this.ids.forms.toMilvus(offset).toBase64(), WALName: this.ids.wal };
    if (this.ids.queue === "kafka") id.id = offset.toString(36);
    return toBinary(
      DumpMessagesResponseSchema,
      create(DumpMessagesResponseSchema, {
        response: { case: "message", value: { id, payload: value ?? new Uint8Array(), properties } },
      }),
    );
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  #change(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const done = () => {
      this.#waiting.delete(done);
      resolve();
    };
    this.#waiting.add(done);
    return promise;
  }

  /** Resolves when more can be written, or nobody reads any more. */
  async #drained(call: ServerWritableStream<Buffer, Uint8Array>, isGone: () => boolean): Promise<void> {
    let drained = false;
    call.once("drain", () => {
      drained = true;
      this.#wake();
    });
    while (!drained && !isGone() && this.#server !== undefined) await this.#change();
  }
}

/** Pulsar's "earliest", and what stands before the first entry of a ledger, are -1. */
function startOf(ids: DumpIds, id: string): Position {
  if (ids.queue !== "pulsar") return ids.read(id);
  const reader = new BinaryReader(Uint8Array.fromBase64(id));
  reader.tag();
  const ledger = BigInt.asIntN(64, BigInt(reader.uint64()));
  reader.tag();
  return pulsarPosition({ ledger, entry: BigInt.asIntN(64, BigInt(reader.uint64())), batch: 0 });
}

function typeOf(record: LogRecord): number {
  return parseInt(headerText(record, "_t") ?? "0");
}

function tickOf(record: LogRecord): bigint {
  return parseBase36(headerText(record, "_tt")!);
}

/** The parts say of what was confirmed what their commit says. */
function withSafe(part: LogRecord, commit: LogRecord): LogRecord {
  const safe = commit.headers.find(([name]) => name === "_lc");
  return safe === undefined ? part : { ...part, headers: [...part.headers.filter(([name]) => name !== "_lc"), safe] };
}

/** What releases before 2.6.20 make of a transaction: the commit's properties, and nothing of what it holds. */
function collapsed(parts: readonly LogRecord[]): LogRecord {
  const commit = parts.at(-1)!;
  const kept = new Set(["_tt", "_lc", "_tx", "_vc", "_v", "_h"]);
  const type = ["_t", new TextEncoder().encode(String(MessageType.Txn))] as const;
  return { ...commit, value: new Uint8Array(), headers: [...commit.headers.filter(([name]) => kept.has(name)), type] };
}
