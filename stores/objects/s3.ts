/** An S3 bucket as an object store. */
import { Buffer } from "node:buffer";
import { TidemarkError } from "../../pipeline/errors.ts";
import type { ObjectInfo, ObjectStore, PutOptions } from "../../pipeline/model/mod.ts";
import type { Body } from "./body_reader.ts";
import { createServerClock } from "./clock.ts";
import type { CustomerKey } from "./customer_key.ts";
import { createGate } from "./gate.ts";
import { guardedStream } from "./guarded_stream.ts";
import { compareKeys, joinKey, validateKey, validatePrefix } from "./key.ts";
import type { Mannered } from "./manners.ts";
import { readBody, readChunks } from "./reading.ts";
import { copyObject, type CopySource, isNoCopy } from "./s3_copy.ts";
import { copiedWith, readWith, writtenWith } from "./s3_encryption.ts";
import { attemptsOf, isAbsent, isNoBucket, isRefusal, isStale, nameOf, s3Error, statusOf } from "./s3_error.ts";
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListObjectsCommand,
  openS3Client,
  type S3Client,
} from "./s3_client.ts";
import type { S3StoreOptions } from "./s3_options.ts";
import { s3ReadManners, s3WriteManners } from "./s3_manners.ts";
import { createS3Listing } from "./s3_listing.ts";
import { DELETE_BATCH, deleteBatch } from "./s3_delete.ts";
import { putStream, putWhole, type S3Target } from "./s3_upload.ts";
import { undecorated } from "./undecorated.ts";
import { createUploadMemory } from "./upload_memory.ts";

export type { S3KeyProvider, S3Keys, S3StoreOptions } from "./s3_options.ts";

interface S3Store extends ObjectStore, Mannered {
  readonly endpoint: string;
  readonly bucket: string;
  readonly prefix: string;
  /** Stores with the same account can copy from each other on the server. */
  readonly account: string;
  readonly customerKey?: CustomerKey;
}

export function createS3Store(options: S3StoreOptions): ObjectStore {
  const { bucket } = options;
  const prefix = joinKey(options.prefix);
  const endpoint = options.endpoint?.replace(/\/+$/, "") ?? `https://s3.${options.region}.amazonaws.com`;
  let { credentials } = options;
  const clock = createServerClock();
  const open = () => openS3Client(options, credentials, clock);
  let client = open();
  /** Their requests may still be under way. */
  const replaced: S3Client[] = [];
  const gate = createGate(options.maxConcurrency);
  const memory = options.uploads ?? createUploadMemory();
  const customerKey = options.sse.mode === "sse-c" ? options.sse.key : undefined;
  const [sse, ssec] = [writtenWith(options.sse), readWith(customerKey)];
  const maxKeys = options.listPage === undefined ? {} : { MaxKeys: options.listPage };
  let buckets: readonly string[] | undefined;
  let bucketSeen = false;

  const full = (key: string): string => prefix === "" ? key : `${prefix}/${key}`;
  const own = (key: string): string => prefix === "" ? key : key.slice(prefix.length + 1);
  /** One request, and once more where the server refuses the keys and there may be others by now. */
  const send = (async (command: never, settings: never) => {
    const used = client;
    try {
      return await used.send(command, settings);
    } catch (thrown) {
      if (!isRefusal(thrown) || !await hasOtherKeys(used, thrown)) throw thrown;
      return await client.send(command, settings);
    }
  }) as unknown as S3Client["send"];
  /** Runs a request and maps what it throws. The gate is not for uploads of streams: their bodies may need it themselves. */
  const request = async <T>(
    key: string | undefined,
    signal: AbortSignal | undefined,
    task: () => Promise<T>,
    gated = true,
  ): Promise<T> => {
    try {
      return await (gated ? gate.run(task, signal) : task());
    } catch (thrown) {
      if (isNoBucket(thrown)) buckets ??= await listBuckets(client);
      const place = { bucket, endpoint, key: key === undefined ? undefined : full(key), buckets };
      throw s3Error(thrown, { ...place, customerKey: customerKey !== undefined }, signal);
    }
  };
  /**
   * Whether there are other keys than those of `used`, which the server refused: keys that come from files are rotated, those
   * of a role are given anew, also where they were withdrawn before their time.
   */
  const hasOtherKeys = async (used: S3Client, thrown: unknown): Promise<boolean> => {
    if (used !== client) return true;
    if (options.reread === undefined) {
      if (credentials !== undefined || !isStale(thrown)) return false;
    } else {
      const now = await options.reread();
      if (used !== client) return true;
      if (now === undefined || JSON.stringify(now) === JSON.stringify(credentials)) return false;
      credentials = now;
    }
    replaced.push(client);
    client = open();
    return true;
  };
  const abort = (signal: AbortSignal | undefined) => signal === undefined ? {} : { abortSignal: signal };

  const listFrom = (key: string, MaxKeys: number, signal: AbortSignal | undefined) =>
    send(new ListObjectsCommand({ Bucket: bucket, Prefix: full(key), MaxKeys }), abort(signal));
  /**
   * Whether an object that the server refuses to show is not there at all. AWS says 403 for what is missing to those who may
   * not list the whole bucket, also where they may list the object's own prefix.
   */
  const isGone = async (key: string, signal: AbortSignal | undefined): Promise<boolean> => {
    try {
      const page = await listFrom(key, 1000, signal);
      // Of a page that is cut it is not known: not every server lists in order.
      return page.IsTruncated !== true && !page.Contents?.some(({ Key }) => Key === full(key));
    } catch {
      return false;
    }
  };
  /** Starts to read an object. */
  const fetchObject = async (key: string, range: string | undefined, signal: AbortSignal | undefined) => {
    try {
      return await send(new GetObjectCommand({ Bucket: bucket, Key: full(key), Range: range, ...ssec }), abort(signal));
    } catch (thrown) {
      if (!isRefusal(thrown) || !await isGone(key, signal)) throw thrown;
      throw Object.assign(new Error("It is not listed"), { name: "NoSuchKey", cause: thrown });
    }
  };

  const head = (key: string, signal?: AbortSignal): Promise<ObjectInfo | undefined> => {
    validateKey(key);
    const look = async (again: boolean): Promise<ObjectInfo | undefined> => {
      const used = client;
      try {
        const found = await send(new HeadObjectCommand({ Bucket: bucket, Key: full(key), ...ssec }), abort(signal));
        return {
          key,
          size: BigInt(found.ContentLength ?? 0),
          etag: unquoted(found.ETag),
          modifiedMs: found.LastModified?.getTime() ?? 0,
        };
      } catch (thrown) {
        if (isRefusal(thrown) || statusOf(thrown) === 400) {
          const gone = await isGone(key, signal);
          // HEAD does not say that the keys have ended, a listing does: there are others then.
          if (again && used !== client) return await look(false);
          if (gone && isRefusal(thrown)) return undefined;
          throw thrown;
        }
        if (!isAbsent(thrown)) throw thrown;
        // HEAD has no body: "no such key", "no such bucket" and even "no such user" look alike. A listing says which, and
        // where only that is not allowed, the rest is in order.
        if (!bucketSeen) {
          await listFrom(key, 1, signal).catch((error) => {
            if (nameOf(error) !== "AccessDenied") throw error;
          });
        }
        bucketSeen = true;
        return undefined;
      }
    };
    return request(key, signal, () => look(true));
  };

  const targetOf = (key: string): S3Target => ({ send, bucket, key: full(key), sse, ssec });
  const put = async (
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    putOptions: PutOptions,
    signal: AbortSignal | undefined,
  ): Promise<ObjectInfo> => {
    const limits = { memory, partBytes: options.uploadPartBytes, partsMax: options.uploadPartsMax };
    const { etag, size } = body instanceof Uint8Array
      ? await putWhole(targetOf(key), body, putOptions, signal)
      : await putStream(targetOf(key), body, putOptions, limits, signal);
    return { key, size, etag: unquoted(etag), modifiedMs: Date.now() };
  };

  const listing = createS3Listing(send);
  const pages = (below: string, Delimiter: string | undefined, signal: AbortSignal | undefined) => {
    validatePrefix(below);
    // Without the slash, a prefix `a` would also list what is below `ab`.
    const Prefix = below === "" && prefix !== "" ? `${prefix}/` : full(below);
    const query = { Bucket: bucket, Prefix, Delimiter, ...maxKeys };
    return listing.pages(query, signal, (task) => request(undefined, signal, task));
  };

  const store: S3Store = {
    ...(customerKey === undefined ? {} : { customerKey }),
    location: `s3://${joinKey(bucket, prefix)}@${endpoint}`,
    bucket,
    prefix,
    endpoint,
    get account() {
      return JSON.stringify([endpoint, options.region, credentials ?? options.provider?.name ?? null]);
    },
    head,
    async get(key, range, signal) {
      validateKey(key);
      if (range !== undefined && range.end <= range.start) {
        if (await head(key, signal) !== undefined) return new Uint8Array();
        throw s3Error({ name: "NoSuchKey" }, { bucket, endpoint, key: full(key) });
      }
      return await request(key, signal, async () => {
        const Range = range === undefined ? undefined : `bytes=${range.start}-${range.end - 1}`;
        try {
          const found = await fetchObject(key, Range, signal);
          const bytes = await readBody(found.Body as unknown as Body, found.ContentLength, signal, options.stillMs);
          // A server that does not know ranges sends the whole object.
          return range !== undefined && found.ContentRange === undefined ? bytes.slice(range.start, range.end) : bytes;
        } catch (thrown) {
          if (statusOf(thrown) === 416 || nameOf(thrown) === "InvalidRange") return new Uint8Array();
          throw thrown;
        }
      });
    },
    async *stream(key, signal) {
      validateKey(key);
      const place = { bucket, endpoint, key: full(key) };
      const found = await request(
        key,
        signal,
        () => fetchObject(key, undefined, signal),
      );
      try {
        yield* readChunks(found.Body as unknown as Body, found.ContentLength, signal, options.stillMs);
      } catch (thrown) {
        throw s3Error(thrown, place, signal);
      }
    },
    async put(key, body, putOptions = {}, signal) {
      validateKey(key);
      const run = async (conditional: boolean) => {
        const how = { ...putOptions, ifAbsent: conditional };
        if (body instanceof Uint8Array) return await request(key, signal, () => put(key, body, how, signal));
        const guarded = guardedStream(body);
        try {
          return await request(key, signal, () => put(key, guarded.body, how, signal), false);
        } catch (error) {
          guarded.throwIfBroken(signal);
          throw error;
        }
      };
      if (putOptions.ifAbsent !== true) return await run(false);
      // Looked at first, and then written with If-None-Match: a server that honours the header decides the race between
      // two writers; one that ignores it (old MinIO, some gateways) still refuses what was there before, and only two
      // writers within these milliseconds could both succeed.
      if (await head(key, signal) !== undefined) {
        throw s3Error({ name: "PreconditionFailed" }, { bucket, endpoint, key: full(key) });
      }
      try {
        return await run(true);
      } catch (error) {
        // Some servers reject the header outright. A stream is used up by then and must be opened again by the caller.
        const cause = (error as Error).cause;
        // The client has tried again by itself: what is there may be what a try wrote whose answer was lost.
        if (statusOf(cause) === 412 && attemptsOf(cause) > 1 && body instanceof Uint8Array) {
          const info = await head(key, signal);
          if (info?.size === BigInt(body.length)) {
            if (Buffer.compare(await store.get(key, undefined, signal), body) === 0) return info;
          }
        }
        const unknownHeader = statusOf(cause) === 501 || nameOf(cause) === "NotImplemented";
        if (!unknownHeader || !(body instanceof Uint8Array)) throw error;
        return await run(false);
      }
    },
    async copyFrom(source, sourceKey, key, signal, known) {
      const other = undecorated(source) as Partial<S3Store>;
      if (other.bucket === undefined || other.account !== store.account) return undefined;
      validateKey(key);
      validateKey(sourceKey);
      const from = { bucket: other.bucket, endpoint, key: joinKey(other.prefix ?? "", sourceKey) };
      const size = known ?? (await source.head(sourceKey, signal))?.size;
      if (size === undefined) throw s3Error({ name: "NoSuchKey" }, from);
      const path = joinKey(other.bucket, from.key);
      const copied: CopySource = {
        CopySource: path.split("/").map(encodeURIComponent).join("/"),
        ...copiedWith(other.customerKey),
      };
      try {
        return await request(key, signal, async () => {
          const limits = { wholeMax: options.copyObjectMaxBytes, partBytes: options.copyPartBytes };
          return { etag: unquoted(await copyObject(targetOf(key), copied, size, limits, signal)) };
        });
      } catch (error) {
        // A key may read here and write there but not copy across, and some gateways have no copy: the caller streams.
        const cause = (error as Error).cause;
        if (error instanceof TidemarkError && error.code === "authentication") return undefined;
        if (isNoCopy(cause)) return undefined;
        // What is not there is the source: of the copy there is nothing to find.
        if (nameOf(cause) === "NoSuchKey") throw s3Error({ name: "NoSuchKey" }, from);
        throw error;
      }
    },
    async *list(below, signal) {
      for await (const page of pages(below, undefined, signal)) {
        for (const found of page.Contents ?? []) {
          // "Folder objects" that consoles and gateways create; not a key of ours.
          if (found.Key === undefined || found.Key.endsWith("/")) continue;
          yield {
            key: own(found.Key),
            size: BigInt(found.Size ?? 0),
            etag: unquoted(found.ETag),
            modifiedMs: found.LastModified?.getTime() ?? 0,
          };
        }
      }
    },
    async folders(below, signal) {
      const names: string[] = [];
      for await (const page of pages(below, "/", signal)) {
        for (const found of page.CommonPrefixes ?? []) {
          if (found.Prefix !== undefined) names.push(found.Prefix.slice(0, -1).split("/").at(-1)!);
        }
      }
      return names.sort(compareKeys);
    },
    async delete(keys, signal) {
      keys.forEach(validateKey);
      for (let start = 0; start < keys.length; start += DELETE_BATCH) {
        const batch = keys.slice(start, start + DELETE_BATCH);
        await request(batch[0], signal, () => deleteBatch(send, bucket, batch.map(full), abort(signal)));
      }
    },
    async manners(key, writes, signal) {
      validateKey(key);
      const access = { send, bucket, key: full(key), sse, ssec };
      const probe = writes ? s3WriteManners : s3ReadManners;
      return await request(key, signal, () => probe(access, signal), false);
    },
    clockAheadMs: clock.aheadMs,
    async close() {
      for (const each of [client, ...replaced]) each.destroy();
    },
  };
  return store;
}

async function listBuckets(client: S3Client): Promise<readonly string[] | undefined> {
  try {
    const answer = await client.send(new ListBucketsCommand({}));
    return (answer.Buckets ?? []).map((found) => found.Name ?? "").sort();
  } catch {
    return undefined;
  }
}

function unquoted(etag: string | undefined): string {
  return etag?.replace(/^"|"$/g, "") ?? "";
}
