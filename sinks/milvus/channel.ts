/**
 * The gRPC connection to a Milvus server. The only file that knows grpc-js; rows go by `large_call.ts`, over a connection of
 * their own.
 *
 * Requests and answers are bytes: the caller serialises, so that rows can be spliced by hand and everything else goes
 * through protobuf-es, over the same connection.
 */
import { Buffer } from "node:buffer";
import { isIP } from "node:net";
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import { ChannelCredentials, Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { TidemarkError } from "../../pipeline/errors.ts";
import { rpcFault } from "./fault.ts";
import { CallError, type LargeCalls, lengthOf, openLargeCalls, Unread } from "./large_call.ts";

/** PEM contents, not paths. */
export interface TlsMaterial {
  readonly ca: Uint8Array | undefined;
  readonly clientCert: Uint8Array | undefined;
  readonly clientKey: Uint8Array | undefined;
  /** Name to expect in the server's certificate where it differs from the address. */
  readonly serverName: string | undefined;
  /** Accept any certificate. */
  readonly insecure: boolean;
}

export interface ChannelOptions {
  /** `host:port`. */
  readonly address: string;
  /** Undefined: plain text. */
  readonly tls: TlsMaterial | undefined;
  /** `user:password` or an API key; empty: no login. */
  readonly token: string;
  /** The token as its file holds it now; asked for where the server refuses the one that it has. */
  readonly reread?: () => string;
  /** Whose connection it is, for what errors advise. Default: the sink. */
  readonly owner?: string;
  /** Of one request or answer. */
  readonly maxMessageBytes: number;
}

export interface CallOptions {
  /** Database the call is about; empty: the server's default. */
  readonly db: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** A serialised message, or its parts, one behind the other. */
export type MessageBytes = Uint8Array | readonly Uint8Array[];

export interface Channel {
  readonly address: string;
  /**
   * One unary call, no retry. `path` is `/package.Service/Method`; `body` must not change before the answer.
   * Throws TidemarkErrors as {@link rpcFault} classifies them, and `aborted` when the signal fired.
   */
  unary(path: string, body: MessageBytes, options: CallOptions): Promise<Uint8Array>;
  /**
   * One call that is answered by many messages, each fetched when it is asked for (a few are read ahead). Whoever ends the
   * iteration cancels the call. Throws as {@link unary} does, and has no time limit.
   */
  stream(path: string, body: Uint8Array, options: Omit<CallOptions, "timeoutMs">): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

const RECONNECT_MAX_MS = 500;

/** Requests from here on are large. */
const LARGE_BYTES = 64 << 10;

/** What grpc-js takes for a proxy that it tunnels through. */
const PROXY_VARIABLES = ["grpc_proxy", "https_proxy", "http_proxy"];

/**
 * grpc-js gives the host to TLS as the name of the server, which must not be an IP address: Deno refuses it. Another name
 * goes in its place, and the certificate is checked for the address.
 */
const NAME_OF_ADDRESS = "address.invalid";

export function openChannel(options: ChannelOptions): Channel {
  const host = options.address.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
  const byAddress = options.tls !== undefined && options.tls.serverName === undefined && isIP(host) !== 0;
  const client = new Client(options.address, channelCredentials(options.tls, byAddress ? host : undefined), {
    "grpc.max_send_message_length": options.maxMessageBytes,
    "grpc.max_receive_message_length": options.maxMessageBytes,
    "grpc.initial_reconnect_backoff_ms": 50,
    "grpc.max_reconnect_backoff_ms": RECONNECT_MAX_MS,
    // Milvus' own clients use 55 s; its servers refuse pings more often than every 5 s.
    "grpc.keepalive_time_ms": 55_000,
    "grpc.keepalive_timeout_ms": 20_000,
    "grpc.enable_retries": 0,
    "grpc.use_local_subchannel_pool": 1,
    ...(byAddress ? { "grpc.ssl_target_name_override": NAME_OF_ADDRESS } : {}),
    ...(options.tls?.serverName === undefined ? {} : {
      "grpc.ssl_target_name_override": options.tls.serverName,
      "grpc.default_authority": options.tls.serverName,
    }),
  });
  const tunnelled = PROXY_VARIABLES.some((name) => (Deno.env.get(name) ?? "") !== "");
  /** Undefined: all goes by grpc-js. */
  let large = options.tls === undefined && !tunnelled ? openLargeCalls(options.address) : undefined;
  let { token } = options;
  // grpc-js keeps a reconnect timer for a moment after close where the last attempt to connect failed.
  let connectFailed = false;
  let closed = false;

  /** A token that comes from a file may have been rotated. */
  async function unary(path: string, body: MessageBytes, call: CallOptions): Promise<Uint8Array> {
    const used = token;
    try {
      return await once(path, body, call);
    } catch (error) {
      if (!(error instanceof TidemarkError) || error.code !== "authentication" || options.reread === undefined) {
        throw error;
      }
      if (token === used) token = options.reread();
      if (token === used) throw error;
      return await once(path, body, call);
    }
  }

  async function onceLarge(
    calls: LargeCalls,
    path: string,
    parts: readonly Uint8Array[],
    { db, timeoutMs, signal }: CallOptions,
  ): Promise<Uint8Array> {
    try {
      return await calls.unary(path, parts, { headers: headersOf(db), timeoutMs, signal });
    } catch (error) {
      if (signal.aborted) throw new TidemarkError("aborted", "Stopped by request", { cause: signal.reason });
      // Whoever stands between speaks its own gRPC.
      if (error instanceof Unread) large = undefined;
      throw error instanceof CallError ? faultOf(error, timeoutMs) : error;
    }
  }

  function once(path: string, body: MessageBytes, { db, timeoutMs, signal }: CallOptions): Promise<Uint8Array> {
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    if (signal.aborted) {
      reject(new TidemarkError("aborted", "Stopped by request", { cause: signal.reason }));
      return promise;
    }
    if (closed) {
      reject(new TidemarkError("aborted", `The connection to ${options.address} was closed`));
      return promise;
    }
    const parts = body instanceof Uint8Array ? [body] : body;
    const length = lengthOf(parts);
    // What is too large is refused by grpc-js.
    if (large !== undefined && length >= LARGE_BYTES && length <= options.maxMessageBytes) {
      return onceLarge(large, path, parts, { db, timeoutMs, signal });
    }
    const call = client.makeUnaryRequest(
      path,
      serialised,
      (answer: Buffer) => answer,
      body,
      metadataOf(db),
      { deadline: Date.now() + timeoutMs },
      (error: ServiceError | null, answer?: Buffer) => {
        signal.removeEventListener("abort", cancel);
        if (error === null && answer !== undefined) {
          connectFailed = false;
          resolve(answer);
        } else if (signal.aborted) {
          reject(new TidemarkError("aborted", "Stopped by request", { cause: signal.reason }));
        } else {
          reject(faultOf(error, timeoutMs));
        }
      },
    );
    function cancel(): void {
      call.cancel();
    }
    signal.addEventListener("abort", cancel, { once: true });
    return promise;
  }

  function headersOf(db: string): Record<string, string> {
    return {
      ...(token === "" ? {} : { authorization: Buffer.from(token, "utf8").toString("base64") }),
      ...(db === "" ? {} : { dbname: db }),
    };
  }

  function metadataOf(db: string): Metadata {
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(headersOf(db))) metadata.set(name, value);
    return metadata;
  }

  function faultOf(error: Partial<ServiceError> | null, timeoutMs: number): TidemarkError {
    if (error?.code === status.UNAVAILABLE) connectFailed = true;
    const said = error?.details ?? "no answer";
    return rpcFault(error?.code ?? status.UNKNOWN, said, options.address, timeoutMs, options.owner);
  }

  async function* stream(
    path: string,
    body: Uint8Array,
    call: Omit<CallOptions, "timeoutMs">,
  ): AsyncGenerator<Uint8Array> {
    const used = token;
    let answered = false;
    try {
      for await (const answer of streamOnce(path, body, call)) {
        answered = true;
        yield answer;
      }
      return;
    } catch (error) {
      const refused = !answered && error instanceof TidemarkError && error.code === "authentication";
      if (!refused || options.reread === undefined) throw error;
      if (token === used) token = options.reread();
      if (token === used) throw error;
    }
    yield* streamOnce(path, body, call);
  }

  async function* streamOnce(
    path: string,
    body: Uint8Array,
    { db, signal }: Omit<CallOptions, "timeoutMs">,
  ): AsyncGenerator<Uint8Array> {
    const stopped = () => new TidemarkError("aborted", "Stopped by request", { cause: signal.reason });
    if (signal.aborted) throw stopped();
    if (closed) throw new TidemarkError("aborted", `The connection to ${options.address} was closed`);
    const call = client.makeServerStreamRequest(path, asBuffer, (answer: Buffer) => answer, body, metadataOf(db), {});
    // Cancelling is told as an error, also when nobody reads any more.
    call.on("error", () => {});
    const cancel = () => call.cancel();
    signal.addEventListener("abort", cancel, { once: true });
    try {
      for await (const answer of call as AsyncIterable<Buffer>) {
        connectFailed = false;
        yield answer;
      }
    } catch (error) {
      throw signal.aborted ? stopped() : faultOf(error as Partial<ServiceError>, 0);
    } finally {
      signal.removeEventListener("abort", cancel);
      call.cancel();
    }
  }

  async function close(): Promise<void> {
    if (closed) return;
    closed = true;
    large?.close();
    client.close();
    if (connectFailed) await new Promise((resolve) => setTimeout(resolve, RECONNECT_MAX_MS * 1.3));
  }

  return { address: options.address, unary, stream, close };
}

function channelCredentials(tls: TlsMaterial | undefined, ip: string | undefined): ChannelCredentials {
  if (tls === undefined) return credentials.createInsecure();
  const pem = (bytes: Uint8Array | undefined): Buffer | null => bytes === undefined ? null : asBuffer(bytes);
  try {
    return credentials.createSsl(
      pem(tls.ca),
      pem(tls.clientKey),
      pem(tls.clientCert),
      tls.insecure
        ? { rejectUnauthorized: false, checkServerIdentity: () => undefined }
        : ip === undefined
        ? {}
        : { checkServerIdentity: (_name: string, cert: PeerCertificate) => checkServerIdentity(ip, cert) },
    );
  } catch (error) {
    throw new TidemarkError("config", `The TLS files cannot be used: ${(error as Error).message}`, {
      hint: "ca, client_cert and client_key must be PEM files; client_cert and client_key are given together.",
      cause: error,
    });
  }
}

/**
 * grpc-js asks a message for its length and has it copied behind the five bytes of its prefix, once. So parts need not be put
 * together before.
 */
function serialised(body: MessageBytes): Buffer {
  if (body instanceof Uint8Array) return asBuffer(body);
  const length = body.reduce((sum, part) => sum + part.length, 0);
  const copy = (target: Uint8Array, start: number) => {
    let at = start;
    for (const part of body) {
      target.set(part, at);
      at += part.length;
    }
    return length;
  };
  return { length, copy } as unknown as Buffer;
}

/** grpc-js insists on a Node Buffer; this is a view of the same memory. */
function asBuffer(bytes: Uint8Array): Buffer {
  return bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
