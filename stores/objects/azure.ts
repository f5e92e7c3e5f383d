/** A container of Azure Blob Storage as an object store. */
import type { ObjectInfo, ObjectStore, PutOptions } from "../../pipeline/model/mod.ts";
import {
  agentOf,
  type AzureStoreOptions,
  BlobSASPermissions,
  type BlockBlobClient,
  bodyOf,
  type ContainerClient,
  cpkOf,
  download,
  generateBlobSASQueryParameters,
  listContainers,
  serviceClient,
  StorageSharedKeyCredential,
} from "./azure_client.ts";
import { withinAnswer } from "./answer_limit.ts";
import { azureCode, azureError, azureStatus, isAzureRefusal, isNoBlob, isNoContainer } from "./azure_error.ts";
import { type AzureTarget, putBlob, unquoted } from "./azure_upload.ts";
import { createServerClock } from "./clock.ts";
import type { CustomerKey } from "./customer_key.ts";
import { createGate } from "./gate.ts";
import { guardedStream } from "./guarded_stream.ts";
import { inKeyOrder } from "./key_order.ts";
import { compareKeys, joinKey, validateKey, validatePrefix } from "./key.ts";
import type { Mannered } from "./manners.ts";
import { readBody, readChunks } from "./reading.ts";
import { createRotating } from "./rotating.ts";
import { undecorated } from "./undecorated.ts";
import { createUploadMemory } from "./upload_memory.ts";

export type { AzureLogin, AzureStoreOptions } from "./azure_client.ts";

const DELETES_AT_ONCE = 16;
const LIST_PAGE = 5000;
/** So long the service may take for what it is asked, ms: a block of 16 MiB over a slow line. */
const ANSWER_MS = 600_000;
/** A copy across accounts reads by a signature that must outlive it. */
const SIGNATURE_HOURS = 24;

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
  const limits = { ...options, memory: options.uploads ?? createUploadMemory() };
  const agent = agentOf(options);
  const rotating = createRotating({
    credentials: options.login,
    make: (login) => serviceClient(login, options, agent),
    reread: options.reread,
    isRefusal: isAzureRefusal,
    // A token that was withdrawn before its time: the identity's client would give it out until then.
    isStale: (thrown) => options.login.kind === "identity" && azureStatus(thrown) === 401,
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
  const answer = <T>(signal: AbortSignal | undefined, send: (abortSignal: AbortSignal) => Promise<T>): Promise<T> =>
    withinAnswer(signal, options.answerMs ?? ANSWER_MS, send);
  const paging = (continuationToken: string | undefined) => ({
    maxPageSize: options.listPage ?? LIST_PAGE,
    ...(continuationToken === undefined ? {} : { continuationToken }),
  });

  const head = (key: string, signal?: AbortSignal): Promise<ObjectInfo | undefined> => {
    validateKey(key);
    return request(key, signal, async (client) => {
      try {
        const found = await answer(
          signal,
          (abortSignal) => blob(client, key).getProperties({ abortSignal, ...reading }),
        );
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

  const put = (
    each: Sender,
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    putOptions: PutOptions,
    signal: AbortSignal | undefined,
  ): Promise<ObjectInfo> => {
    const by: AzureTarget["by"] = (send) =>
      each((client) => answer(signal, (abortSignal) => send(blob(client, key), abortSignal)));
    return putBlob({ key, by, reading, scope }, body, putOptions, limits, signal);
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
          const start = range?.start ?? 0;
          const found = await answer(signal, (slow) => download(blob(client, key), start, count, slow, reading));
          return await readBody(bodyOf(found), found.contentLength, signal);
        } catch (thrown) {
          if (azureCode(thrown) === "InvalidRange") return new Uint8Array();
          throw thrown;
        }
      });
    },
    async *stream(key, signal) {
      validateKey(key);
      const found = await request(
        key,
        signal,
        (client) => answer(signal, (slow) => download(blob(client, key), 0, undefined, slow, reading)),
      );
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
      // The service's copy knows of no keys of a customer's, on either side, and of no encryption scope: the caller streams.
      if (customerKey !== undefined || other.customerKey !== undefined || options.encryptionScope !== undefined) {
        if (await source.head(sourceKey, signal) !== undefined) return undefined;
        throw azureError({ statusCode: 404, code: "BlobNotFound" }, from);
      }
      const url = await other.copySource(sourceKey, endpoint);
      if (url === undefined) return undefined;
      try {
        return await request(key, signal, async (client) => {
          const target = blob(client, key);
          const abort = signal === undefined ? {} : { abortSignal: signal };
          const poller = await target.beginCopyFromURL(url, { ...abort, intervalInMs: 500 });
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
          const page = await request(undefined, signal, (client) =>
            answer(signal, (abortSignal) => {
              const from = listPrefix(prefix, below);
              const listing = client.listBlobsFlat({ prefix: from, includeMetadata: true, abortSignal });
              return onePage(listing.byPage(paging(continuationToken)));
            }));
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
        const page = await request(undefined, signal, (client) =>
          answer(signal, (abortSignal) => {
            const listing = client.listBlobsByHierarchy("/", { prefix: listPrefix(prefix, below), abortSignal });
            return onePage(listing.byPage(paging(continuationToken)));
          }));
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
              const target = blob(client, key);
              await answer(signal, (abortSignal) => target.delete({ deleteSnapshots: "include", abortSignal }));
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

/** Without the slash, a prefix `a` would also list what is below `ab`. */
function listPrefix(prefix: string, below: string): string {
  if (prefix === "") return below;
  return `${prefix}/${below}`;
}

async function onePage<Page>(pages: AsyncIterableIterator<Page>): Promise<Page> {
  const found = await pages.next();
  return found.value as Page;
}

/** With a hierarchical namespace, folders are blobs that say so. */
function isFolder(metadata: Record<string, string> | undefined): boolean {
  return metadata?.hdi_isfolder === "true";
}

/** Without a signature and the slash at the end. */
function plainUrl(url: string): string {
  return url.replace(/\?.*$/, "").replace(/\/+$/, "");
}
