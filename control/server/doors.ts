/** What every request passes before it is served: host, origin, rate, size, token. */
import { isLoopback, type ListenConfig, type Role } from "../../config/mod.ts";
import { type Caller, callerOf, type KnownToken, mayDo } from "./auth.ts";
import { Fault } from "./fault.ts";

export interface DoorsOptions {
  readonly config: ListenConfig;
  /** Asked at each request: tokens come and go. */
  readonly tokens: () => Iterable<KnownToken>;
  readonly now: () => number;
}

/** Headers of every answer. Scripts and styles come from this server only; nothing may frame it. */
export const HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "cache-control": "no-store",
};

/** Addresses whose rate is remembered. */
const REMEMBERED = 10_000;

const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];

export function createDoors({ config, tokens, now }: DoorsOptions) {
  const buckets = new Map<string, { left: number; at: number }>();
  const rate = config.requests_per_second;
  const port = config.listen.replace(/^.*:/, "");
  const own = config.listen.replace(/:\d+$/, "");
  const names = new Set([
    ...config.hosts,
    own,
    ...isLoopback(config.listen) ? LOOPBACK : [],
  ]);
  const nearby = new Set([...names, ...LOOPBACK]);

  function requireRate(address: string): void {
    const at = now();
    const bucket = buckets.get(address) ?? { left: rate * 2, at };
    bucket.left = Math.min(rate * 2, bucket.left + (at - bucket.at) / 1000 * rate);
    bucket.at = at;
    buckets.delete(address);
    buckets.set(address, bucket);
    if (buckets.size > REMEMBERED) buckets.delete(buckets.keys().next().value!);
    if (bucket.left < 1) throw new Fault(429, "throttled", `More than ${rate} requests a second from ${address}`);
    bucket.left--;
  }

  function isNamed(request: Request, known: ReadonlySet<string>): boolean {
    const host = (request.headers.get("host") ?? "").toLowerCase();
    return known.has(host.replace(/:\d+$/, "")) || known.has(host);
  }

  /** A page of somebody else must not drive this server through a browser, also where its name leads here. */
  function requireHost(request: Request): void {
    const host = (request.headers.get("host") ?? "").toLowerCase();
    if (config.auth === undefined && !config.insecure) {
      if (!isNamed(request, names)) {
        throw new Fault(421, "misdirected", `This server is not known as ${host || "nothing"}`, {
          hint: `Ask at ${own}:${port}, or name it in server.hosts.`,
        });
      }
    }
    const origin = request.headers.get("origin");
    if (origin === null || request.method === "GET" || request.method === "HEAD") return;
    if (origin.replace(/^https?:\/\//, "").toLowerCase() !== host) {
      throw new Fault(403, "forbidden", `A page of ${origin} may not send requests to this server`);
    }
  }

  return {
    enter(request: Request, address: string): void {
      requireRate(address);
      requireHost(request);
    },
    /**
     * Whether somebody on this machine asks, who knows it by a name of its own: not a page whose name leads here, and not a
     * proxy that says for whom it asks.
     */
    isFromHere(request: Request, address: string): boolean {
      const forwarded = ["forwarded", "x-forwarded-for", "via"].some((name) => request.headers.has(name));
      return !forwarded && /^(127\.|::1$|::ffff:127\.)/.test(address) && isNamed(request, nearby);
    },
    /** Without auth whoever reaches the server may do everything. Throws 401, 403. */
    requireRole(request: Request, role: Role): Caller {
      if (config.auth === undefined) return { name: "anybody", role: "admin" };
      const caller = callerOf(request.headers.get("authorization") ?? undefined, tokens());
      if (caller === undefined) {
        throw new Fault(401, "authentication", "This request has no token that is known here", {
          hint: "Send Authorization: Bearer TOKEN, with one of server.auth.tokens.",
        });
      }
      if (!mayDo(caller, role)) {
        throw new Fault(403, "forbidden", `${caller.name} has the role ${caller.role}, and this needs ${role}`);
      }
      return caller;
    },
    /** Throws 413 before more than the limit is kept. */
    async body(request: Request): Promise<string> {
      const limit = config.body_limit;
      const tooLarge = () => new Fault(413, "too_large", `The body is larger than ${limit} bytes (server.body_limit)`);
      if (Number(request.headers.get("content-length") ?? 0) > limit) throw tooLarge();
      const parts: Uint8Array[] = [];
      let size = 0;
      for await (const part of request.body ?? []) {
        size += part.length;
        if (size > limit) throw tooLarge();
        parts.push(part);
      }
      const bytes = new Uint8Array(size);
      let at = 0;
      for (const part of parts) {
        bytes.set(part, at);
        at += part.length;
      }
      try {
        return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
      } catch {
        throw new Fault(400, "usage", "The body is no UTF-8 text");
      }
    },
  };
}

export type Doors = ReturnType<typeof createDoors>;
