/**
 * Contents of objects are read by the runtime's own client: it puts bytes where they are wanted, which takes a fraction of the
 * time of node's. All other requests are node's, and so are those through a proxy, to an authority of one's own (beside which the
 * runtime's client trusts the public ones) or without a check of the certificate.
 */
import { withinAnswer } from "./answer_limit.ts";
import { namesProxies } from "./proxy.ts";
import type { S3StoreOptions } from "./s3_options.ts";

/** A signed request, as the client hands it on. */
interface SignedRequest {
  readonly method: string;
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number;
  readonly path: string;
  readonly query?: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, string>>;
}

/** What sends the client's requests. */
export interface RequestHandler {
  readonly metadata?: unknown;
  handle(
    request: SignedRequest,
    settings?: { readonly abortSignal?: unknown },
  ): Promise<{ readonly response: unknown }>;
  destroy?(): void;
}

/** So long a server may take to begin its answer, ms. */
const ANSWER_MS = 120_000;

/** Takes over from `node`, which stays with the requests that read no object. */
export function readingHandler(
  node: RequestHandler,
  { tls, agents }: Pick<S3StoreOptions, "tls" | "agents">,
): RequestHandler {
  if (agents !== undefined || tls.ca !== undefined || tls.insecure || namesProxies()) return node;
  // One connection with several streams would make them wait for each other.
  const http = Deno.createHttpClient({ http2: false });
  return {
    metadata: node.metadata,
    async handle(request, settings) {
      const url = readUrl(request);
      if (url === undefined) return await node.handle(request, settings);
      return { response: await read(url, request, http, settings?.abortSignal as AbortSignal | undefined) };
    },
    destroy() {
      node.destroy?.();
      http.close();
    },
  };
}

/** Undefined for other requests, and for one whose path a URL would not keep as it was signed. */
function readUrl({ method, protocol, hostname, port, path, query }: SignedRequest): URL | undefined {
  if (method !== "GET" || query?.["x-id"] !== "GetObject" || Object.keys(query).length > 1) return undefined;
  const url = new URL(`${protocol}//${hostname}${port === undefined ? "" : `:${port}`}${path}?x-id=GetObject`);
  return url.pathname === path ? url : undefined;
}

async function read(url: URL, request: SignedRequest, client: Deno.HttpClient, signal: AbortSignal | undefined) {
  const { host: _host, ...headers } = request.headers;
  return await withinAnswer(signal, ANSWER_MS, async (signal) => {
    const answer = await fetch(url, {
      // As it is kept: an object that says of itself to be compressed is not unpacked.
      headers: { ...headers, "accept-encoding": "identity" },
      redirect: "manual",
      client,
      signal,
    });
    // What an error says is read by the client, which would wait for the rest of it for ever.
    const body = answer.ok ? answer.body : new Response(await answer.bytes()).body;
    return {
      statusCode: answer.status,
      reason: answer.statusText,
      headers: Object.fromEntries(answer.headers),
      body: body ?? new ReadableStream({ type: "bytes", start: (controller) => controller.close() }),
    };
  });
}
