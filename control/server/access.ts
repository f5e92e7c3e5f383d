/** Where tasks may connect to and which files they may name: `allowed_hosts`, `allowed_paths`. */
import { lookup } from "node:dns/promises";
import { BlockList, isIP } from "node:net";
import { isAbsolute, resolve, SEPARATOR } from "./paths.ts";

export interface AccessProblem {
  readonly pointer: string;
  readonly message: string;
}

export interface AccessRules {
  /** Undefined: everywhere. */
  readonly hosts: readonly string[] | undefined;
  readonly paths: readonly string[];
}

/** Addresses of a name, as this machine resolves it; throws where there are none. */
export type Resolve = (host: string) => Promise<readonly string[]>;

export const systemResolve: Resolve = async (host) => (await lookup(host, { all: true })).map(({ address }) => address);

const HOST_KEY = /(address|endpoint|broker|url|host|server)(es|s)?$/;
const PATH_KEY = /(^path|_file|_dir|^dead_letters|^folder)$/;
const NO_PATH = /(^root_path|prefix|route|select|include|exclude|from|to)$/;

interface Place {
  readonly pointer: string;
  readonly kind: "host" | "path";
  readonly text: string;
}

/** Every host and file that a checked configuration names; whatever looks like a path is one. */
function placesOf(value: unknown, pointer = "", key = ""): Place[] {
  if (typeof value === "string") {
    if (HOST_KEY.test(key)) return [{ pointer, kind: "host", text: value }];
    const looks = /^(\/|\.{1,2}\/|~|file:)/.test(value) && !NO_PATH.test(key);
    return PATH_KEY.test(key) && !NO_PATH.test(key) || looks ? [{ pointer, kind: "path", text: value }] : [];
  }
  if (Array.isArray(value)) return value.flatMap((item, index) => placesOf(item, `${pointer}/${index}`, key));
  if (value === null || typeof value !== "object") return [];
  const fields = value as Record<string, unknown>;
  const own = Object.entries(fields).flatMap(([name, item]) => placesOf(item, `${pointer}/${name}`, name));
  // Without an endpoint a bucket is at AWS.
  if (fields.type === "s3" && fields.endpoint === undefined) {
    own.push({ pointer, kind: "host", text: `s3.${String(fields.region ?? "us-east-1")}.amazonaws.com` });
  }
  return own;
}

/** `https://user@etcd:2379/x` -> `etcd`. */
export function hostOf(text: string): string {
  const authority = text.replace(/^[a-z][a-z0-9+.-]*:\/\//i, "").replace(/[/?#].*$/, "").replace(/^.*@/, "");
  const bracket = /^\[([^\]]+)\]/.exec(authority);
  if (bracket !== null) return bracket[1]!;
  return isIP(authority) === 6 ? authority : authority.replace(/:\d*$/, "").toLowerCase();
}

export function createAccess(rules: AccessRules, resolveHost: Resolve = systemResolve) {
  const { names, networks } = split(rules.hosts ?? []);

  async function hostProblem(text: string): Promise<string | undefined> {
    if (rules.hosts === undefined) return undefined;
    const host = hostOf(text);
    const inside = (address: string) => networks?.check(address, isIP(address) === 6 ? "ipv6" : "ipv4") === true;
    const allowed = `allowed_hosts of this server has ${rules.hosts.join(", ") || "none"}`;
    if (isIP(host) !== 0) return inside(host) ? undefined : `${host} is not allowed: ${allowed}`;
    const named = names.some((name) => name.test(host));
    // A name alone says nothing of where it leads, where networks are given.
    if (networks === undefined) return named ? undefined : `${host} is not allowed: ${allowed}`;
    if (!named && names.length > 0) return `${host} is not allowed: ${allowed}`;
    let addresses: readonly string[];
    try {
      addresses = await resolveHost(host);
    } catch {
      return `${host} cannot be resolved, so that nobody knows whether it is allowed`;
    }
    const outside = addresses.find((address) => !inside(address));
    return outside === undefined ? undefined : `${host} leads to ${outside}, which is not allowed: ${allowed}`;
  }

  return {
    /** Every place of a checked configuration that is not allowed. Asks the DNS anew each time. */
    async check(config: unknown): Promise<AccessProblem[]> {
      const places = placesOf(config);
      const found = await Promise.all(places.map(async ({ pointer, kind, text }) => {
        const message = kind === "host" ? await hostProblem(text) : pathProblem(text, rules.paths);
        if (message === undefined) return [];
        const more = pointer === "/state/path" ? ". Leave `state` out: the server keeps it" : "";
        return [{ pointer, message: message + more }];
      }));
      return found.flat();
    },
    /** Whether a task may name the file. */
    mayRead: (path: string): boolean => pathProblem(path, rules.paths) === undefined,
  };
}

export type Access = ReturnType<typeof createAccess>;

function split(hosts: readonly string[]): { names: RegExp[]; networks: BlockList | undefined } {
  const names: RegExp[] = [];
  let networks: BlockList | undefined;
  for (const host of hosts) {
    const [address, bits] = host.split("/") as [string, string | undefined];
    const version = isIP(address.replace(/^\[|\]$/g, ""));
    if (version === 0) {
      const escaped = host.toLowerCase().replace(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", "[^/]*");
      names.push(new RegExp(`^${escaped}$`));
      continue;
    }
    networks ??= new BlockList();
    const plain = address.replace(/^\[|\]$/g, "");
    const family = version === 6 ? "ipv6" : "ipv4";
    if (bits === undefined) networks.addAddress(plain, family);
    else networks.addSubnet(plain, Number(bits), family);
  }
  return { names, networks };
}

function pathProblem(text: string, allowed: readonly string[]): string | undefined {
  const path = real(resolve(text.replace(/^file:(\/\/)?/, "")));
  const within = allowed.some((folder) => {
    const root = real(resolve(folder));
    return path === root || path.startsWith(root === SEPARATOR ? root : root + SEPARATOR);
  });
  if (within && isAbsolute(path)) return undefined;
  return `The path ${text} is not allowed: allowed_paths of this server has ${allowed.join(", ") || "none"}`;
}

/** With every link followed, as far as the path exists: a link must not lead out of an allowed folder. */
function real(path: string): string {
  const rest: string[] = [];
  for (let at = path;;) {
    try {
      return [Deno.realPathSync(at).replace(/\/$/, ""), ...rest].join(SEPARATOR) || SEPARATOR;
    } catch {
      const cut = at.lastIndexOf(SEPARATOR);
      if (cut < 0 || at === SEPARATOR) return path;
      rest.unshift(at.slice(cut + 1));
      at = at.slice(0, cut) || SEPARATOR;
    }
  }
}
