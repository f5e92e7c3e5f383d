/** A bucket of Google Cloud Storage as an object store. */
import { guardedStream } from "./guarded_stream.ts";
import { TidemarkError } from "../../pipeline/errors.ts";
import type { ObjectInfo, ObjectStore } from "../../pipeline/model/mod.ts";
import { createServerClock } from "./clock.ts";
import type { CustomerKey } from "./customer_key.ts";
import { createGate } from "./gate.ts";
import { createGcsApi, type GcsApi, type GcsObject, keyHeaders, OBJECT_FIELDS, objectPath } from "./gcs_api.ts";
import { GcsAnswer, gcsError, gcsStatus, isGcsRefusal } from "./gcs_error.ts";
import { createGcsLogin } from "./gcs_login.ts";
import { uploadStream, type UploadTarget, uploadWhole } from "./gcs_upload.ts";
import { compareKeys, joinKey, validateKey, validatePrefix } from "./key.ts";
import { inKeyOrder } from "./key_order.ts";
import type { Mannered } from "./manners.ts";
import { readBody, readChunks } from "./reading.ts";
import { createRotating } from "./rotating.ts";
import { undecorated } from "./undecorated.ts";
import { createUploadMemory, type UploadMemory } from "./upload_memory.ts";

const DELETES_AT_ONCE = 16;
const LIST_PAGE = 1000;

export interface GcsStoreOptions {
  /** Without a slash at its end. */
  endpoint: string;
  bucket: string;
  /** Keys below which everything is kept; empty: the whole bucket. */
  prefix: string;
  /** What a key file holds; undefined: the usual Google sources. */
  login: { readonly credentials: string | undefined } | "anonymous";
  /** The login as its file holds it now; asked for where the service refuses the one that it has. */
  reread?: () => Promise<{ readonly credentials: string | undefined }>;
  kmsKeyName?: string;
  customerKey?: CustomerKey;
  tls: { ca: string | undefined };
  /** Requests open at once, streams not counted. */
  maxConcurrency: number;
  /** Memory of uploads of streams, where stores share it. */
  uploads?: UploadMemory;
  /** Of streams; a smaller value is for tests. */
  chunkBytes?: number;
  /** Objects that one answer of a listing holds; a smaller value is for tests. */
  listPage?: number;
}

interface GcsStore extends ObjectStore, Mannered {
  readonly endpoint: string;
  readonly bucket: string;
  readonly prefix: string;
  /** Tells it from the other stores that have a bucket. */
  readonly gcs: true;
  readonly customerKey: CustomerKey | undefined;
}

interface Page {
  readonly items?: readonly GcsObject[];
  readonly prefixes?: readonly string[];
  readonly nextPageToken?: string;
}

export function createGcsStore(options: GcsStoreOptions): ObjectStore {
  const { bucket, endpoint } = options;
  const prefix = joinKey(options.prefix);
  const gate = createGate(options.maxConcurrency);
  const limits = { memory: options.uploads ?? createUploadMemory(), chunkBytes: options.chunkBytes };
  const http = Deno.createHttpClient(options.tls.ca === undefined ? {} : { caCerts: [options.tls.ca] });
  const clock = createServerClock();
  const rotating = createRotating<GcsStoreOptions["login"], GcsApi>({
    credentials: options.login,
    make: (login) =>
      createGcsApi(endpoint, login === "anonymous" ? undefined : createGcsLogin(login.credentials), http, clock),
    reread: options.reread,
    isRefusal: isGcsRefusal,
    close: () => {},
  });
  let bucketSeen = false;
  const { customerKey } = options;
  const encryption = keyHeaders(customerKey);

  const full = (key: string): string => prefix === "" ? key : `${prefix}/${key}`;
  const own = (key: string): string => prefix === "" ? key : key.slice(prefix.length + 1);
  const place = (key?: string) => ({
    bucket,
    endpoint,
    customerKey: customerKey !== undefined,
    ...(key === undefined ? {} : { key: full(key) }),
  });
  const infoOf = (key: string, found: GcsObject): ObjectInfo => ({
    key,
    size: BigInt(found.size ?? 0),
    etag: etagOf(found),
    modifiedMs: found.updated === undefined ? Date.now() : Date.parse(found.updated),
  });
  const request = <T>(
    key: string | undefined,
    signal: AbortSignal | undefined,
    send: (api: GcsApi) => Promise<T>,
  ): Promise<T> => mapped(key, signal, () => gate.run(() => rotating.run(send), signal));
  /** Each request once more where the login is refused and there is a new one. */
  const each: GcsApi = {
    send: (one) => rotating.run((api) => api.send(one)),
    json: (one) => rotating.run((api) => api.json(one)),
  };
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
      throw gcsError(thrown, place(key), signal);
    }
  };
  /** "No such object" and "no such bucket" look alike where the body says neither. A listing says which. */
  const seeBucket = async (api: GcsApi, signal: AbortSignal | undefined): Promise<void> => {
    if (bucketSeen) return;
    try {
      await list(api, { maxResults: "1", fields: "nextPageToken" }, signal);
      bucketSeen = true;
    } catch (thrown) {
      // A login that may not list is no reason to fail here.
      if (!isGcsRefusal(thrown)) throw thrown;
    }
  };
  const list = async (
    api: GcsApi,
    query: Readonly<Record<string, string | undefined>>,
    signal: AbortSignal | undefined,
  ): Promise<Page> => {
    try {
      return await api.json<Page>({
        method: "GET",
        path: `storage/v1/b/${encodeURIComponent(bucket)}/o`,
        query,
        signal,
      });
    } catch (thrown) {
      // Of a listing only the bucket can be missing.
      if (gcsStatus(thrown) !== 404) throw thrown;
      throw new GcsAnswer(404, "notFound", (thrown as Error).message, true);
    }
  };
  const head = (key: string, signal?: AbortSignal): Promise<ObjectInfo | undefined> => {
    validateKey(key);
    return request(key, signal, async (api) => {
      try {
        const path = objectPath(bucket, full(key));
        return infoOf(
          key,
          await api.json<GcsObject>({
            method: "GET",
            path,
            query: { fields: OBJECT_FIELDS },
            headers: encryption,
            signal,
          }),
        );
      } catch (thrown) {
        if (gcsStatus(thrown) !== 404) throw thrown;
        await seeBucket(api, signal);
        return undefined;
      }
    });
  };
  const download = async (
    api: GcsApi,
    key: string,
    range: { start: number; end: number } | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Response> => {
    try {
      return await api.send({
        method: "GET",
        path: objectPath(bucket, full(key)),
        query: { alt: "media" },
        headers: { ...encryption, ...(range === undefined ? {} : { range: `bytes=${range.start}-${range.end - 1}` }) },
        signal,
      });
    } catch (thrown) {
      if (gcsStatus(thrown) === 404) await seeBucket(api, signal);
      throw thrown;
    }
  };
  async function* pages(below: string, delimiter: string | undefined, signal: AbortSignal | undefined) {
    let pageToken: string | undefined;
    do {
      const page: Page = await request(undefined, signal, (api) =>
        list(api, {
          // Without the slash, a prefix `a` would also list what is below `ab`.
          prefix: prefix === "" ? below : `${prefix}/${below}`,
          delimiter,
          maxResults: String(options.listPage ?? LIST_PAGE),
          fields: `items(${OBJECT_FIELDS}),prefixes,nextPageToken`,
          pageToken,
        }, signal));
      yield page;
      pageToken = page.nextPageToken || undefined;
    } while (pageToken !== undefined);
  }

  const store: GcsStore = {
    location: `gs://${joinKey(bucket, prefix)}@${endpoint}`,
    endpoint,
    bucket,
    prefix,
    gcs: true,
    customerKey,
    head,
    async get(key, range, signal) {
      validateKey(key);
      if (range !== undefined && range.end <= range.start) {
        if (await head(key, signal) !== undefined) return new Uint8Array();
        throw gcsError(new GcsAnswer(404, "notFound", ""), place(key));
      }
      return await request(key, signal, async (api) => {
        try {
          const found = await download(api, key, range, signal);
          const bytes = await readBody(bodyOf(found), lengthOf(found), signal);
          // A server that does not know ranges sends the whole object.
          return range !== undefined && found.status !== 206 ? bytes.slice(range.start, range.end) : bytes;
        } catch (thrown) {
          if (gcsStatus(thrown) === 416) return new Uint8Array();
          throw thrown;
        }
      });
    },
    async *stream(key, signal) {
      validateKey(key);
      const found = await request(key, signal, (api) => download(api, key, undefined, signal));
      try {
        yield* readChunks(bodyOf(found), lengthOf(found), signal);
      } catch (thrown) {
        throw gcsError(thrown, place(key), signal);
      }
    },
    async put(key, body, putOptions = {}, signal) {
      validateKey(key);
      const target: UploadTarget = {
        bucket,
        name: full(key),
        contentType: putOptions.contentType,
        ifAbsent: putOptions.ifAbsent === true,
        kmsKeyName: options.kmsKeyName,
        encryption,
      };
      // The service decides between two writers; emulators, which do not of every kind of upload, refuse what was there.
      if (target.ifAbsent && await head(key, signal) !== undefined) {
        throw gcsError(new GcsAnswer(412, "conditionNotMet", ""), place(key));
      }
      if (body instanceof Uint8Array) {
        const done = await request(key, signal, (api) => uploadWhole(api, target, body, signal));
        return { ...infoOf(key, done), size: BigInt(body.length) };
      }
      const guarded = guardedStream(body);
      try {
        // Not through the gate, which its source may need itself; each piece is a request of its own.
        const { done, size } = await mapped(
          key,
          signal,
          () => uploadStream(each, target, guarded.body, limits, signal),
        );
        return { ...infoOf(key, done), size };
      } catch (error) {
        guarded.throwIfBroken(signal);
        throw error;
      }
    },
    async copyFrom(source, sourceKey, key, signal) {
      const other = undecorated(source) as Partial<GcsStore>;
      if (other.gcs !== true || other.endpoint !== endpoint) return undefined;
      validateKey(key);
      validateKey(sourceKey);
      const from = { bucket: other.bucket!, endpoint, key: joinKey(other.prefix!, sourceKey) };
      try {
        return await request(key, signal, async (api) => {
          const path = `${objectPath(from.bucket, from.key)}/rewriteTo/b/${encodeURIComponent(bucket)}/o/${
            encodeURIComponent(full(key))
          }`;
          // Large objects take several calls; the copy is there after the last one.
          let rewriteToken: string | undefined;
          for (;;) {
            const step = await api.json<{ done: boolean; rewriteToken?: string; resource?: GcsObject }>({
              method: "POST",
              path,
              query: { rewriteToken, destinationKmsKeyName: options.kmsKeyName },
              headers: { ...encryption, ...keyHeaders(other.customerKey, "source") },
              signal,
            });
            if (step.done) return { etag: step.resource === undefined ? "" : etagOf(step.resource) };
            rewriteToken = step.rewriteToken;
            // Without one the next call would begin the copy again, for ever.
            if (!rewriteToken) throw new TidemarkError("unsupported", `${endpoint} ended a copy in its middle`);
          }
        });
      } catch (error) {
        const cause = (error as Error).cause;
        // A login may read here and write there but not copy across: the caller streams.
        if (isGcsRefusal(cause)) return undefined;
        // What is not there is the source.
        if (gcsStatus(cause) === 404) throw gcsError(new GcsAnswer(404, "notFound", ""), from);
        throw error;
      }
    },
    list(below, signal) {
      validatePrefix(below);
      const found = async function* () {
        for await (const { items } of pages(below, undefined, signal)) {
          yield (items ?? []).filter(({ name }) => !name.endsWith("/")).map((item) => infoOf(own(item.name), item));
        }
      };
      return inKeyOrder(found(), store.location);
    },
    async folders(below, signal) {
      validatePrefix(below);
      const names = new Set<string>();
      for await (const { prefixes } of pages(below, "/", signal)) {
        for (const name of prefixes ?? []) names.add(name.slice(0, -1).split("/").at(-1)!);
      }
      return [...names].sort(compareKeys);
    },
    async delete(keys, signal) {
      keys.forEach(validateKey);
      let next = 0;
      const worker = async () => {
        while (next < keys.length) {
          const key = keys[next++]!;
          await request(key, signal, async (api) => {
            const path = objectPath(bucket, full(key));
            const answer = await api.send({ method: "DELETE", path, signal, also: [404] });
            await answer.body?.cancel();
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
      http.close();
    },
  };
  return store;
}

/** The MD5 in hexadecimal, as S3 gives it, where the service has one: not of objects that were composed of others. */
function etagOf({ md5Hash, etag }: GcsObject): string {
  if (md5Hash !== undefined) return Uint8Array.fromBase64(md5Hash).toHex();
  return etag?.replace(/^"|"$/g, "") ?? "";
}

function lengthOf(response: Response): number | undefined {
  const length = response.headers.get("content-length");
  return length === null ? undefined : Number(length);
}

function bodyOf({ body }: Response): ReadableStream<Uint8Array> {
  return body ?? new ReadableStream({ type: "bytes", start: (controller) => controller.close() });
}
