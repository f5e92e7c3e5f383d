/** What an S3 server's or the network's error means for the user. */
import { TidemarkError, toTidemarkError } from "../../pipeline/errors.ts";
import { clockHint } from "./clock.ts";
import { customerKeyHint } from "./customer_key.ts";
import { certificateError, networkError } from "./network_error.ts";

/** Where it happened, for the message. Never holds a key or secret. */
export interface S3Place {
  readonly bucket: string;
  readonly endpoint: string;
  readonly key?: string;
  /** Buckets that exist, where the credentials may list them. */
  readonly buckets?: readonly string[];
  /** A key of the customer's went with the request. */
  readonly customerKey?: boolean;
}

interface Thrown {
  readonly name?: string;
  readonly message?: string;
  readonly $metadata?: { readonly httpStatusCode?: number; readonly attempts?: number };
  readonly $response?: { readonly headers?: Readonly<Record<string, string>> };
}

const AUTHENTICATION = new Set([
  "AccessDenied",
  "AllAccessDisabled",
  "CredentialsProviderError",
  "ExpiredToken",
  "ExpiredTokenException",
  "Forbidden",
  "InvalidAccessKeyId",
  "InvalidToken",
  "RequestTimeTooSkewed",
  "SignatureDoesNotMatch",
  "TokenRefreshRequired",
  "Unauthorized",
  // versitygw's own, with status 404, for an access key that it does not know.
  "XAdminUserNotFound",
]);
const THROTTLED = new Set([
  "ConditionalRequestConflict",
  "OperationAborted",
  "RequestLimitExceeded",
  "ServiceUnavailable",
  "SlowDown",
  "Throttling",
  "ThrottlingException",
  "TooManyRequests",
  "TooManyRequestsException",
]);

/** S3 could not use the key in KMS: the rights of the user on it, or its state. */
const KMS = /^KMS\.|\bkms:(GenerateDataKey|Decrypt|Encrypt|ReEncrypt|DescribeKey)/;

/** Aliyun OSS, Tencent COS and Huawei OBS, with status 403, where the bucket stands in the path. */
const VIRTUAL_HOST = new Set(["SecondLevelDomainForbidden", "PathStyleDomainForbidden", "VirtualHostDomainRequired"]);

const CUSTOMER_KEY = "sse.customer_key_file (with sse.mode: sse-c)";
/** What S3 says where request and object differ in their customer's key. */
const ENCRYPTION = /server.side encryption|encryption parameters|customer.{0,10}key/i;

export function nameOf(thrown: unknown): string {
  return (thrown as Thrown | undefined)?.name ?? "";
}

export function statusOf(thrown: unknown): number {
  return (thrown as Thrown | undefined)?.$metadata?.httpStatusCode ?? 0;
}

/** How often the client has tried. */
export function attemptsOf(thrown: unknown): number {
  return (thrown as Thrown | undefined)?.$metadata?.attempts ?? 1;
}

/** True where what was asked for is not there. */
export function isAbsent(thrown: unknown): boolean {
  return nameOf(thrown) === "NotFound" || nameOf(thrown) === "NoSuchKey" || statusOf(thrown) === 404;
}

/** True where the error says that the bucket itself is not there. */
export function isNoBucket(thrown: unknown): boolean {
  return nameOf(thrown) === "NoSuchBucket" || nameOf(thrown) === "InvalidBucketName";
}

/** True where the server does not take the keys, or not for this. */
export function isRefusal(thrown: unknown): boolean {
  const status = statusOf(thrown);
  return AUTHENTICATION.has(nameOf(thrown)) || status === 401 || status === 403;
}

/** True where the keys were good once, or may be so elsewhere: those of a role that have ended. */
export function isStale(thrown: unknown): boolean {
  return /^(ExpiredToken|ExpiredTokenException|InvalidToken|InvalidAccessKeyId|TokenRefreshRequired)$/.test(
    nameOf(thrown),
  );
}

/** Maps what the client threw. `signal` decides whether it was an abort. */
export function s3Error(thrown: unknown, place: S3Place, signal?: AbortSignal): TidemarkError {
  if (thrown instanceof TidemarkError) return thrown;
  if (signal?.aborted) return new TidemarkError("aborted", "Stopped by request", { cause: thrown });
  const error = thrown as Thrown;
  const name = error.name ?? "";
  const status = statusOf(thrown);
  const words = [name, error.message].filter((part) => part !== undefined && part !== "").join(": ") ||
    `HTTP ${status}`;
  const at = `${place.endpoint} (bucket ${place.bucket}${place.key === undefined ? "" : `, key ${place.key}`})`;

  if (isNoBucket(thrown)) {
    const there = place.buckets === undefined
      ? ""
      : place.buckets.length === 0
      ? "; there are no buckets"
      : `; there are: ${place.buckets.join(", ")}`;
    return new TidemarkError("not_found", `No bucket ${place.bucket} at ${place.endpoint}${there}`, {
      hint: "Set bucket to minio.bucketName of the source's milvus.yaml, or to the bucket that holds the backup.",
      cause: thrown,
    });
  }
  if (VIRTUAL_HOST.has(name)) {
    return new TidemarkError("refused", `${at} wants the bucket in the host name: ${words}`, {
      hint: "Set path_style: false, and endpoint to the region's own host, without the bucket.",
      cause: thrown,
    });
  }
  const otherTime = clockHint(error.$response?.headers?.date);
  if (name === "RequestTimeTooSkewed") {
    return new TidemarkError("authentication", `${at} refuses requests of this machine's time: ${words}`, {
      hint: otherTime ?? "Set this machine's clock, or the server's: they differ by more than the server takes.",
      cause: thrown,
    });
  }
  if (status >= 400 && status < 500 && !THROTTLED.has(name.replace(/^KMS\./, "")) && KMS.test(words)) {
    return new TidemarkError(
      isRefusal(thrown) ? "authentication" : "refused",
      `${at} cannot use its KMS key: ${words}`,
      {
        hint: "Give the user kms:GenerateDataKey (writes) and kms:Decrypt (reads, and writes in parts) on that key: " +
          "sse.kms_key_id, or the bucket's own. It must be enabled, and in the bucket's region.",
        cause: thrown,
      },
    );
  }
  if (name === "CredentialsProviderError") {
    return new TidemarkError("authentication", `Found no keys for ${at}: ${error.message}`, {
      hint: "Give access_key_id, profile or assume_role, or what AWS' own sources want: the environment, ~/.aws " +
        "(AWS_PROFILE), the role of a pod, a container or a machine.",
      cause: thrown,
    });
  }
  if (isRefusal(thrown)) {
    return new TidemarkError("authentication", `${at} refused the credentials: ${words}`, {
      hint: (otherTime === undefined ? "" : `${otherTime} Or: `) +
        "Check access_key_id and secret_access_key, the rights of that key on the bucket, and this machine's clock." +
        (place.customerKey ? ` Or: ${customerKeyHint(CUSTOMER_KEY, true)}` : ""),
      cause: thrown,
    });
  }
  if (name === "NoSuchKey" || name === "NotFound" || name === "NoSuchUpload" || status === 404) {
    return new TidemarkError(
      "not_found",
      `No object ${place.key ?? ""} in bucket ${place.bucket} at ${place.endpoint}`,
      {
        cause: thrown,
      },
    );
  }
  if (name === "PreconditionFailed" || status === 412) {
    return new TidemarkError("refused", `Object ${place.key ?? ""} exists already in bucket ${place.bucket}`, {
      cause: thrown,
    });
  }
  if (name === "AuthorizationHeaderMalformed" || name === "PermanentRedirect" || status === 301) {
    return new TidemarkError("refused", `${at} wants another region or endpoint: ${words}`, {
      hint: "Set region (and endpoint) to the bucket's own.",
      cause: thrown,
    });
  }
  if (THROTTLED.has(name.replace(/^KMS\./, "")) || status === 429 || status === 503) {
    return new TidemarkError("throttled", `${at} asks to slow down: ${words}`, {
      hint: "Lower max_concurrency or limits.bandwidth if it lasts.",
      cause: thrown,
    });
  }
  const { endpoint } = place;
  const network = (status === 0 ? certificateError(thrown, endpoint, words) : undefined) ??
    networkError(thrown, { endpoint, server: "S3 server", answered: status !== 0 });
  if (network !== undefined) return network;
  // Of a HEAD there is no more than the status.
  if (status === 400 && (ENCRYPTION.test(words) || error.message === undefined || /^Unknown/.test(error.message))) {
    return new TidemarkError("refused", `${at} refused: ${words}`, {
      hint: customerKeyHint(CUSTOMER_KEY, place.customerKey === true),
      cause: thrown,
    });
  }
  if (status >= 500) return new TidemarkError("unreachable", `${at} failed: ${words}`, { cause: thrown });
  if (status >= 400) return new TidemarkError("refused", `${at} refused: ${words}`, { cause: thrown });
  return toTidemarkError(thrown);
}
