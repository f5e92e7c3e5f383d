/** The client of Azure Blob Storage as this program uses it. The only importer of it. */
import {
  type BlobClient,
  type BlobDownloadResponseParsed,
  BlobServiceClient,
  type CpkInfo,
  type StoragePipelineOptions,
  StorageSharedKeyCredential,
} from "@azure/storage-blob";
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { type AzureIdentityOptions, createAzureIdentity } from "./azure_identity.ts";
import type { CustomerKey } from "./customer_key.ts";
import { isProxied } from "./proxy.ts";
import { proxyAgents } from "./proxy_agents.ts";
import type { UploadMemory } from "./upload_memory.ts";

export {
  type BlobGetPropertiesResponse,
  BlobSASPermissions,
  type BlobServiceClient,
  type BlockBlobClient,
  type ContainerClient,
  type CpkInfo,
  generateBlobSASQueryParameters,
  StorageSharedKeyCredential,
} from "@azure/storage-blob";

const REQUEST_TRIES = 3;

export type AzureLogin =
  | { readonly kind: "key"; readonly account: string; readonly key: string }
  | { readonly kind: "sas"; readonly token: string }
  | { readonly kind: "connection_string"; readonly text: string }
  | { readonly kind: "identity"; readonly identity: AzureIdentityOptions };

export interface AzureStoreOptions {
  /** URL of the blob service; undefined with a connection string, which holds it. */
  endpoint: string | undefined;
  container: string;
  /** Keys below which everything is kept; empty: the whole container. */
  prefix: string;
  login: AzureLogin;
  /** The login as its files hold it now; asked for where the service refuses the one that it has. */
  reread?: () => Promise<AzureLogin>;
  encryptionScope?: string;
  customerKey?: CustomerKey;
  tls: { ca: string | undefined; insecure: boolean };
  /** Requests open at once, streams not counted. */
  maxConcurrency: number;
  /** Memory of uploads of streams, where stores share it. */
  uploads?: UploadMemory;
  /** Of streams; smaller values are for tests. */
  blockBytes?: number;
  blocksMax?: number;
  /** A request without an answer for so long has failed, ms; a smaller value is for tests. */
  answerMs?: number;
  /** Objects that one answer of a listing holds; a smaller value is for tests. */
  listPage?: number;
}

/** Also where a proxy is in between: the agent that the client then makes by itself knows no certificate authority of one's own. */
export function agentOf({ endpoint, login, tls }: AzureStoreOptions): HttpAgent | HttpsAgent {
  const url = login.kind === "connection_string" ? BlobServiceClient.fromConnectionString(login.text).url : endpoint!;
  if (isProxied(url)) {
    const { httpAgent, httpsAgent } = proxyAgents(url, tls);
    return url.startsWith("http://") ? httpAgent : httpsAgent;
  }
  if (url.startsWith("http://")) return new HttpAgent({ keepAlive: true, maxSockets: 4096 });
  return new HttpsAgent({
    keepAlive: true,
    maxSockets: 4096,
    rejectUnauthorized: !tls.insecure,
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
  });
}

export function serviceClient(
  login: AzureLogin,
  options: AzureStoreOptions,
  agent: HttpAgent | HttpsAgent,
): BlobServiceClient {
  // The agent goes to the client's core, whose options the storage client passes on without naming them.
  const pipeline: StoragePipelineOptions & { agent: unknown } = {
    retryOptions: { maxTries: REQUEST_TRIES, retryDelayInMs: 200, maxRetryDelayInMs: 2000 },
    agent,
  };
  switch (login.kind) {
    case "key":
      return new BlobServiceClient(
        options.endpoint!,
        new StorageSharedKeyCredential(login.account, login.key),
        pipeline,
      );
    case "sas":
      return new BlobServiceClient(`${options.endpoint}?${login.token.replace(/^\?/, "")}`, undefined, pipeline);
    case "connection_string":
      return BlobServiceClient.fromConnectionString(login.text, pipeline);
    case "identity":
      return new BlobServiceClient(options.endpoint!, createAzureIdentity(login.identity), pipeline);
  }
}

/** Without the client's own repetition of a broken body: the decorator of all stores continues it. */
export function download(
  client: BlobClient,
  offset: number,
  count: number | undefined,
  signal: AbortSignal | undefined,
  key: { readonly customerProvidedKey?: CpkInfo },
): Promise<BlobDownloadResponseParsed> {
  return client.download(offset, count, {
    ...key,
    maxRetryRequests: 0,
    ...(signal === undefined ? {} : { abortSignal: signal }),
  });
}

export function cpkOf({ base64, sha256 }: CustomerKey): CpkInfo {
  return { encryptionKey: base64, encryptionKeySha256: sha256, encryptionAlgorithm: "AES256" };
}

export function bodyOf(found: BlobDownloadResponseParsed): AsyncIterable<Uint8Array> & { destroy(): unknown } {
  return found.readableStreamBody as unknown as AsyncIterable<Uint8Array> & { destroy(): unknown };
}

export async function listContainers(client: BlobServiceClient): Promise<readonly string[] | undefined> {
  try {
    return (await Array.fromAsync(client.listContainers())).map((found) => found.name).sort();
  } catch {
    return undefined;
  }
}
