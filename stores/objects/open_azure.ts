/** From the config of an Azure container to a store. */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { ObjectStore } from "../../pipeline/model/mod.ts";
import type { AzureLogin, AzureStoreOptions } from "./azure.ts";
import { readCustomerKey } from "./customer_key.ts";
import { keepMetadataDirect } from "./metadata_hosts.ts";
import { readSecret, readText } from "./secret_file.ts";
import type { AzureConfig } from "./spec.ts";

type Environment = (name: string) => string | undefined;

export async function openAzure(
  config: AzureConfig,
  shared: Pick<AzureStoreOptions, "uploads">,
): Promise<ObjectStore> {
  const { account_key_file, sas_token_file, connection_string_file, identity } = config;
  const fromFile = [account_key_file, sas_token_file, connection_string_file, identity?.client_secret_file]
    .some((file) => file !== undefined);
  const tls = { ca: await readText(config.tls.ca_file, "tls.ca_file"), insecure: config.tls.insecure };
  const login = await azureLogin(config, tls);
  keepMetadataDirect();
  const { createAzureStore } = await import("./azure.ts");
  const customerKey = await readCustomerKey(config.customer_key_file, "customer_key_file");
  return createAzureStore({
    endpoint: login.kind === "connection_string" ? undefined : azureEndpoint(config),
    container: config.container,
    prefix: config.prefix,
    login,
    ...(fromFile ? { reread: () => azureLogin(config, tls) } : {}),
    ...(customerKey === undefined ? {} : { customerKey }),
    ...(config.encryption_scope === undefined ? {} : { encryptionScope: config.encryption_scope }),
    tls,
    maxConcurrency: config.max_concurrency,
    ...shared,
  });
}

/** The login that the config names, else the environment's, else whatever Entra ID gives to this process. */
export async function azureLogin(
  config: AzureConfig,
  tls?: { ca: string | undefined },
  env: Environment = (name) => Deno.env.get(name),
): Promise<AzureLogin> {
  const { identity } = config;
  if (identity !== undefined) {
    const clientSecret = await readSecret(identity.client_secret, identity.client_secret_file);
    return {
      kind: "identity",
      identity: {
        type: identity.type,
        ...(identity.tenant_id === undefined ? {} : { tenantId: identity.tenant_id }),
        ...(identity.client_id === undefined ? {} : { clientId: identity.client_id }),
        ...(clientSecret === undefined ? {} : { clientSecret }),
        ...(identity.token_file === undefined ? {} : { tokenFile: identity.token_file }),
        ...(identity.authority === undefined ? {} : { authority: identity.authority }),
        ...(tls === undefined ? {} : { tls: { ca: tls.ca } }),
      },
    };
  }
  const key = await readSecret(config.account_key, config.account_key_file);
  if (key !== undefined) return { kind: "key", account: config.account!, key };
  const token = await readSecret(config.sas_token, config.sas_token_file);
  if (token !== undefined) return { kind: "sas", token };
  const text = await readSecret(config.connection_string, config.connection_string_file);
  if (text !== undefined) return { kind: "connection_string", text };

  const named = config.account !== undefined || config.endpoint !== undefined;
  const given = { text: env("AZURE_STORAGE_CONNECTION_STRING"), account: env("AZURE_STORAGE_ACCOUNT") };
  if (!named && given.text) return { kind: "connection_string", text: given.text };
  const account = config.account ?? given.account;
  const [envKey, envToken] = [env("AZURE_STORAGE_KEY"), env("AZURE_STORAGE_SAS_TOKEN")];
  if (account !== undefined && envKey) return { kind: "key", account, key: envKey };
  if (envToken) return { kind: "sas", token: envToken };
  return { kind: "identity", identity: { type: "default", ...(tls === undefined ? {} : { tls: { ca: tls.ca } }) } };
}

/** URL of the blob service. Throws `config` where nothing says it. */
export function azureEndpoint(config: AzureConfig, env: Environment = (name) => Deno.env.get(name)): string {
  if (config.endpoint !== undefined) return config.endpoint.replace(/\/+$/, "");
  const account = config.account ?? env("AZURE_STORAGE_ACCOUNT");
  if (account !== undefined) return `https://${account}.blob.core.windows.net`;
  throw new TidemarkError("config", `The container ${config.container} has no account`, {
    hint: "Give account, endpoint or connection_string, or set AZURE_STORAGE_ACCOUNT.",
  });
}
