/**
 * One gRPC connection to a Milvus server. The only file that knows grpc-js.
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
  /** Of one request or answer. */
  readonly maxMessageBytes: number;
}

export interface CallOptions {
  /** Database the call is about; empty: the server's default. */
  readonly db: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface Channel {
  readonly address: string;
  /**
   * One unary call, no retry. `path` is `/package.Service/Method`.
   * Throws TidemarkErrors as {@link rpcFault} classifies them, and `aborted` when the signal fired.
   */
  unary(path: string, body: Uint8Array, options: CallOptions): Promise<Uint8Array>;
  close(): Promise<void>;
}

const RECONNECT_MAX_MS = 500;

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
  let { token } = options;
  // grpc-js keeps a reconnect timer for a moment after close where the last attempt to connect failed.
  let connectFailed = false;
  let closed = false;

  /** A token that comes from a file may have been rotated. */
  async function unary(path: string, body: Uint8Array, call: CallOptions): Promise<Uint8Array> {
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

  function once(path: string, body: Uint8Array, { db, timeoutMs, signal }: CallOptions): Promise<Uint8Array> {
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    if (signal.aborted) {
      reject(new TidemarkError("aborted", "Stopped by request", { cause: signal.reason }));
      return promise;
    }
    if (closed) {
      reject(new TidemarkError("aborted", `The connection to ${options.address} was closed`));
      return promise;
    }
    const metadata = new Metadata();
    if (token !== "") metadata.set("authorization", Buffer.from(token, "utf8").toString("base64"));
    if (db !== "") metadata.set("dbname", db);
    const call = client.makeUnaryRequest(
      path,
      asBuffer,
      (answer: Buffer) => answer,
      body,
      metadata,
      { deadline: Date.now() + timeoutMs },
      (error: ServiceError | null, answer?: Buffer) => {
        signal.removeEventListener("abort", cancel);
        if (error === null && answer !== undefined) {
          connectFailed = false;
          resolve(answer);
        } else if (signal.aborted) {
          reject(new TidemarkError("aborted", "Stopped by request", { cause: signal.reason }));
        } else {
          if (error?.code === status.UNAVAILABLE) connectFailed = true;
          reject(rpcFault(error?.code ?? status.UNKNOWN, error?.details ?? "no answer", options.address, timeoutMs));
        }
      },
    );
    function cancel(): void {
      call.cancel();
    }
    signal.addEventListener("abort", cancel, { once: true });
    return promise;
  }

  async function close(): Promise<void> {
    if (closed) return;
    closed = true;
    client.close();
    if (connectFailed) await new Promise((resolve) => setTimeout(resolve, RECONNECT_MAX_MS * 1.3));
  }

  return { address: options.address, unary, close };
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

/** grpc-js insists on a Node Buffer; this is a view of the same memory. */
function asBuffer(bytes: Uint8Array): Buffer {
  return bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
