/** A container of Azure Blob Storage as an object store. The only importer of the storage client. */
import { guardedStream } from "./guarded_stream.ts";
import {
  type BlobClient,
  type BlobDownloadResponseParsed,
  type BlobGetPropertiesResponse,
  BlobSASPermissions,
  BlobServiceClient,
  type BlockBlobClient,
  type ContainerClient,
  type CpkInfo,
  generateBlobSASQueryParameters,
  type StoragePipelineOptions,
  StorageSharedKeyCredential,
} from "@azure/storage-blob";
import { createHash } from "node:crypto";
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { ObjectInfo, ObjectStore, PutOptions } from "../../pipeline/model/mod.ts";
import { azureCode, azureError, isAzureRefusal, isNoBlob, isNoContainer } from "./azure_error.ts";
import { type AzureIdentityOptions, createAzureIdentity } from "./azure_identity.ts";
import { sendBlocks } from "./blocks.ts";
import { createServerClock } from "./clock.ts";
import type { CustomerKey } from "./customer_key.ts";
import { createGate } from "./gate.ts";
import { inKeyOrder } from "./key_order.ts";
import { compareKeys, joinKey, validateKey, validatePrefix } from "./key.ts";
import type { Mannered } from "./manners.ts";
import { isProxied } from "./proxy.ts";
import { proxyAgents } from "./proxy_agents.ts";
import { readBody, readChunks } from "./reading.ts";
import { createRotating } from "./rotating.ts";
import { undecorated } from "./undecorated.ts";

/** A stream is sent in blocks of this size, so that 50 000 of them reach 800 GB; so many are in memory. */
const BLOCK_BYTES = 16 * 1024 ** 2;
const BLOCKS_MAX = 50_000;
const BLOCKS_AT_ONCE = 3;
const DELETES_AT_ONCE = 16;
const LIST_PAGE = 5000;
const REQUEST_TRIES = 3;
/** Metadata of a conditional write: which write it was. */
const MARK = "tidemarkwrite";
/** What the service says where a blob is there, or blocks are gone with the commit that took them. */
const TAKEN = /^(BlobAlreadyExists|ConditionNotMet|TargetConditionNotMet|InvalidBlockList)$/;
/** A copy across accounts reads by a signature that must outlive it. */
const SIGNATURE_HOURS = 24;

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
  /** Of streams; smaller values are for tests. */
  blockBytes?: number;
  blocksMax?: number;
  /** Objects that one answer of a listing holds; a smaller value is for tests. */
  listPage?: number;
}

/** One request by a client of the container. */
type Sender = <T>(send: (client: ContainerClient) => Promise<T>) => Promise<T>;

interface AzureStore extends ObjectStore, Mannered {
  readonly endpoint: string;
  /** The container: what is a bucket elsewhere. */
  readonly bucket: string;
  readonly prefix: string;
  readonly customerKey: CustomerKey | undefined;
  /** The URL by which the service itself may read an object for a copy into `into`; undefined where there is none. */
  copySource(key: string, into: string): Promise<string | undefined>;
}

export function createAzureStore(options: AzureStoreOptions): ObjectStore {
  const { container } = options;
  const prefix = joinKey(options.prefix);
  const gate = createGate(options.maxConcurrency);
  const agent = agentOf(options);
  const rotating = createRotating({
    credentials: options.login,
    make: (login) => serviceClient(login, options, agent),
    reread: options.reread,
    isRefusal: isAzureRefusal,
    close: () => {},
  });
  const endpoint = plainUrl(rotating.client.url);
  const clock = createServerClock();
  let containers: readonly string[] | undefined;
  const { customerKey } = options;
  /** Of reads as well as writes. */
  const reading = customerKey === undefined ? {} : { customerProvidedKey: cpkOf(customerKey) };
  const scope = {
    ...reading,
    ...(options.encryptionScope === undefined ? {} : { encryptionScope: options.encryptionScope }),
  };

  const full = (key: string): string => prefix === "" ? key : `${prefix}/${key}`;
  const own = (key: string): string => prefix === "" ? key : key.slice(prefix.length + 1);
  const place = (key?: string) => ({
    container,
    endpoint,
    customerKey: customerKey !== undefined,
    ...(key === undefined ? {} : { key: full(key) }),
  });
  /** By a client of its container; once more by another one where the login is refused and there is a new one. */
  const each: Sender = (send) => rotating.run((service) => send(service.getContainerClient(container)));
  const request = <T>(
    key: string | undefined,
    signal: AbortSignal | undefined,
    send: (client: ContainerClient) => Promise<T>,
  ): Promise<T> => mapped(key, signal, () => gate.run(() => each(send), signal));
  /** Maps what `task` throws. */
  const mapped = async <T>(
    key: string | undefined,
    signal: AbortSignal | undefined,
    task: () => Promise<T>,
  ): Promise<T> => {
    signal?.throwIfAborted();
    try {
      return await task();
    } catch (thrown) {
      if (isNoContainer(thrown)) containers ??= await listContainers(rotating.client);
      throw azureError(thrown, { ...place(key), containers }, signal);
    }
  };
  const blob = (client: ContainerClient, key: string): BlockBlobClient => client.getBlockBlobClient(full(key));
  const abort = (signal: AbortSignal | undefined) => signal === undefined ? {} : { abortSignal: signal };
  const paging = (continuationToken: string | undefined) => ({
    maxPageSize: options.listPage ?? LIST_PAGE,
    ...(continuationToken === undefined ? {} : { continuationToken }),
  });

  const head = (key: string, signal?: AbortSignal): Promise<ObjectInfo | undefined> => {
    validateKey(key);
    return request(key, signal, async (client) => {
      try {
        const found = await blob(client, key).getProperties({ ...abort(signal), ...reading });
        clock.heard(found.date);
        if (isFolder(found.metadata)) return undefined;
        return {
          key,
          size: BigInt(found.contentLength ?? 0),
          etag: unquoted(found.etag),
          modifiedMs: found.lastModified?.getTime() ?? 0,
        };
      } catch (thrown) {
        if (isNoBlob(thrown)) return undefined;
        throw thrown;
      }
    });
  };

  const put = async (
    each: Sender,
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    putOptions: PutOptions,
    signal: AbortSignal | undefined,
  ): Promise<ObjectInfo> => {
    const by = <T>(send: (target: BlockBlobClient) => Promise<T>) => each((client) => send(blob(client, key)));
    const mark = crypto.randomUUID();
    const common = {
      ...abort(signal),
      ...scope,
      ...(putOptions.ifAbsent ? { conditions: { ifNoneMatch: "*" }, metadata: { [MARK]: mark } } : {}),
    };
    /** The client tries again by itself: what is there already may be what a try wrote whose answer was lost. */
    const unlessOwn = async <T>(
      send: (target: BlockBlobClient) => Promise<T>,
    ): Promise<T | BlobGetPropertiesResponse> => {
      try {
        return await by(send);
      } catch (thrown) {
        if (putOptions.ifAbsent !== true || !TAKEN.test(azureCode(thrown))) throw thrown;
        const found = await by((target) => target.getProperties({ ...abort(signal), ...reading })).catch(() =>
          undefined
        );
        if (found?.metadata?.[MARK] !== mark) throw thrown;
        return found;
      }
    };
    const headers = putOptions.contentType === undefined ? {} : { blobContentType: putOptions.contentType };
    const whole = async (bytes: Uint8Array) => {
      const md5 = createHash("md5").update(bytes).digest();
      const done = await unlessOwn((target) =>
        target.upload(bytes, bytes.length, {
          ...common,
          transactionalContentMD5: new Uint8Array(md5),
          blobHTTPHeaders: { ...headers, blobContentMD5: new Uint8Array(md5) },
        })
      );
      return infoOf(key, BigInt(bytes.length), done);
    };
    if (body instanceof Uint8Array) return await whole(body);
    // Of this upload alone: two writers of one key must not mix their blocks. What is left of a failed one the service
    // removes within a week; nobody sees it.
    const upload = crypto.randomUUID();
    const md5 = createHash("md5");
    const ids: string[] = [];
    let size = 0n;
    const limits = {
      bytes: options.blockBytes ?? BLOCK_BYTES,
      atOnce: BLOCKS_AT_ONCE,
      most: options.blocksMax ?? BLOCKS_MAX,
      signal,
    };
    const only = await sendBlocks(body, limits, (bytes, index) => {
      const id = btoa(`${upload}-${String(index).padStart(6, "0")}`);
      ids.push(id);
      size += BigInt(bytes.length);
      md5.update(bytes);
      const transactionalContentMD5 = new Uint8Array(createHash("md5").update(bytes).digest());
      return by((target) =>
        target.stageBlock(id, bytes, bytes.length, { ...abort(signal), ...scope, transactionalContentMD5 })
      );
    });
    if (only !== undefined) return await whole(only);
    const blobHTTPHeaders = { ...headers, blobContentMD5: new Uint8Array(md5.digest()) };
    const done = await unlessOwn((target) => target.commitBlockList(ids, { ...common, blobHTTPHeaders }));
    return infoOf(key, size, done);
  };

  const store: AzureStore = {
    location: `azure://${joinKey(container, prefix)}@${endpoint}`,
    endpoint,
    bucket: container,
    prefix,
    customerKey,
    head,
    async get(key, range, signal) {
      validateKey(key);
      if (range !== undefined && range.end <= range.start) {
        if (await head(key, signal) !== undefined) return new Uint8Array();
        throw azureError({ statusCode: 404, code: "BlobNotFound" }, place(key));
      }
      return await request(key, signal, async (client) => {
        try {
          const count = range === undefined ? undefined : range.end - range.start;
          const found = await download(blob(client, key), range?.start ?? 0, count, signal, reading);
          return await readBody(bodyOf(found), found.contentLength, signal);
        } catch (thrown) {
          if (azureCode(thrown) === "InvalidRange") return new Uint8Array();
          throw thrown;
        }
      });
    },
    async *stream(key, signal) {
      validateKey(key);
      const found = await request(key, signal, (client) => download(blob(client, key), 0, undefined, signal, reading));
      try {
        yield* readChunks(bodyOf(found), found.contentLength, signal);
      } catch (thrown) {
        throw azureError(thrown, place(key), signal);
      }
    },
    async put(key, body, putOptions = {}, signal) {
      validateKey(key);
      const whole = body instanceof Uint8Array;
      // A stream is used up by its first try: what its source throws is no error of the service, and nothing is repeated.
      if (whole) {
        return await request(key, signal, (client) => put((send) => send(client), key, body, putOptions, signal));
      }
      const guarded = guardedStream(body);
      try {
        // Not through the gate, which its source may need itself; each piece is a request of its own.
        return await mapped(key, signal, () => put(each, key, guarded.body, putOptions, signal));
      } catch (error) {
        guarded.throwIfBroken(signal);
        // The other writer's commit has taken this one's blocks away with it.
        const taken = azureCode((error as Error).cause) === "InvalidBlockList";
        if (taken && putOptions.ifAbsent === true && await head(key, signal) !== undefined) {
          throw azureError({ statusCode: 412, code: "ConditionNotMet" }, place(key));
        }
        throw error;
      }
    },
    async copySource(key, into) {
      const { client } = rotating;
      const { url } = client.getContainerClient(container).getBlobClient(full(key));
      // A signature in the URL is read by; within an account the request's own login is.
      if (new URL(url).search !== "" || into === endpoint) return url;
      if (!(client.credential instanceof StorageSharedKeyCredential)) return undefined;
      const signature = generateBlobSASQueryParameters({
        containerName: container,
        blobName: full(key),
        permissions: BlobSASPermissions.parse("r"),
        expiresOn: new Date(Date.now() + SIGNATURE_HOURS * 3_600_000),
      }, client.credential);
      return `${url}?${signature}`;
    },
    async copyFrom(source, sourceKey, key, signal) {
      const other = undecorated(source) as Partial<AzureStore>;
      if (other.copySource === undefined) return undefined;
      validateKey(key);
      validateKey(sourceKey);
      const from = { container: other.bucket!, endpoint: other.endpoint!, key: joinKey(other.prefix!, sourceKey) };
      // The service's copy knows of no keys of a customer's, on either side: the caller streams.
      if (customerKey !== undefined || other.customerKey !== undefined) {
        if (await source.head(sourceKey, signal) !== undefined) return undefined;
        throw azureError({ statusCode: 404, code: "BlobNotFound" }, from);
      }
      const url = await other.copySource(sourceKey, endpoint);
      if (url === undefined) return undefined;
      try {
        return await request(key, signal, async (client) => {
          const target = blob(client, key);
          const poller = await target.beginCopyFromURL(url, { ...abort(signal), ...scope, intervalInMs: 500 });
          const stop = () => poller.stopPolling();
          signal?.addEventListener("abort", stop, { once: true });
          try {
            return { etag: unquoted((await poller.pollUntilDone()).etag) };
          } catch (thrown) {
            // Half a copy is a blob already.
            const { copyId } = poller.getOperationState() as { copyId?: string };
            if (copyId !== undefined) await target.abortCopyFromURL(copyId).catch(() => {});
            await target.deleteIfExists().catch(() => {});
            throw thrown;
          } finally {
            signal?.removeEventListener("abort", stop);
          }
        });
      } catch (error) {
        const code = azureCode((error as Error).cause);
        // What is not there is the source.
        if (code === "BlobNotFound" || code === "ResourceNotFound") {
          throw azureError({ statusCode: 404, code: "BlobNotFound" }, from);
        }
        // The service may not read there, or has no copy: the caller streams.
        const cannot = code === "CannotVerifyCopySource" || code === "CopyAcrossAccountsNotSupported" ||
          code === "NotImplemented" || code === "APINotImplemented";
        if (!cannot && !isAzureRefusal((error as Error).cause)) throw error;
        if (await source.head(sourceKey, signal) === undefined) {
          throw azureError({ statusCode: 404, code: "BlobNotFound" }, from);
        }
        return undefined;
      }
    },
    list(below, signal) {
      validatePrefix(below);
      async function* pages() {
        let continuationToken: string | undefined;
        do {
          const page = await request(undefined, signal, (client) => {
            const listing = client.listBlobsFlat({
              prefix: listPrefix(prefix, below),
              includeMetadata: true,
              ...abort(signal),
            });
            return onePage(listing.byPage(paging(continuationToken)));
          });
          yield page.segment.blobItems
            .filter(({ name, metadata, deleted }) => !name.endsWith("/") && !isFolder(metadata) && deleted !== true)
            .map((found): ObjectInfo => ({
              key: own(found.name),
              size: BigInt(found.properties.contentLength ?? 0),
              etag: unquoted(found.properties.etag),
              modifiedMs: found.properties.lastModified.getTime(),
            }));
          continuationToken = page.continuationToken || undefined;
        } while (continuationToken !== undefined);
      }
      return inKeyOrder(pages(), store.location);
    },
    async folders(below, signal) {
      validatePrefix(below);
      const names = new Set<string>();
      let continuationToken: string | undefined;
      do {
        const page = await request(undefined, signal, (client) => {
          const listing = client.listBlobsByHierarchy("/", { prefix: listPrefix(prefix, below), ...abort(signal) });
          return onePage(listing.byPage(paging(continuationToken)));
        });
        for (const { name } of page.segment.blobPrefixes ?? []) names.add(name.slice(0, -1).split("/").at(-1)!);
        continuationToken = page.continuationToken || undefined;
      } while (continuationToken !== undefined);
      return [...names].sort(compareKeys);
    },
    async delete(keys, signal) {
      keys.forEach(validateKey);
      let next = 0;
      const worker = async () => {
        while (next < keys.length) {
          const key = keys[next++]!;
          await request(key, signal, async (client) => {
            try {
              await blob(client, key).delete({ deleteSnapshots: "include", ...abort(signal) });
            } catch (thrown) {
              if (!isNoBlob(thrown)) throw thrown;
            }
          });
        }
      };
      await Promise.all(Array.from({ length: Math.min(DELETES_AT_ONCE, keys.length) }, worker));
    },
    async manners(key, _writes, signal) {
      await head(key, signal);
      return [];
    },
    clockAheadMs: clock.aheadMs,
    async close() {
      rotating.close();
      agent?.destroy();
    },
  };
  return store;
}

/** Also where a proxy is in between: the agent that the client then makes by itself knows no certificate authority of one's own. */
function agentOf({ endpoint, login, tls }: AzureStoreOptions): HttpAgent | HttpsAgent {
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

function serviceClient(
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
function download(
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

function cpkOf({ base64, sha256 }: CustomerKey): CpkInfo {
  return { encryptionKey: base64, encryptionKeySha256: sha256, encryptionAlgorithm: "AES256" };
}

function bodyOf(found: BlobDownloadResponseParsed): AsyncIterable<Uint8Array> & { destroy(): unknown } {
  return found.readableStreamBody as unknown as AsyncIterable<Uint8Array> & { destroy(): unknown };
}

/** Without the slash, a prefix `a` would also list what is below `ab`. */
function listPrefix(prefix: string, below: string): string {
  if (prefix === "") return below;
  return `${prefix}/${below}`;
}

async function onePage<Page>(pages: AsyncIterableIterator<Page>): Promise<Page> {
  const found = await pages.next();
  return found.value as Page;
}

async function listContainers(client: BlobServiceClient): Promise<readonly string[] | undefined> {
  try {
    return (await Array.fromAsync(client.listContainers())).map((found) => found.name).sort();
  } catch {
    return undefined;
  }
}

/** With a hierarchical namespace, folders are blobs that say so. */
function isFolder(metadata: Record<string, string> | undefined): boolean {
  return metadata?.hdi_isfolder === "true";
}

function infoOf(key: string, size: bigint, done: { etag?: string; lastModified?: Date }): ObjectInfo {
  return { key, size, etag: unquoted(done.etag), modifiedMs: done.lastModified?.getTime() ?? Date.now() };
}

/** Without a signature and the slash at the end. */
function plainUrl(url: string): string {
  return url.replace(/\?.*$/, "").replace(/\/+$/, "");
}

function unquoted(etag: string | undefined): string {
  return etag?.replace(/^"|"$/g, "") ?? "";
}
