/**
 * etcd, the only file that knows etcd3.
 *
 * etcd3 brings the protocol and its gRPC connection. Its own calls are not used: they cannot be cancelled, log in again
 * for ever when the server refuses a token, read 64-bit revisions as doubles and leave a connection open per login.
 */
import { Buffer } from "node:buffer";
import { isIP } from "node:net";
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import { TidemarkError } from "../pipeline/errors.ts";
import { EtcdClient } from "./etcd/client.ts";
import type { EtcdOptions, EtcdTls } from "./etcd/options.ts";
import { type EtcdEndpoint, type EtcdService, WireError, type WireStream } from "./etcd/wire.ts";

export * from "./etcd/client.ts";
export type { EtcdKv } from "./etcd/kv.ts";
export type { EtcdLease } from "./etcd/lease.ts";
export type { EtcdOptions, EtcdTls } from "./etcd/options.ts";
export * from "./etcd/spec.ts";
export type { EtcdWatchBatch, EtcdWatchEvent } from "./etcd/watch.ts";

/**
 * A client of an etcd cluster. Connects when first used; nothing fails here but a wrong configuration (`config`).
 * Close it when done: `await using etcd = connectEtcd({ endpoints: ["127.0.0.1:2379"] })`.
 */
export function connectEtcd(options: EtcdOptions): EtcdClient {
  if (options.endpoints.length === 0) {
    throw new TidemarkError("config", "No etcd endpoint is configured, expected host:port");
  }
  const tls = options.tls ?? (options.endpoints.some((endpoint) => endpoint.startsWith("https://")) ? {} : undefined);
  return new EtcdClient(options.endpoints.map((endpoint) => openEndpoint(endpoint, tls)), options);
}

const RECONNECT_MAX_MS = 500;

const GRPC_OPTIONS = {
  // A page of big values may be larger than gRPC's default of 4 MiB.
  "grpc.max_receive_message_length": -1,
  "grpc.max_send_message_length": -1,
  "grpc.initial_reconnect_backoff_ms": 50,
  "grpc.max_reconnect_backoff_ms": RECONNECT_MAX_MS,
  // Finds a dead connection under an idle watch; etcd refuses pings more often than every 5 s.
  "grpc.keepalive_time_ms": 15_000,
  "grpc.keepalive_timeout_ms": 5_000,
  "grpc.enable_retries": 0,
  "grpc.use_local_subchannel_pool": 1,
};

interface GrpcError {
  readonly code?: number;
  readonly details?: string;
  readonly message?: string;
}

interface GrpcMetadata {
  set(name: string, value: string): void;
}

interface GrpcStream extends AsyncIterable<unknown> {
  write(message: unknown): boolean;
  cancel(): void;
  on(event: "error", listener: (error: GrpcError) => void): void;
}

/** A generated gRPC client: one method per call, unary ones with a callback. */
interface GrpcClient {
  [method: string]: (...args: unknown[]) => unknown;
}

/** The parts of etcd3's pool that are used, private in its types; the version is pinned. */
interface Pool {
  withConnection<T>(
    service: EtcdService,
    use: (connection: { client: GrpcClient; metadata: GrpcMetadata }) => T,
  ): Promise<T>;
  readonly hosts: readonly { channelCredentials: unknown }[];
}

/** Lets every failure pass as it is: no circuit breaker, no reset of the connection. */
const passThrough = { execute: <T>(call: () => T): T => call() };

function openEndpoint(endpoint: string, tls: EtcdTls | undefined): EtcdEndpoint {
  const address = endpoint.replace(/^https?:\/\//, "").replace(/\/+$/, "");
  const opened = new Set<GrpcClient>();
  let connectFailed = false;
  let pool: Promise<Pool> | undefined;

  const connect = async (service: EtcdService, token: string | undefined) =>
    await (await (pool ??= openPool(address, tls))).withConnection(service, ({ client, metadata }) => {
      opened.add(client);
      if (token !== undefined) metadata.set("token", token);
      return { client, metadata };
    });
  const failed = (error: GrpcError): WireError => {
    if (error.code === 14) connectFailed = true;
    return new WireError(error.code ?? 2, error.details ?? error.message ?? "");
  };

  return {
    address,
    async unary<Response>(
      service: EtcdService,
      method: string,
      request: object,
      { token, timeoutMs, signal }: { token: string | undefined; timeoutMs: number; signal: AbortSignal | undefined },
    ): Promise<Response> {
      const { client, metadata } = await connect(service, token);
      const { promise, resolve, reject } = Promise.withResolvers<Response>();
      const answered = (error: GrpcError | null, response: Response): void => {
        signal?.removeEventListener("abort", cancel);
        if (error === null) resolve(response);
        else reject(failed(error));
      };
      const call = client[method]!(request, metadata, { deadline: Date.now() + timeoutMs }, answered) as {
        cancel(): void;
      };
      const cancel = (): void => call.cancel();
      if (signal?.aborted) cancel();
      else signal?.addEventListener("abort", cancel, { once: true });
      return await promise;
    },
    async stream<Request, Response>(
      service: EtcdService,
      method: string,
      { token }: { token: string | undefined },
    ): Promise<WireStream<Request, Response>> {
      const { client, metadata } = await connect(service, token);
      // The server ends the stream when its member loses the leader, instead of staying silent.
      metadata.set("hasleader", "true");
      const stream = client[method]!(metadata, {}) as GrpcStream;
      stream.on("error", () => {});
      return {
        write: (request) => void stream.write(request),
        cancel: () => stream.cancel(),
        async *[Symbol.asyncIterator](): AsyncGenerator<Response> {
          try {
            for await (const message of stream) yield message as Response;
          } catch (error) {
            throw failed(error as GrpcError);
          } finally {
            stream.cancel();
          }
        },
      };
    },
    async close(): Promise<void> {
      for (const client of opened) (client as unknown as { close(): void }).close();
      // grpc-js keeps a timer for a moment where the last attempt to connect failed.
      if (connectFailed) await new Promise((resolve) => setTimeout(resolve, RECONNECT_MAX_MS * 1.3));
    },
  };
}

async function openPool(address: string, tls: EtcdTls | undefined): Promise<Pool> {
  if (tls === undefined) return await poolOf(address, {});
  const expected = tls.serverName ?? hostOf(address);
  // An address is no name that may be announced in a handshake; the certificate is checked for the address all the same.
  const announced = isIP(expected) === 0 ? expected : "address.invalid";
  const verify = tls.insecure
    ? { rejectUnauthorized: false, checkServerIdentity: () => undefined }
    : { checkServerIdentity: (_announced: string, cert: PeerCertificate) => checkServerIdentity(expected, cert) };
  try {
    const pool = await poolOf(address, {
      "grpc.ssl_target_name_override": announced,
      "grpc.default_authority": tls.serverName ?? address,
    });
    // etcd3 has no option for how to verify, so the credentials are made again by the class that made its own.
    const host = pool.hosts[0]!;
    const maker = (host.channelCredentials as object).constructor as unknown as {
      createSsl(ca: Buffer | null, key: Buffer | null, cert: Buffer | null, verify: object): unknown;
    };
    host.channelCredentials = maker.createSsl(pem(tls.ca), pem(tls.key), pem(tls.cert), verify);
    return pool;
  } catch (cause) {
    throw new TidemarkError("config", `The TLS files for etcd cannot be used: ${(cause as Error).message}`, {
      hint: "ca_file, cert_file and key_file must be PEM files; cert_file and key_file are given together.",
      cause,
    });
  }
}

/** Loads etcd3 where it is first needed: commands that only read a configuration start sooner without it. */
async function poolOf(address: string, grpcOptions: Record<string, string>): Promise<Pool> {
  const { Etcd3 } = await import("etcd3");
  const policy = passThrough as never;
  const etcd = new Etcd3({
    hosts: [address],
    faultHandling: { global: policy, host: () => policy },
    grpcOptions: { ...GRPC_OPTIONS, ...grpcOptions },
  });
  return (etcd as unknown as { pool: Pool }).pool;
}

function pem(bytes: Uint8Array | undefined): Buffer | null {
  return bytes === undefined ? null : Buffer.from(bytes);
}

/** `[::1]:2379` -> `::1`, `etcd:2379` -> `etcd`. */
function hostOf(address: string): string {
  return address.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
}
