/** An HTTP proxy in front of one server that hands requests on as they are, and can spoil those that a test chooses. */

export type Fault =
  /** Answers by itself; the server never sees the request. */
  | { readonly kind: "answer"; readonly status: number; readonly body?: string; readonly headers?: HeadersInit }
  /** Hands the request on, and answers with another thing: the server has done it, and nobody hears so. */
  | { readonly kind: "answer after"; readonly status: number; readonly body?: string }
  /** Breaks the connection after so many bytes of the answer's body. */
  | { readonly kind: "cut"; readonly afterBytes: number }
  /** Sends the answer's body in pieces of so many bytes, each after the event loop was free once. */
  | { readonly kind: "slow"; readonly pieceBytes: number };

/** Told of every request; what it returns happens to it. `nth`: how many requests came before. */
export type Injure = (request: Request, nth: number) => Fault | undefined;

export interface FaultProxy extends AsyncDisposable {
  readonly origin: string;
  /** Requests so far. */
  readonly requests: number;
  /** How many of them were spoilt. */
  readonly spoilt: number;
  /** From now on; undefined: none. */
  injure(faults: Injure | undefined): void;
}

/**
 * `to`: `http://host:port` of the server, which is told its own name as host, as the client has signed it. `tls`: certificate and
 * key in PEM, for https in front of it.
 */
export function startFaultProxy(
  to: string,
  tls: { readonly cert: string; readonly key: string } | object = {},
): FaultProxy {
  let faults: Injure | undefined;
  let [requests, spoilt] = [0, 0];
  const client = Deno.createHttpClient({ allowHost: true, poolMaxIdlePerHost: 16 });
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {}, ...tls }, async (request) => {
    const fault = faults?.(request, requests++);
    if (fault !== undefined) spoilt++;
    if (fault?.kind === "answer") {
      await request.body?.cancel();
      return new Response(bodyOf(fault, request), { status: fault.status, headers: fault.headers ?? {} });
    }
    const url = new URL(request.url);
    const headers = new Headers(request.headers);
    headers.set("host", request.headers.get("host") ?? url.host);
    const answer = await fetch(`${to}${url.pathname}${url.search}`, {
      method: request.method,
      headers,
      redirect: "manual",
      client,
      ...(request.body === null ? {} : { body: await request.bytes() as BodyInit }),
    });
    if (fault === undefined) return redirected(answer);
    if (fault.kind === "answer after") {
      await answer.body?.cancel();
      return new Response(bodyOf(fault, request), { status: fault.status });
    }
    if (answer.body === null) return answer;
    const body = fault.kind === "cut" ? cut(answer.body, fault.afterBytes) : slow(answer.body, fault.pieceBytes);
    return new Response(body, { status: answer.status, headers: answer.headers });
  });
  const origin = `${"cert" in tls ? "https" : "http"}://127.0.0.1:${(server.addr as Deno.NetAddr).port}`;
  /** A server that knows nothing of the https in front of it sends its client on to http. */
  const redirected = (answer: Response): Response => {
    const plain = origin.replace("https:", "http:");
    const location = answer.headers.get("location");
    if (plain === origin || location?.startsWith(plain) !== true) return answer;
    const headers = new Headers(answer.headers);
    headers.set("location", `${origin}${location.slice(plain.length)}`);
    return new Response(answer.body, { status: answer.status, headers });
  };
  return {
    origin,
    get requests() {
      return requests;
    },
    get spoilt() {
      return spoilt;
    },
    injure(next) {
      faults = next;
    },
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      client.close();
    },
  };
}

function bodyOf(fault: { readonly status: number; readonly body?: string }, request: Request): string | null {
  return request.method === "HEAD" || fault.status === 304 ? null : fault.body ?? "";
}

function cut(body: ReadableStream<Uint8Array>, afterBytes: number): ReadableStream<Uint8Array> {
  let left = afterBytes;
  return body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        if (left > 0) controller.enqueue(chunk.subarray(0, left));
        left -= chunk.length;
        if (left <= 0) controller.error(new Error("cut by the test"));
      },
    }),
  );
}

function slow(body: ReadableStream<Uint8Array>, pieceBytes: number): ReadableStream<Uint8Array> {
  return body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      async transform(chunk, controller) {
        for (let at = 0; at < chunk.length; at += pieceBytes) {
          controller.enqueue(chunk.slice(at, at + pieceBytes));
          await new Promise((resolve) => setTimeout(resolve, 0));
        }
      },
    }),
  );
}
