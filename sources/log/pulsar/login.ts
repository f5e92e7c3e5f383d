/** How a connection is made and who logs in: the configuration's addresses, files and secrets, read when they are needed. */
import { TidemarkError } from "../../../pipeline/errors.ts";
import type { PulsarLogConfig } from "./spec.ts";

/** PEM contents, not paths. */
export interface PulsarTls {
  readonly rejectUnauthorized: boolean;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
}

export interface Login {
  /** auth_method_name of the protocol; undefined: none. */
  readonly method: "token" | "tls" | undefined;
  /** Read anew at each call. */
  data(): Promise<string>;
}

export interface PulsarAddress {
  readonly host: string;
  readonly port: number;
}

export interface PulsarServer {
  readonly address: PulsarAddress;
  readonly tls: PulsarTls | undefined;
  readonly login: Login;
}

/** Of `pulsar://host:port`, `pulsar+ssl://host:port` and `host:port`. */
export function parseAddress(text: string): PulsarAddress {
  const [, host, port] = /^(?:[a-z+]+:\/\/)?(.*):(\d+)\/?$/.exec(text) ?? [];
  if (host === undefined || host === "") throw new RangeError(`${JSON.stringify(text)} is no host:port`);
  return { host: host.replace(/^\[(.*)\]$/, "$1"), port: parseInt(port!, 10) };
}

/** Reads the files once, so that a wrong path is found at once. Throws `config` where one cannot be read. */
export async function pulsarServer(config: PulsarLogConfig): Promise<PulsarServer> {
  const { token, token_file: file } = config;
  if (file !== undefined) await readText(file, "token_file");
  const tls = await tlsOf(config);
  const method = token !== undefined || file !== undefined ? "token" : tls?.cert === undefined ? undefined : "tls";
  return {
    address: parseAddress(config.address),
    tls,
    login: {
      method,
      data: async () => token ?? (file === undefined ? "" : (await readText(file, "token_file")).trim()),
    },
  };
}

async function tlsOf({ address, tls }: PulsarLogConfig): Promise<PulsarTls | undefined> {
  if (tls?.enabled === false || (tls === undefined && !address.startsWith("pulsar+ssl:"))) return undefined;
  const { ca_file: ca, cert_file: cert, key_file: key, server_name: name, insecure_skip_verify: skip = false } = tls ??
    {};
  return {
    rejectUnauthorized: !skip,
    ...(ca === undefined ? {} : { ca: await readText(ca, "tls.ca_file") }),
    ...(cert === undefined ? {} : { cert: await readText(cert, "tls.cert_file") }),
    ...(key === undefined ? {} : { key: await readText(key, "tls.key_file") }),
    ...(name === undefined ? {} : { servername: name }),
  };
}

async function readText(path: string, key: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (cause) {
    throw new TidemarkError("config", `sources.log.${key} names ${path}, which cannot be read`, {
      hint: "Give the path of a file that this process may read.",
      cause,
    });
  }
}
