/** From config to store. */
import type { ObjectStore } from "../../pipeline/model/mod.ts";
import { readCustomerKey } from "./customer_key.ts";
import { createFileStore } from "./file.ts";
import { joinKey } from "./key.ts";
import { openAzure } from "./open_azure.ts";
import { openGcs } from "./open_gcs.ts";
import { type RetryOptions, withRetry } from "./retry.ts";
import { isProxied, proxyFor } from "./proxy.ts";
import type { ProxyAgents, TunnelTls } from "./proxy_agents.ts";
import type { S3Encryption, S3KeyProvider, S3Keys } from "./s3_options.ts";
import { readSecret, readText } from "./secret_file.ts";
import type { FileConfig, ObjectStoreConfig, S3Config } from "./spec.ts";
import type { UploadMemory } from "./upload_memory.ts";

export interface OpenStoreOptions {
  /** Passed to the retry decorator; `false` leaves it out. */
  retry?: RetryOptions | false;
  /** Memory of uploads of streams, for all stores that are given it; left out, each store has its own. */
  uploads?: UploadMemory;
}

type Shared = Pick<OpenStoreOptions, "uploads">;

/** Opens the store of a checked config, with retries around it. Throws `config` for a secret's file that cannot be read. */
export async function openObjectStore(config: ObjectStoreConfig, options: OpenStoreOptions = {}): Promise<ObjectStore> {
  const store = await openPlain(config, options.uploads === undefined ? {} : { uploads: options.uploads });
  return options.retry === false ? store : withRetry(store, options.retry);
}

async function openPlain(config: ObjectStoreConfig, shared: Shared): Promise<ObjectStore> {
  switch (config.type) {
    case "s3":
      return await openS3(config, shared);
    case "azure":
      return await openAzure(config, shared);
    case "gcs":
      return await openGcs(config, shared);
    case "file":
      return openFolder(config);
  }
}

function openFolder(config: FileConfig): ObjectStore {
  const prefix = joinKey(config.prefix);
  return createFileStore(prefix === "" ? config.path : `${config.path.replace(/\/+$/, "")}/${prefix}`);
}

async function openS3(config: S3Config, shared: Shared): Promise<ObjectStore> {
  const credentials = await keysOf(config);
  const fromFiles = [config.access_key_id_file, config.secret_access_key_file, config.session_token_file]
    .some((file) => file !== undefined);
  const lent = config.assume_role !== undefined || config.profile !== undefined;
  const tls = { ca: await readText(config.tls.ca_file, "tls.ca_file"), insecure: config.tls.insecure };
  const url = config.endpoint ?? `https://s3.${config.region}.amazonaws.com`;
  const agents = await agentsFor(url, tls);
  // The usual AWS sources, which ask STS by the store's own agents unless they are given others.
  const chained = !lent && !fromFiles && credentials === undefined && proxyFor(url) !== proxyFor(stsOf(config));
  // The largest of the clients: whoever needs no bucket does without.
  const { createS3Store } = await import("./s3.ts");
  return createS3Store({
    endpoint: config.endpoint,
    bucket: config.bucket,
    prefix: config.prefix,
    region: config.region,
    credentials: lent ? undefined : credentials,
    ...(lent || chained ? { provider: await providerOf(config, tls) } : {}),
    ...(fromFiles && !lent ? { reread: () => keysOf(config) } : {}),
    pathStyle: config.path_style,
    sse: await encryptionOf(config.sse),
    tls,
    ...(agents === undefined ? {} : { agents }),
    maxConcurrency: config.max_concurrency,
    ...shared,
  });
}

async function encryptionOf({ mode, kms_key_id, customer_key_file }: S3Config["sse"]): Promise<S3Encryption> {
  switch (mode) {
    case "none":
    case "sse-s3":
      return { mode };
    case "sse-kms":
      return { mode, ...(kms_key_id === undefined ? {} : { kmsKeyId: kms_key_id }) };
    case "sse-c":
      return { mode, key: (await readCustomerKey(customer_key_file, "sse.customer_key_file"))! };
  }
}

/** Undefined where the environment names no proxy for `url`. */
async function agentsFor(url: string, tls: TunnelTls): Promise<ProxyAgents | undefined> {
  return isProxied(url) ? (await import("./proxy_agents.ts")).proxyAgents(url, tls) : undefined;
}

function stsOf({ assume_role: role, region }: S3Config): string {
  return role?.sts_endpoint ?? (Deno.env.get("AWS_ENDPOINT_URL_STS") || `https://sts.${region}.amazonaws.com`);
}

async function providerOf(config: S3Config, tls: TunnelTls): Promise<S3KeyProvider> {
  const { createS3KeyProvider } = await import("./s3_login.ts");
  const { assume_role: role, profile, region } = config;
  // An STS of one's own has the store's authority, or a public one; AWS' has a public one.
  const agents = role?.sts_endpoint === undefined
    ? await agentsFor(stsOf(config), { ca: undefined, insecure: false })
    : await agentsFor(role.sts_endpoint, tls) ?? (await import("./proxy_agents.ts")).directAgents(tls);
  return createS3KeyProvider({
    region,
    ...(agents === undefined ? {} : { agents }),
    ...(profile === undefined ? {} : { profile }),
    keys: () => keysOf(config),
    ...(role === undefined ? {} : {
      role: {
        arn: role.role_arn,
        sessionName: role.session_name,
        durationSecs: Math.floor(role.duration / 1000),
        ...(role.external_id === undefined ? {} : { externalId: role.external_id }),
        ...(role.web_identity_token_file === undefined ? {} : { tokenFile: role.web_identity_token_file }),
        ...(role.sts_endpoint === undefined ? {} : { stsEndpoint: role.sts_endpoint }),
      },
    }),
  });
}

async function keysOf(config: S3Config): Promise<S3Keys | undefined> {
  const accessKeyId = await readSecret(config.access_key_id, config.access_key_id_file);
  const secretAccessKey = await readSecret(config.secret_access_key, config.secret_access_key_file);
  const sessionToken = await readSecret(config.session_token, config.session_token_file);
  if (accessKeyId === undefined || secretAccessKey === undefined) return undefined;
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
}
