/** Proxies as the environment names them: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, in either case. */

export type Environment = (name: string) => string | undefined;

/** The proxy's URL for requests to `url`; undefined where they go straight. */
export function proxyFor(url: string, env: Environment = (name) => Deno.env.get(name)): string | undefined {
  const { protocol, hostname, port } = new URL(url);
  const get = (name: string) => env(name.toLowerCase()) || env(name) || undefined;
  const proxy = (protocol === "https:" ? get("HTTPS_PROXY") : get("HTTP_PROXY")) ?? get("ALL_PROXY");
  if (proxy === undefined) return undefined;
  const bypassed = (get("NO_PROXY") ?? "").split(/[\s,]+/).filter((entry) => entry !== "").some((entry) => {
    if (entry === "*") return true;
    const [, name, only] = /^\*?\.?(.*?)(?::(\d+))?$/.exec(entry)!;
    if (only !== undefined && only !== (port || (protocol === "https:" ? "443" : "80"))) return false;
    return hostname === name || hostname.endsWith(`.${name}`);
  });
  if (bypassed) return undefined;
  return /^[a-z]+:\/\//i.test(proxy) ? proxy : `http://${proxy}`;
}

export function isProxied(url: string): boolean {
  return proxyFor(url) !== undefined;
}

/** Whether any proxy is named at all: the runtime's own client takes those, by rules that are a little different. */
export function namesProxies(env: Environment = (name) => Deno.env.get(name)): boolean {
  return ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].some((name) => env(name) || env(name.toLowerCase()));
}
