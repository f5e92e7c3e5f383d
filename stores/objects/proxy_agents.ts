/** Agents of Node's HTTP client that go through a proxy. The only importer of the proxies' clients. */
import { HttpProxyAgent } from "http-proxy-agent";
import { HttpsProxyAgent } from "https-proxy-agent";
import { Agent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { rootCertificates } from "node:tls";
import { proxyFor } from "./proxy.ts";

export interface ProxyAgents {
  readonly httpAgent: Agent;
  readonly httpsAgent: Agent;
}

export interface TunnelTls {
  readonly ca: string | undefined;
  readonly insecure: boolean;
}

/** For requests to `url`, which the environment sends through a proxy. */
export function proxyAgents(url: string, tls: TunnelTls): ProxyAgents {
  const proxy = proxyFor(url)!;
  const pool = { keepAlive: true, maxSockets: 4096 };
  return { httpAgent: new HttpProxyAgent(proxy, pool), httpsAgent: new TunnelAgent(proxy, pool, tls) };
}

/** Without a proxy. The authority counts beside the public ones. */
export function directAgents({ ca, insecure }: TunnelTls): ProxyAgents {
  const pool = { keepAlive: true, maxSockets: 4096 };
  const authorities = ca === undefined ? {} : { ca: [ca, ...rootCertificates] };
  return {
    httpAgent: new Agent(pool),
    httpsAgent: new HttpsAgent({ ...pool, rejectUnauthorized: !insecure, ...authorities }),
  };
}

/** The agent itself takes what it is told of TLS for that to the proxy alone. */
class TunnelAgent extends HttpsProxyAgent<string> {
  readonly #tls: { ca?: string; rejectUnauthorized: boolean };

  constructor(proxy: string, pool: { keepAlive: boolean; maxSockets: number }, tls: TunnelTls) {
    super(proxy, pool);
    this.#tls = { rejectUnauthorized: !tls.insecure, ...(tls.ca === undefined ? {} : { ca: tls.ca }) };
  }

  override connect(...[request, options]: Parameters<HttpsProxyAgent<string>["connect"]>) {
    return super.connect(request, { ...options, ...this.#tls });
  }
}
