/** Config of a container of Azure Blob Storage. */
import { z } from "zod";
import { checkCustomerKey } from "./customer_key_spec.ts";

const identity = z.strictObject({
  type: z.enum(["default", "managed", "workload", "client_secret"]).default("default").describe(
    "default: what the environment offers; managed: of this machine; workload: of a pod in AKS; client_secret: of an application",
  ),
  tenant_id: z.string().min(1).optional().describe("Tenant (directory) of the application"),
  client_id: z.string().min(1).optional().describe("Application, or user-assigned identity; left out for the system's"),
  client_secret: z.string().min(1).optional().meta({ secret: true }).describe("Secret of the application"),
  client_secret_file: z.string().min(1).optional().describe("File that holds the secret of the application"),
  token_file: z.string().min(1).optional().describe("File with the pod's token, for workload"),
  authority: z.url({ protocol: /^https$/ }).optional().describe(
    "URL of Entra ID in a sovereign cloud, for example https://login.chinacloudapi.cn",
  ),
}).superRefine((config, context) => {
  const issue = (key: string, message: string) => context.addIssue({ code: "custom", path: [key], message });
  if (config.client_secret !== undefined && config.client_secret_file !== undefined) {
    issue("client_secret_file", "client_secret and client_secret_file exclude each other");
  }
  const secret = config.client_secret ?? config.client_secret_file;
  if (config.type !== "client_secret") {
    if (secret !== undefined) issue("type", "A client secret needs type: client_secret");
    return;
  }
  for (const key of ["tenant_id", "client_id"] as const) {
    if (config[key] === undefined) issue(key, `type: client_secret needs ${key}`);
  }
  if (secret === undefined) issue("client_secret", "type: client_secret needs client_secret or client_secret_file");
});

/** The keys of `type: azure` but for where in the container to look; components add `prefix` or `root_path` themselves. */
export const azureShape = {
  type: z.literal("azure").describe("A container of Azure Blob Storage"),
  account: z.string().min(1).optional().describe("Name of the storage account; a connection string holds it"),
  endpoint: z.url({ protocol: /^https?$/ }).optional().describe(
    "URL of the blob service; left out for https://ACCOUNT.blob.core.windows.net. For Azurite http://host:10000/ACCOUNT",
  ),
  container: z.string().min(1).describe("Name of the container"),
  account_key: z.string().min(1).optional().meta({ secret: true }).describe(
    "Key of the account; without key, SAS, connection string and identity the environment's are taken (AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_KEY, AZURE_STORAGE_SAS_TOKEN), else what Entra ID's usual sources give",
  ),
  account_key_file: z.string().min(1).optional().describe("File that holds the key of the account"),
  sas_token: z.string().min(1).optional().meta({ secret: true }).describe("Shared access signature: sv=…&sig=…"),
  sas_token_file: z.string().min(1).optional().describe("File that holds the shared access signature"),
  connection_string: z.string().min(1).optional().meta({ secret: true }).describe("As the portal shows it"),
  connection_string_file: z.string().min(1).optional().describe("File that holds the connection string"),
  identity: identity.optional().describe("Login by Entra ID instead of a key"),
  encryption_scope: z.string().min(1).optional().describe(
    "Encryption scope of each write: a key of your own in Key Vault; left out for the account's own",
  ),
  customer_key_file: z.string().min(1).optional().describe(
    "File with a key of your own, which goes with each read and write: 32 bytes, plain, in base64 or in hexadecimal. Who loses it loses the objects",
  ),
  tls: z.strictObject({
    ca_file: z.string().min(1).optional().describe("PEM file with the certificate authority of the server"),
    insecure: z.boolean().default(false).describe("Accept any certificate; for tests only"),
  }).prefault({}).describe("Certificates, where the endpoint is https"),
  max_concurrency: z.int().min(1).max(1024).default(32).describe(
    "Requests that may be open at once; streams not counted",
  ),
} as const;

const SECRETS = ["account_key", "sas_token", "connection_string"] as const;

type AzureLogin =
  & { account?: string | undefined; endpoint?: string | undefined; identity?: unknown }
  & { customer_key_file?: string | undefined; encryption_scope?: string | undefined }
  & { [key in (typeof SECRETS)[number] | `${(typeof SECRETS)[number]}_file`]?: string | undefined };

/** Says what is wrong with the login. For `superRefine` of every schema made of {@link azureShape}. */
export function checkAzureLogin(config: AzureLogin, context: z.RefinementCtx): void {
  const issue = (key: string, message: string) => context.addIssue({ code: "custom", path: [key], message });
  checkCustomerKey(
    {
      file: config.customer_key_file,
      endpoint: config.endpoint,
      ...(config.encryption_scope === undefined ? {} : { other: "encryption_scope" }),
    },
    ["customer_key_file"],
    context,
  );
  const given: string[] = config.identity === undefined ? [] : ["identity"];
  for (const key of SECRETS) {
    if (config[key] !== undefined && config[`${key}_file`] !== undefined) {
      issue(`${key}_file`, `${key} and ${key}_file exclude each other`);
    } else if (config[key] !== undefined) given.push(key);
    else if (config[`${key}_file`] !== undefined) given.push(`${key}_file`);
  }
  if (given.length > 1) issue(given[1]!, `${given.join(" and ")} exclude each other: keep one`);
  const named = config.account !== undefined || config.endpoint !== undefined;
  if (!named && given.length > 0 && !given[0]!.startsWith("connection_string")) {
    issue("account", `${given[0]} needs account (or endpoint)`);
  }
  if (config.account === undefined && given[0]?.startsWith("account_key")) {
    issue("account", "account_key needs account");
  }
}
