/** One connection to a broker, or through a proxy to one: the login, requests and their answers, messages to their readers. */
import { Buffer } from "node:buffer";
import { connect as connectPlain, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type BaseCommand,
  BaseCommand_Type as Type,
  type BaseCommandSchema,
} from "../../../pipeline/proto/gen/pulsar_api_pb.ts";
import { BrokerError, ConnectionError } from "./errors.ts";
import { encodeFrame, FRAME_OVERHEAD, FrameSplitter, parseFrame } from "./frame.ts";
import type { PulsarAddress, PulsarServer } from "./login.ts";
import type { MessageCommand } from "./message_command.ts";

export type Command = MessageInitShape<typeof BaseCommandSchema>;

/** Who gets the messages of a subscription. Calls come in the order of the broker's. */
export interface MessageReceiver {
  message(command: MessageCommand, rest: Uint8Array): void;
  /** Nothing comes any more: the broker closed the subscription, or the connection ended. */
  ended(reason: Error): void;
}

export interface ConnectOptions {
  readonly server: PulsarServer;
  /** `host:port` of the broker behind a proxy. */
  readonly proxyTo?: string | undefined;
  /** Another broker than the configured address. */
  readonly address?: PulsarAddress | undefined;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

const CLIENT = "tidemark";
/** GetTopicsOfNamespace, challenges and everything else that is used here came earlier. */
const PROTOCOL = 19;
/** Brokers end a connection that is silent for a minute; so does this side. */
const PING_EVERY_MS = 30_000;

export class PulsarConnection {
  readonly #socket: Socket;
  readonly #server: PulsarServer;
  readonly #timeoutMs: number;
  readonly #splitter = new FrameSplitter();
  readonly #waiting = new Map<bigint, PromiseWithResolvers<BaseCommand>>();
  readonly #receivers = new Map<bigint, MessageReceiver>();
  readonly #connected = Promise.withResolvers<void>();
  readonly #pinging: ReturnType<typeof setInterval>;
  #heard = true;
  #nextId = 1n;
  #ended: Error | undefined;

  private constructor(socket: Socket, server: PulsarServer, timeoutMs: number) {
    this.#socket = socket;
    this.#server = server;
    this.#timeoutMs = timeoutMs;
    this.#connected.promise.catch(() => {});
    socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    socket.on("error", (error: Error) => this.#end(new ConnectionError(error.message, error)));
    socket.on("close", () => this.#end(new ConnectionError("The connection was closed")));
    this.#pinging = setInterval(() => this.#ping(), PING_EVERY_MS);
  }

  /** Throws `BrokerError` for a refused login and what the socket throws. */
  static async open({ server, proxyTo, address, timeoutMs, signal }: ConnectOptions): Promise<PulsarConnection> {
    signal.throwIfAborted();
    const { method } = server.login;
    const authData = method === undefined ? undefined : Buffer.from(await server.login.data());
    const connection = new PulsarConnection(
      await dial(server, address ?? server.address, timeoutMs, signal),
      server,
      timeoutMs,
    );
    connection.send({
      type: Type.CONNECT,
      connect: {
        clientVersion: CLIENT,
        protocolVersion: PROTOCOL,
        featureFlags: { supportsAuthRefresh: true },
        ...(method === undefined ? {} : { authMethodName: method, authData }),
        ...(proxyTo === undefined ? {} : { proxyToBrokerUrl: proxyTo }),
      },
    });
    try {
      await within(connection.#connected.promise, timeoutMs, "the login", signal);
    } catch (error) {
      connection.close();
      throw error;
    }
    return connection;
  }

  get open(): boolean {
    return this.#ended === undefined;
  }

  /** Of requests and of consumers alike. */
  newId(): bigint {
    return this.#nextId++;
  }

  send(command: Command): void {
    if (this.#ended !== undefined) throw this.#ended;
    this.#socket.write(encodeFrame(command));
  }

  /** The answer to a command that carries `requestId`. Throws `BrokerError` where the broker refuses. */
  async request(requestId: bigint, command: Command, signal: AbortSignal): Promise<BaseCommand> {
    const waiting = Promise.withResolvers<BaseCommand>();
    waiting.promise.catch(() => {});
    this.#waiting.set(requestId, waiting);
    try {
      this.send(command);
      return await within(waiting.promise, this.#timeoutMs, Type[command.type!] ?? "a request", signal);
    } catch (error) {
      // A broker that hangs is not asked again on the same connection.
      if (error instanceof TimeoutError) this.#end(error);
      throw error;
    } finally {
      this.#waiting.delete(requestId);
    }
  }

  receive(consumerId: bigint, receiver: MessageReceiver): void {
    this.#receivers.set(consumerId, receiver);
  }

  forget(consumerId: bigint): void {
    this.#receivers.delete(consumerId);
  }

  close(): void {
    this.#end(new ConnectionError("The connection was closed by this side"));
  }

  #end(reason: Error): void {
    if (this.#ended !== undefined) return;
    this.#ended = reason;
    clearInterval(this.#pinging);
    this.#socket.destroy();
    this.#connected.reject(reason);
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
    for (const receiver of this.#receivers.values()) receiver.ended(reason);
    this.#receivers.clear();
  }

  #ping(): void {
    if (!this.#heard) return this.#end(new ConnectionError("The broker has been silent for a minute"));
    this.#heard = false;
    this.send({ type: Type.PING, ping: {} });
  }

  #onData(chunk: Uint8Array): void {
    this.#heard = true;
    try {
      for (const bytes of this.#splitter.split(chunk)) {
        if (this.#ended !== undefined) return;
        const frame = parseFrame(bytes);
        if (frame.kind === "command") this.#onCommand(frame.command);
        else this.#receivers.get(frame.message.consumerId)?.message(frame.message, frame.rest);
      }
    } catch (error) {
      this.#end(new ConnectionError(`The broker sent what is no frame of Pulsar: ${(error as Error).message}`, error));
    }
  }

  #onCommand(command: BaseCommand): void {
    switch (command.type) {
      case Type.PING:
        return this.send({ type: Type.PONG, pong: {} });
      case Type.CONNECTED:
        this.#splitter.limit = Math.max(
          this.#splitter.limit,
          (command.connected!.maxMessageSize || 5 << 20) + FRAME_OVERHEAD,
        );
        return this.#connected.resolve();
      case Type.AUTH_CHALLENGE:
        return void this.#answerChallenge();
      case Type.CLOSE_CONSUMER: {
        const { consumerId } = command.closeConsumer!;
        const receiver = this.#receivers.get(consumerId);
        this.#receivers.delete(consumerId);
        return receiver?.ended(
          new ConnectionError("The broker closed the subscription: the topic moves, or was deleted"),
        );
      }
      case Type.ERROR: {
        const { requestId, error, message } = command.error!;
        const refusal = new BrokerError(error, message);
        const waiting = this.#waiting.get(requestId);
        if (waiting !== undefined) return waiting.reject(refusal);
        this.#connected.reject(refusal);
        return;
      }
      default: {
        const id = requestIdOf(command);
        if (id !== undefined) this.#waiting.get(id)?.resolve(command);
      }
    }
  }

  async #answerChallenge(): Promise<void> {
    const { method, data } = this.#server.login;
    try {
      const authData = Buffer.from(await data());
      this.send({
        type: Type.AUTH_RESPONSE,
        authResponse: {
          clientVersion: CLIENT,
          protocolVersion: PROTOCOL,
          response: { authMethodName: method ?? "none", authData },
        },
      });
    } catch (error) {
      this.#end(new ConnectionError(`The broker asks for a new token: ${(error as Error).message}`, error));
    }
  }
}

/** A request was not answered. */
class TimeoutError extends ConnectionError {}

function requestIdOf(command: BaseCommand): bigint | undefined {
  switch (command.type) {
    case Type.SUCCESS:
      return command.success?.requestId;
    case Type.LOOKUP_RESPONSE:
      return command.lookupTopicResponse?.requestId;
    case Type.PARTITIONED_METADATA_RESPONSE:
      return command.partitionMetadataResponse?.requestId;
    case Type.GET_LAST_MESSAGE_ID_RESPONSE:
      return command.getLastMessageIdResponse?.requestId;
    case Type.GET_TOPICS_OF_NAMESPACE_RESPONSE:
      return command.getTopicsOfNamespaceResponse?.requestId;
    default:
      return undefined;
  }
}

function dial(
  { tls }: PulsarServer,
  { host, port }: PulsarAddress,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Socket> {
  const dialled = Promise.withResolvers<Socket>();
  const socket: Socket = tls === undefined
    ? connectPlain({ host, port, noDelay: true })
    : connectTls({ host, port, ...tls, servername: tls.servername ?? (isIP(host) === 0 ? host : undefined) });
  const fail = (error: Error) => dialled.reject(new ConnectionError(error.message, error));
  socket.once("error", fail);
  socket.once("close", () => fail(new Error("The connection was closed")));
  socket.once(tls === undefined ? "connect" : "secureConnect", () => {
    socket.removeAllListeners("error");
    socket.removeAllListeners("close");
    dialled.resolve(socket);
  });
  return within(dialled.promise, timeoutMs, "a connection", signal).catch((error) => {
    socket.on("error", () => {});
    socket.destroy();
    throw error;
  });
}

/** Rejects with the signal's reason as soon as it fires, and when nothing came in time. */
export async function within<T>(promise: Promise<T>, ms: number, what: string, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  const timer = setTimeout(() => reject(new TimeoutError(`No answer to ${what} within ${ms} ms`)), ms);
  try {
    return await Promise.race([promise, stopped]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}
