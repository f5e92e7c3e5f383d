/** From the config to the options of a connection: address, login, certificates. */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { ChannelOptions, TlsMaterial } from "./channel.ts";
import type { MilvusSinkConfig } from "./spec.ts";

const DEFAULT_PORT = 19530;

export type ReadFile = (path: string) => Uint8Array;

/** What a connection needs to know; the keys of the sink, or of whoever else talks to a Milvus. */
export type ConnectionConfig =
  & Pick<MilvusSinkConfig, "address" | "tls" | "max_message_bytes">
  & Partial<Pick<MilvusSinkConfig, "token" | "token_file" | "username" | "password" | "password_file">>;

/** Throws `config` for a file that cannot be read. */
export function channelOptions(config: ConnectionConfig, readFile: ReadFile): ChannelOptions {
  const bare = config.address.replace(/^https?:\/\//, "").replace(/\/$/, "");
  const address = /:\d{1,5}$/.test(bare) ? bare : `${bare}:${DEFAULT_PORT}`;
  const secure = config.tls !== undefined || config.address.startsWith("https://");
  return {
    address,
    tls: secure ? tlsMaterial(config.tls, readFile) : undefined,
    token: loginToken(config, readFile),
    ...(config.token_file === undefined && config.password_file === undefined
      ? {}
      : { reread: () => loginToken(config, readFile) }),
    maxMessageBytes: config.max_message_bytes,
  };
}

/** The user that the sink logs in as; undefined with an API key or without a login. */
export function loginUser(token: string): string | undefined {
  const colon = token.indexOf(":");
  return colon > 0 ? token.slice(0, colon) : undefined;
}

function loginToken(config: ConnectionConfig, readFile: ReadFile): string {
  const secretOf = (value: string | undefined, path: string | undefined, key: string): string | undefined =>
    value ?? (path === undefined ? undefined : text(path, key, readFile));
  const token = secretOf(config.token, config.token_file, "token_file");
  if (token !== undefined) return token;
  const password = secretOf(config.password, config.password_file, "password_file");
  return config.username === undefined ? "" : `${config.username}:${password ?? ""}`;
}

function tlsMaterial(tls: MilvusSinkConfig["tls"], readFile: ReadFile): TlsMaterial {
  const pem = (path: string | undefined, key: string): Uint8Array | undefined =>
    path === undefined ? undefined : content(path, `tls.${key}`, readFile);
  return {
    ca: pem(tls?.ca_file, "ca_file"),
    clientCert: pem(tls?.cert_file, "cert_file"),
    clientKey: pem(tls?.key_file, "key_file"),
    serverName: tls?.server_name,
    insecure: tls?.insecure_skip_verify ?? false,
  };
}

/** Users to create and their passwords, from the JSON file of `rbac_passwords_file`. */
export function readPasswords(path: string | undefined, readFile: ReadFile): ReadonlyMap<string, string> {
  if (path === undefined) return new Map();
  let parsed: unknown;
  try {
    parsed = JSON.parse(text(path, "rbac_passwords_file", readFile));
  } catch (error) {
    if (error instanceof TidemarkError) throw error;
    // The parser's message quotes the text, and that is passwords.
    throw new TidemarkError("config", `The file ${path} of rbac_passwords_file is no JSON`, { hint: PASSWORDS_HINT });
  }
  const entries = parsed !== null && typeof parsed === "object" && !Array.isArray(parsed) ? Object.entries(parsed) : [];
  if (entries.length === 0 || entries.some(([, password]) => typeof password !== "string")) {
    throw new TidemarkError("config", `The file ${path} of rbac_passwords_file has another form than expected`, {
      hint: PASSWORDS_HINT,
    });
  }
  return new Map(entries);
}

const PASSWORDS_HINT = 'Expected one JSON object of user names and passwords: {"alice": "..."}.';

function text(path: string, key: string, readFile: ReadFile): string {
  return new TextDecoder().decode(content(path, key, readFile)).replace(/\r?\n$/, "");
}

function content(path: string, key: string, readFile: ReadFile): Uint8Array {
  try {
    return readFile(path);
  } catch (cause) {
    throw new TidemarkError("config", `${key} names ${path}, which cannot be read`, {
      hint: "Give a path that exists and that this process may read.",
      cause,
    });
  }
}
