/**
 * Unary gRPC calls whose request is large, by the runtime's own HTTP/2: for the same bytes node's takes two thirds more of the
 * processor's time, and 80 MiB more memory.
 *
 * It shows no trailers, so only two answers can be read: one message, which a server sends only with the status OK behind it,
 * and a status without a message, which servers send in the headers. Any other is told as {@link Unread}.
 */

/** gRPC status numbers. */
const STATUS = {
  ok: 0,
  unknown: 2,
  deadlineExceeded: 4,
  permissionDenied: 7,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const;

/** As the specification maps the answers of whoever stands before a server and speaks no gRPC; all else is UNKNOWN. */
const STATUS_OF_HTTP: ReadonlyMap<number, number> = new Map([
  [400, STATUS.internal],
  [401, STATUS.unauthenticated],
  [403, STATUS.permissionDenied],
  [404, STATUS.unimplemented],
  [429, STATUS.unavailable],
  [502, STATUS.unavailable],
  [503, STATUS.unavailable],
  [504, STATUS.unavailable],
]);

/** Flag and length before each message. */
const PREFIX_BYTES = 5;

/** A call that was not answered with OK. */
export class CallError extends Error {
  /** A gRPC status number. */
  readonly code: number;
  readonly details: string;

  constructor(code: number, details: string, cause?: unknown) {
    super(details, { cause });
    this.name = "CallError";
    this.code = code;
    this.details = details;
  }
}

/** The server answered, and how cannot be told here: grpc-js can. Whether it did what was asked is open. */
export class Unread extends CallError {}

export interface LargeCallOptions {
  /** Sent beside those of the protocol. */
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface LargeCalls {
  /**
   * One call, no retry but of what the server did not begin. `parts`: the message, one behind the other. Throws CallErrors,
   * also for a deadline and a connection that broke; when the signal fires, its reason.
   */
  unary(path: string, parts: readonly Uint8Array[], options: LargeCallOptions): Promise<Uint8Array>;
  close(): void;
}

/** Plain text only. `address`: `host:port`. Connects at the first call. */
export function openLargeCalls(address: string): LargeCalls {
  const { hostname, port } = new URL(`http://${address}`);
  let client: Deno.HttpClient | undefined;

  /** Straight to the server: proxies of the environment speak HTTP/1. */
  const connect = () =>
    Deno.createHttpClient({
      http1: false,
      http2: true,
      proxy: {
        transport: "tcp",
        hostname: hostname.replace(/^\[(.*)\]$/, "$1"),
        port: port === "" ? 80 : parseInt(port, 10),
      },
    });

  async function unary(
    path: string,
    parts: readonly Uint8Array[],
    { headers, timeoutMs, signal }: LargeCallOptions,
  ): Promise<Uint8Array> {
    signal.throwIfAborted();
    const used = client ??= connect();
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), timeoutMs);
    const stop = () => late.abort();
    signal.addEventListener("abort", stop, { once: true });
    try {
      const answer = await fetch(`http://${address}${path}`, {
        method: "POST",
        client: used,
        redirect: "manual",
        signal: late.signal,
        headers: {
          ...headers,
          "content-type": "application/grpc",
          "te": "trailers",
          "grpc-timeout": `${Math.min(timeoutMs, 99_999_999)}m`,
          "accept-encoding": "identity",
        },
        body: framed(parts),
      });
      return read(answer, new Uint8Array(await answer.arrayBuffer()));
    } catch (error) {
      if (error instanceof CallError) throw error;
      signal.throwIfAborted();
      // It may be connected to nobody any more: the next call connects anew. Others on it go on.
      if (client === used) close();
      if (late.signal.aborted) throw new CallError(STATUS.deadlineExceeded, "Deadline exceeded", error);
      throw new CallError(STATUS.unavailable, reasonOf(error), error);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
    }
  }

  function close(): void {
    client?.close();
    client = undefined;
  }

  return { unary, close };
}

/** Length of a message in parts. */
export function lengthOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}

/** The parts as they are: they are copied nowhere before they are sent. */
function framed(parts: readonly Uint8Array[]): ReadableStream<Uint8Array> {
  const prefix = new Uint8Array(PREFIX_BYTES);
  new DataView(prefix.buffer).setUint32(1, lengthOf(parts));
  return ReadableStream.from([prefix, ...parts.filter(({ length }) => length > 0)]);
}

/** The message of an answer. Throws CallError where there is none. */
function read({ status, headers }: Response, body: Uint8Array): Uint8Array {
  if (status !== 200) {
    throw new CallError(STATUS_OF_HTTP.get(status) ?? STATUS.unknown, `Received HTTP status code ${status}`);
  }
  const code = headers.get("grpc-status");
  if (code !== null && code !== String(STATUS.ok)) {
    throw new CallError(/^\d+$/.test(code) ? parseInt(code, 10) : STATUS.unknown, wordsOf(headers.get("grpc-message")));
  }
  const whole = body.length >= PREFIX_BYTES && body[0] === 0 &&
    new DataView(body.buffer, body.byteOffset).getUint32(1) === body.length - PREFIX_BYTES;
  if (!whole) throw new Unread(STATUS.unavailable, `The answer of ${body.length} bytes is not one message`);
  return body.subarray(PREFIX_BYTES);
}

/** Percent-encoded UTF-8. */
function wordsOf(message: string | null): string {
  try {
    return decodeURIComponent(message ?? "");
  } catch {
    return message!;
  }
}

/** Without the address, which whoever reads it is told anyway. */
function reasonOf(error: unknown): string {
  const { message, cause } = error as Error;
  const words = cause instanceof Error ? cause.message : message;
  return words.replace(/^error sending request for url \(\S+\): /, "");
}
