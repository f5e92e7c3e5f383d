/** What an error of Azure Blob Storage, of Entra ID or of the network means for the user. */
import { TidemarkError, toTidemarkError } from "../../pipeline/errors.ts";
import { clockHint } from "./clock.ts";
import { customerKeyHint } from "./customer_key.ts";
import { certificateError, networkError } from "./network_error.ts";

/** Where it happened, for the message. Never holds a key or signature. */
export interface AzurePlace {
  readonly container: string;
  readonly endpoint: string;
  readonly key?: string | undefined;
  /** Containers that exist, where the login may list them. */
  readonly containers?: readonly string[] | undefined;
  /** A key of the customer's went with the request. */
  readonly customerKey?: boolean | undefined;
}

interface Thrown {
  readonly name?: string;
  readonly code?: string;
  readonly statusCode?: number;
  readonly message?: string;
  readonly details?: { readonly errorCode?: string };
  readonly response?: { readonly headers?: { get(name: string): string | undefined } };
}

const REFUSALS = new Set([
  "AccountIsDisabled",
  "AuthenticationFailed",
  "AuthorizationFailure",
  "AuthorizationPermissionMismatch",
  "AuthorizationProtocolMismatch",
  "AuthorizationResourceTypeMismatch",
  "AuthorizationServiceMismatch",
  "AuthorizationSourceIPMismatch",
  "InsufficientAccountPermissions",
  "InvalidAuthenticationInfo",
  "KeyBasedAuthenticationNotPermitted",
  "NoAuthenticationInformation",
  "PublicAccessNotPermitted",
]);
/** Names of what the identity client throws. */
const LOGIN = new Set([
  "AggregateAuthenticationError",
  "AuthenticationError",
  "AuthenticationRequiredError",
  "CredentialUnavailableError",
]);
/** The identity client's words for an authority that does not answer. */
const OUTAGE = /endpoints_resolution_error|network_error|ENOTFOUND|EAI_AGAIN|ECONN|ETIMEDOUT|socket hang up|timed out/i;
const THROTTLED = new Set(["ServerBusy", "TooManyRequests", "AccountLimitExceeded"]);
const NO_CONTAINER = new Set(["ContainerNotFound", "ContainerDisabled", "InvalidResourceName"]);
const CUSTOMER_KEY = /CustomerSpecifiedEncryption/;
const EXISTS = new Set(["BlobAlreadyExists", "ConditionNotMet", "TargetConditionNotMet"]);

/** The service's word for what went wrong; of a HEAD only the header has it. */
export function azureCode(thrown: unknown): string {
  const error = thrown as Thrown | undefined;
  return error?.details?.errorCode ?? error?.response?.headers?.get("x-ms-error-code") ?? error?.code ?? "";
}

export function azureStatus(thrown: unknown): number {
  return (thrown as Thrown | undefined)?.statusCode ?? 0;
}

export function isNoContainer(thrown: unknown): boolean {
  return NO_CONTAINER.has(azureCode(thrown));
}

/** True where the object is not there; a container that is not there is another matter. */
export function isNoBlob(thrown: unknown): boolean {
  return azureStatus(thrown) === 404 && !isNoContainer(thrown);
}

/** True where the service does not take the login, or not for this. */
export function isAzureRefusal(thrown: unknown): boolean {
  const status = azureStatus(thrown);
  return REFUSALS.has(azureCode(thrown)) || LOGIN.has((thrown as Thrown | undefined)?.name ?? "") || status === 401 ||
    status === 403;
}

/** True where Entra ID itself could not be asked: the login is as good as before, and a run waits for it. */
function isLoginOutage(thrown: unknown): boolean {
  if (!LOGIN.has((thrown as Thrown | undefined)?.name ?? "")) return false;
  return azureStatus(thrown) >= 500 || OUTAGE.test((thrown as Thrown).message ?? "");
}

/** Maps what the client threw. `signal` decides whether it was an abort. */
export function azureError(thrown: unknown, place: AzurePlace, signal?: AbortSignal): TidemarkError {
  if (thrown instanceof TidemarkError) return thrown;
  if (signal?.aborted) return new TidemarkError("aborted", "Stopped by request", { cause: thrown });
  const { container, endpoint, key } = place;
  const [code, status] = [azureCode(thrown), azureStatus(thrown)];
  const words = said(thrown as Thrown, code, status);
  const at = `${endpoint} (container ${container}${key === undefined ? "" : `, key ${key}`})`;
  const options = { cause: thrown };

  if (isNoContainer(thrown)) {
    const there = place.containers === undefined
      ? ""
      : place.containers.length === 0
      ? "; there are no containers"
      : `; there are: ${place.containers.join(", ")}`;
    return new TidemarkError("not_found", `No container ${container} at ${endpoint}${there}`, {
      hint: "Set container to minio.bucketName of the source's milvus.yaml, or to the one that holds the backup.",
      ...options,
    });
  }
  if (isLoginOutage(thrown)) {
    return new TidemarkError("unreachable", `Entra ID gave no token for ${endpoint}: ${words}`, {
      hint: "Check that this machine reaches identity.authority, or the endpoint of managed identities.",
      ...options,
    });
  }
  if (isAzureRefusal(thrown)) {
    return new TidemarkError("authentication", `${at} refused the login: ${words}`, {
      hint: clockHint((thrown as Thrown).response?.headers?.get("date")) ??
        "Check the key, the signature's end and rights (sp=), or the identity's role (Storage Blob Data Reader, or Contributor for a destination), and this machine's clock.",
      ...options,
    });
  }
  if (CUSTOMER_KEY.test(code)) {
    return new TidemarkError("refused", `${at} refused: ${words}`, {
      hint: customerKeyHint("customer_key_file", place.customerKey === true),
      ...options,
    });
  }
  if (EXISTS.has(code) || status === 412) {
    return new TidemarkError("refused", `Object ${key ?? ""} exists already in container ${container}`, options);
  }
  if (code === "BlobArchived" || code === "BlobBeingRehydrated") {
    return new TidemarkError("refused", `${at} is in the archive tier: ${words}`, {
      hint: "Bring it back to the hot or cool tier first.",
      ...options,
    });
  }
  if (status === 404) {
    return new TidemarkError("not_found", `No object ${key ?? ""} in container ${container} at ${endpoint}`, options);
  }
  if (THROTTLED.has(code) || status === 429 || status === 503) {
    return new TidemarkError("throttled", `${at} asks to slow down: ${words}`, {
      hint: "Lower max_concurrency or limits.bandwidth if it lasts.",
      ...options,
    });
  }
  const network = (status === 0 ? certificateError(thrown, endpoint, words) : undefined) ??
    networkError(thrown, { endpoint, server: "blob service", answered: status !== 0 });
  if (network !== undefined) return network;
  if (status >= 500) return new TidemarkError("unreachable", `${at} failed: ${words}`, options);
  if (status >= 400) return new TidemarkError("refused", `${at} refused: ${words}`, options);
  return toTidemarkError(thrown);
}

/** The service's sentence without the request's id and time, which follow it on lines of their own. */
function said(error: Thrown, code: string, status: number): string {
  const sentence = (error.message ?? "").split("\n")[0]!.trim();
  return [code, sentence].filter((part) => part !== "").join(": ") || `HTTP ${status}`;
}
