/** Config of a connection to etcd, and what it means. */
import { z } from "zod";
import { TidemarkError } from "../../pipeline/errors.ts";
import type { EtcdOptions, EtcdTls } from "./options.ts";

const HOST_PORT = /^(https?:\/\/)?(\[[0-9a-fA-F:.]+\]|[^\s/:]+):\d{1,5}\/?$/;

/** The keys of every component that talks to etcd; spread them into the component's own object. */
export const etcdShape = {
  endpoints: z.array(
    z.string().regex(HOST_PORT, "expected host:port, for example etcd:2379"),
  ).min(1).describe("Addresses of the etcd members as host:port; the first that answers is used"),
  username: z.string().min(1).optional().describe("User, where etcd has authentication enabled"),
  password: z.string().min(1).optional().meta({ secret: true }).describe("Password of the user"),
  password_file: z.string().min(1).optional().describe("File that holds the password"),
  tls: z.strictObject({
    ca_file: z.string().min(1).optional()
      .describe("PEM file with the certificate authority of the servers; left out for those that the system trusts"),
    cert_file: z.string().min(1).optional().describe("PEM file with the client certificate, where etcd asks for one"),
    key_file: z.string().min(1).optional().describe("PEM file with the key of the client certificate"),
    server_name: z.string().min(1).optional()
      .describe("Name to expect in the servers' certificates where it differs from the address"),
    insecure_skip_verify: z.boolean().default(false).describe("Accept any certificate; for tests only"),
  }).optional().describe("Give it, even empty, where etcd speaks TLS"),
  dial_timeout_ms: z.int().min(1).max(600_000).default(5_000)
    .describe("How long one request may take, connecting included, in milliseconds"),
} as const;

/** Says what is wrong with the login and the TLS files. For `superRefine` of every schema made of {@link etcdShape}. */
export function checkEtcdLogin(config: EtcdConnectionConfig, context: z.RefinementCtx): void {
  const issue = (path: string[], message: string): void => context.addIssue({ code: "custom", path, message });
  if (config.password !== undefined && config.password_file !== undefined) {
    issue(["password_file"], "password and password_file exclude each other");
  }
  const password = config.password ?? config.password_file;
  if (config.username !== undefined && password === undefined) {
    issue(["username"], "username needs password or password_file");
  }
  if (config.username === undefined && password !== undefined) issue(["password"], "a password needs username");
  const { cert_file: cert, key_file: key } = config.tls ?? {};
  if (cert !== undefined && key === undefined) issue(["tls", "cert_file"], "cert_file needs key_file");
  if (cert === undefined && key !== undefined) issue(["tls", "key_file"], "key_file needs cert_file");
}

const connectionSpec = z.object(etcdShape);
export type EtcdConnectionConfig = z.output<typeof connectionSpec>;

/** Reads the files that the config names. Throws `config` for one that cannot be read. */
export async function etcdOptions(config: EtcdConnectionConfig): Promise<EtcdOptions> {
  const file = config.password_file;
  const read = async (path: string) => new TextDecoder().decode(await fileOf(path, "password_file")).trim();
  // Read here, so that a wrong path is found at once.
  if (file !== undefined) await read(file);
  const password = file === undefined ? config.password : () => read(file);
  return {
    endpoints: config.endpoints,
    ...(config.username === undefined ? {} : { username: config.username, password }),
    ...(config.tls === undefined ? {} : { tls: await tlsOf(config.tls) }),
    timeoutMs: config.dial_timeout_ms,
  };
}

async function tlsOf(tls: NonNullable<EtcdConnectionConfig["tls"]>): Promise<EtcdTls> {
  const pem = async (key: "ca_file" | "cert_file" | "key_file"): Promise<Uint8Array | undefined> => {
    const path = tls[key];
    return path === undefined ? undefined : await fileOf(path, `tls.${key}`);
  };
  return {
    ca: await pem("ca_file"),
    cert: await pem("cert_file"),
    key: await pem("key_file"),
    serverName: tls.server_name,
    insecure: tls.insecure_skip_verify,
  };
}

async function fileOf(path: string, key: string): Promise<Uint8Array> {
  try {
    return await Deno.readFile(path);
  } catch (cause) {
    throw new TidemarkError("config", `${key} names ${path}, which cannot be read`, {
      hint: "Give a path that exists and that this process may read.",
      cause,
    });
  }
}
