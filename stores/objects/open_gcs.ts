/** From the config of a bucket of Google Cloud Storage to a store. */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { ObjectStore } from "../../pipeline/model/mod.ts";
import { readCustomerKey } from "./customer_key.ts";
import { keepMetadataDirect } from "./metadata_hosts.ts";
import type { GcsStoreOptions } from "./gcs.ts";
import { readText } from "./secret_file.ts";
import type { GcsConfig } from "./spec.ts";

const ENDPOINT = "https://storage.googleapis.com";

export async function openGcs(config: GcsConfig, shared: Pick<GcsStoreOptions, "uploads">): Promise<ObjectStore> {
  keepMetadataDirect();
  const { createGcsStore } = await import("./gcs.ts");
  const login = config.anonymous ? "anonymous" : { credentials: await credentialsOf(config.credentials_file) };
  const customerKey = await readCustomerKey(config.customer_key_file, "customer_key_file");
  return createGcsStore({
    endpoint: (config.endpoint ?? ENDPOINT).replace(/\/+$/, ""),
    bucket: config.bucket,
    prefix: config.prefix,
    login,
    ...(config.credentials_file === undefined
      ? {}
      : { reread: async () => ({ credentials: await credentialsOf(config.credentials_file) }) }),
    ...(customerKey === undefined ? {} : { customerKey }),
    ...(config.kms_key_name === undefined ? {} : { kmsKeyName: config.kms_key_name }),
    tls: { ca: await readText(config.tls.ca_file, "tls.ca_file") },
    maxConcurrency: config.max_concurrency,
    ...shared,
  });
}

/** Throws `config` for a file that cannot be read or is no JSON: the client's own words would show a piece of it. */
async function credentialsOf(file: string | undefined): Promise<string | undefined> {
  const text = await readText(file, "credentials_file");
  if (text === undefined) return undefined;
  try {
    JSON.parse(text);
  } catch {
    throw new TidemarkError("config", `The file ${file} that credentials_file names is no JSON`, {
      hint: "Give the key file of a service account as Google's console made it.",
    });
  }
  return text;
}
