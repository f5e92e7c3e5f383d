/** From config to store. */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { ObjectStore } from "../../pipeline/model/mod.ts";
import { createFileStore } from "./file.ts";
import { joinKey } from "./key.ts";
import { type RetryOptions, withRetry } from "./retry.ts";
import type { S3Keys } from "./s3.ts";
import type { FileConfig, ObjectStoreConfig, S3Config } from "./spec.ts";

export interface OpenStoreOptions {
  /** Passed to the retry decorator; `false` leaves it out. */
  retry?: RetryOptions | false;
}

/** Opens the store of a checked config, with retries around it. Throws `config` for a secret's file that cannot be read. */
export async function openObjectStore(config: ObjectStoreConfig, options: OpenStoreOptions = {}): Promise<ObjectStore> {
  const store = config.type === "s3" ? await openS3(config) : openFolder(config);
  return options.retry === false ? store : withRetry(store, options.retry);
}

function openFolder(config: FileConfig): ObjectStore {
  const prefix = joinKey(config.prefix);
  return createFileStore(prefix === "" ? config.path : `${config.path.replace(/\/+$/, "")}/${prefix}`);
}

async function openS3(config: S3Config): Promise<ObjectStore> {
  const credentials = await keysOf(config);
  const fromFiles = [config.access_key_id_file, config.secret_access_key_file, config.session_token_file]
    .some((file) => file !== undefined);
  // The largest of the clients: whoever needs no bucket does without.
  const { createS3Store } = await import("./s3.ts");
  return createS3Store({
    endpoint: config.endpoint,
    bucket: config.bucket,
    prefix: config.prefix,
    region: config.region,
    credentials,
    ...(fromFiles ? { reread: () => keysOf(config) } : {}),
    pathStyle: config.path_style,
    sse: { mode: config.sse.mode, ...(config.sse.kms_key_id === undefined ? {} : { kmsKeyId: config.sse.kms_key_id }) },
    tls: { ca: await text(config.tls.ca_file, "tls.ca_file"), insecure: config.tls.insecure },
    maxConcurrency: config.max_concurrency,
  });
}

async function keysOf(config: S3Config): Promise<S3Keys | undefined> {
  const accessKeyId = await secret(config.access_key_id, config.access_key_id_file);
  const secretAccessKey = await secret(config.secret_access_key, config.secret_access_key_file);
  const sessionToken = await secret(config.session_token, config.session_token_file);
  if (accessKeyId === undefined || secretAccessKey === undefined) return undefined;
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
}

async function secret(value: string | undefined, file: string | undefined): Promise<string | undefined> {
  return value ?? (await text(file, "a *_file key"))?.trim();
}

async function text(file: string | undefined, key: string): Promise<string | undefined> {
  if (file === undefined) return undefined;
  try {
    return await Deno.readTextFile(file);
  } catch (cause) {
    throw new TidemarkError("config", `Cannot read the file ${file} that ${key} names`, {
      hint: "Create it, or give this process the right to read it.",
      cause,
    });
  }
}
