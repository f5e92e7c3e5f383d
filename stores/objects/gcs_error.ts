/** What an error of Google Cloud Storage, of its login or of the network means for the user. */
import { TidemarkError, toTidemarkError } from "../../pipeline/errors.ts";
import { clockHint } from "./clock.ts";
import { customerKeyHint } from "./customer_key.ts";
import { certificateError, networkError } from "./network_error.ts";

/** Where it happened, for the message. */
export interface GcsPlace {
  readonly bucket: string;
  readonly endpoint: string;
  readonly key?: string | undefined;
  /** A key of the customer's went with the request. */
  readonly customerKey?: boolean | undefined;
}

/** An answer that is none of success. */
export class GcsAnswer extends Error {
  constructor(readonly status: number, readonly reason: string, message: string, readonly noBucket = false) {
    super(message);
    this.name = "GcsAnswer";
  }
}

/** The login itself failed: there is no answer of the storage. */
export class GcsLoginFailed extends Error {
  constructor(cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.name = "GcsLoginFailed";
  }
}

/** Reads the error's document, `{ error: { code, message, errors: [{ reason }] } }`, or the text that came instead. */
export async function answerOf(response: Response): Promise<GcsAnswer> {
  const text = await response.text().catch(() => "");
  let [reason, message] = ["", text.split("\n")[0]!.slice(0, 300).trim()];
  try {
    const { error } = JSON.parse(text) as { error: { message?: string; errors?: { reason?: string }[] } };
    message = error.message ?? message;
    reason = error.errors?.[0]?.reason ?? "";
  } catch {
    // A body of another kind is said as it is.
  }
  return new GcsAnswer(
    response.status,
    reason,
    message || `HTTP ${response.status}`,
    /bucket does not exist/.test(message),
  );
}

export function gcsStatus(thrown: unknown): number {
  return thrown instanceof GcsAnswer ? thrown.status : 0;
}

/** True where the service does not take the login, or not for this. */
export function isGcsRefusal(thrown: unknown): boolean {
  if (thrown instanceof GcsLoginFailed) return true;
  return [401, 403].includes(gcsStatus(thrown)) && !isThrottling(thrown);
}

function isThrottling(thrown: unknown): boolean {
  if (!(thrown instanceof GcsAnswer)) return false;
  return [408, 429, 503].includes(thrown.status) || /rateLimitExceeded/i.test(thrown.reason);
}

/** Maps what was thrown. `signal` decides whether it was an abort. */
export function gcsError(thrown: unknown, place: GcsPlace, signal?: AbortSignal): TidemarkError {
  if (thrown instanceof TidemarkError) return thrown;
  if (signal?.aborted) return new TidemarkError("aborted", "Stopped by request", { cause: thrown });
  const { bucket, endpoint, key } = place;
  const status = gcsStatus(thrown);
  const words = thrown instanceof Error ? thrown.message : String(thrown);
  const at = `${endpoint} (bucket ${bucket}${key === undefined ? "" : `, key ${key}`})`;
  const options = { cause: thrown };

  if (thrown instanceof GcsLoginFailed) {
    const network = networkError(thrown.cause, { endpoint: "Google's login", server: "login", answered: false });
    const { status = 0, response } = (thrown.cause ?? {}) as {
      readonly status?: number;
      readonly response?: { readonly headers?: Headers };
    };
    if (network === undefined && status >= 500) {
      return new TidemarkError("unreachable", `Google's login failed: ${words}`, options);
    }
    return network ?? new TidemarkError("authentication", `Google's login gave no token: ${words}`, {
      hint: clockHint(response?.headers?.get("date")) ??
        "Check credentials_file, or what the environment offers: GOOGLE_APPLICATION_CREDENTIALS, the metadata server.",
      ...options,
    });
  }
  if (thrown instanceof GcsAnswer && thrown.noBucket) {
    return new TidemarkError("not_found", `No bucket ${bucket} at ${endpoint}`, {
      hint: "Set bucket to minio.bucketName of the source's milvus.yaml, or to the bucket that holds the backup.",
      ...options,
    });
  }
  if (isThrottling(thrown)) {
    return new TidemarkError("throttled", `${at} asks to slow down: ${words}`, {
      hint: "Lower max_concurrency or limits.bandwidth if it lasts.",
      ...options,
    });
  }
  if (isGcsRefusal(thrown)) {
    return new TidemarkError("authentication", `${at} refused the login: ${words}`, {
      hint: "Give the account the role Storage Object Viewer, or Storage Object User for a destination, on the bucket.",
      ...options,
    });
  }
  if (thrown instanceof GcsAnswer && /customerEncryptionKey/i.test(thrown.reason)) {
    return new TidemarkError("refused", `${at} refused: ${words}`, {
      hint: customerKeyHint("customer_key_file", place.customerKey === true),
      ...options,
    });
  }
  if (status === 404) {
    return new TidemarkError("not_found", `No object ${key ?? ""} in bucket ${bucket} at ${endpoint}`, options);
  }
  if (status === 412) {
    return new TidemarkError("refused", `Object ${key ?? ""} exists already in bucket ${bucket}`, options);
  }
  const network = (status === 0 ? certificateError(thrown, endpoint, words) : undefined) ??
    networkError(thrown, { endpoint, server: "storage service", answered: status !== 0 });
  if (network !== undefined) return network;
  if (status >= 500) return new TidemarkError("unreachable", `${at} failed: ${words}`, options);
  if (status >= 400) return new TidemarkError("refused", `${at} refused: ${words}`, options);
  return toTidemarkError(thrown);
}
