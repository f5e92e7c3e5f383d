/**
 * What a service does of keys that belong to its customer, in front of emulators that know of none: it remembers with which
 * key each object was written, refuses requests with another one as the service words it, and passes the rest on.
 * Words and codes: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerSideEncryptionCustomerKeys.html,
 * https://learn.microsoft.com/en-us/rest/api/storageservices/blob-service-error-codes,
 * https://cloud.google.com/storage/docs/json_api/v1/status-codes.
 */
import { createHash } from "node:crypto";
import type { Fault, Injure } from "./fault_proxy.ts";

/** How a request and the object differ. */
type Difference = "no key" | "another key" | "needless key";

interface Dialect {
  /** The header with the key, and that with its digest; `source`: of an object that is copied. */
  readonly header: string;
  readonly source?: string;
  readonly digestHeader: string;
  readonly digest: "md5" | "sha256";
  /** What a request does with which objects: names of the service's own. */
  acts(request: Request): {
    readonly reads?: string;
    readonly copies?: string;
    readonly writes?: string;
    /** Goes on with what was begun with a key. */
    readonly continues?: string;
    readonly removes?: string;
  };
  refuse(difference: Difference, head: boolean): Fault;
}

/** For a proxy of tests; throws where a key and its digest do not belong together. */
export function keepCustomerKeys(dialect: Dialect): Injure {
  const keys = new Map<string, string | undefined>();
  const keyOf = (headers: Headers, name: string): string | undefined => {
    const key = headers.get(name) ?? undefined;
    if (key === undefined) return undefined;
    const given = headers.get(`${name}${dialect.digestHeader}`);
    const digest = createHash(dialect.digest).update(Uint8Array.fromBase64(key)).digest("base64");
    if (given !== digest) throw new Error(`The digest ${given} is not that of the key`);
    if (Uint8Array.fromBase64(key).length !== 32) throw new Error("The key has not 256 bits");
    return key;
  };
  return (request) => {
    const { reads, copies, writes, continues, removes } = dialect.acts(request);
    const key = keyOf(request.headers, dialect.header);
    for (
      const [name, given] of [
        [reads ?? continues, key],
        [copies, dialect.source === undefined ? undefined : keyOf(request.headers, dialect.source)],
      ] as const
    ) {
      if (name === undefined || !keys.has(name)) continue;
      const difference = differ(keys.get(name), given);
      if (difference !== undefined) return dialect.refuse(difference, request.method === "HEAD");
    }
    if (writes !== undefined) keys.set(writes, key);
    if (removes !== undefined) keys.delete(removes);
    return undefined;
  };
}

function differ(written: string | undefined, given: string | undefined): Difference | undefined {
  if (written === given) return undefined;
  if (given === undefined) return "no key";
  return written === undefined ? "needless key" : "another key";
}

const S3_WORDS: Readonly<Record<Difference, string>> = {
  "no key":
    "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to " +
    "retrieve the object.",
  "needless key": "The encryption parameters are not applicable to this object.",
  "another key": "Access Denied",
};

/** Of a bucket in the path. */
export const S3_KEYS: Dialect = {
  header: "x-amz-server-side-encryption-customer-key",
  source: "x-amz-copy-source-server-side-encryption-customer-key",
  digestHeader: "-md5",
  digest: "md5",
  acts({ method, url, headers }) {
    const { pathname, searchParams } = new URL(url);
    const name = decodeURIComponent(pathname.slice(1));
    if (!name.includes("/")) return {};
    const source = headers.get("x-amz-copy-source");
    const copies = source === null ? {} : { copies: decodeURIComponent(source.replace(/^\//, "")) };
    if (method === "GET" || method === "HEAD") return { reads: name };
    if (method === "DELETE") return searchParams.has("uploadId") ? {} : { removes: name };
    if (searchParams.has("uploads")) return { writes: name };
    return searchParams.has("uploadId") ? { ...copies, continues: name } : { ...copies, writes: name };
  },
  refuse(difference, head) {
    const wrong = difference === "another key";
    const code = wrong ? "AccessDenied" : "InvalidRequest";
    const body = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${S3_WORDS[difference]}</Message></Error>`;
    const headers = { "content-type": "application/xml" };
    return { kind: "answer", status: wrong ? 403 : 400, headers, ...(head ? {} : { body }) };
  },
};

const AZURE_CODES: Readonly<Record<Difference, string>> = {
  "no key": "BlobUsesCustomerSpecifiedEncryption",
  "needless key": "BlobDoesNotUseCustomerSpecifiedEncryption",
  "another key": "BlobCustomerSpecifiedEncryptionMismatch",
};

/** Of an account in the path. */
export const AZURE_KEYS: Dialect = {
  header: "x-ms-encryption-key",
  digestHeader: "-sha256",
  digest: "sha256",
  acts({ method, url }) {
    const { pathname, searchParams } = new URL(url);
    const name = decodeURIComponent(pathname.slice(1));
    if (name.split("/").length < 3 || searchParams.get("restype") === "container") return {};
    if (method === "GET" || method === "HEAD") return { reads: name };
    if (method === "DELETE") return { removes: name };
    switch (searchParams.get("comp")) {
      case null:
        return { writes: name };
      case "block":
        return { writes: `blocks of ${name}` };
      case "blocklist":
        return { continues: `blocks of ${name}`, writes: name };
      default:
        return {};
    }
  },
  refuse(difference, head) {
    const code = AZURE_CODES[difference];
    const body = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${difference}</Message></Error>`;
    const headers = { "x-ms-error-code": code, "content-type": "application/xml" };
    return { kind: "answer", status: 409, headers, ...(head ? {} : { body }) };
  },
};

const GCS_REASONS: Readonly<Record<Difference, string>> = {
  "no key": "resourceIsEncryptedWithCustomerEncryptionKey",
  "needless key": "resourceNotEncryptedWithCustomerEncryptionKey",
  "another key": "customerEncryptionKeyIsIncorrect",
};

export const GCS_KEYS: Dialect = {
  header: "x-goog-encryption-key",
  source: "x-goog-copy-source-encryption-key",
  digestHeader: "-sha256",
  digest: "sha256",
  acts({ method, url }) {
    const { pathname, searchParams } = new URL(url);
    const [, bucket, name, rest] = /^\/storage\/v1\/b\/([^/]+)\/o\/([^/]+)(\/rewriteTo\/.*)?$/.exec(pathname) ?? [];
    const object = `${bucket}/${name === undefined ? "" : decodeURIComponent(name)}`;
    if (rest !== undefined) {
      const [, toBucket, toName] = /^\/rewriteTo\/b\/([^/]+)\/o\/([^/]+)$/.exec(rest) ?? [];
      return { copies: object, writes: `${toBucket}/${decodeURIComponent(toName!)}` };
    }
    if (name !== undefined && method === "DELETE") return { removes: object };
    // Size and times are shown without the key.
    if (name !== undefined) return searchParams.get("alt") === "media" ? { reads: object } : {};
    const upload = /^\/upload\/storage\/v1\/b\/([^/]+)\/o$/.exec(pathname);
    const uploaded = searchParams.get("name");
    if (upload === null || uploaded === null) return {};
    const whole = `${upload[1]}/${uploaded}`;
    return method === "PUT" ? { continues: whole } : { writes: whole };
  },
  refuse(difference) {
    const error = { code: 400, message: difference, errors: [{ reason: GCS_REASONS[difference] }] };
    const headers = { "content-type": "application/json" };
    return { kind: "answer", status: 400, headers, body: JSON.stringify({ error }) };
  },
};
