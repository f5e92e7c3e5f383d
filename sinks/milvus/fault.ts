/**
 * What a failed call means. Milvus answers in three ways that have to be read together: the gRPC status, `Status.code`
 * (2.3+, the numbers of its pkg/util/merr/errors.go) and the older `Status.error_code` (2.2, and in the 2.x line still
 * filled where an old number fits).
 */
import { type ErrorCode, TidemarkError } from "../../pipeline/errors.ts";
import type { Status } from "../../pipeline/proto/gen/common_pb.ts";

/** The server's own answer, kept as the `cause` of the error that was made from it. */
export class ServerAnswer extends Error {
  /** `rpc`: a gRPC status; `status`: the Status message of an answer. */
  readonly origin: "rpc" | "status";
  /** gRPC status number, or Status.code. */
  readonly code: number;
  /** Status.error_code, 0 for gRPC. */
  readonly legacyCode: number;

  constructor(origin: "rpc" | "status", code: number, legacyCode: number, reason: string) {
    super(reason);
    this.name = "ServerAnswer";
    this.origin = origin;
    this.code = code;
    this.legacyCode = legacyCode;
  }
}

/** gRPC status numbers. */
const RPC = {
  cancelled: 1,
  unknown: 2,
  deadlineExceeded: 4,
  permissionDenied: 7,
  resourceExhausted: 8,
  aborted: 10,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const;

/**
 * An error from a gRPC status other than OK. `address` is the server's, without credentials; `owner`: whose keys are wrong, if
 * they are.
 */
export function rpcFault(
  code: number,
  said: string,
  address: string,
  timeoutMs: number,
  owner = "the sink",
): TidemarkError {
  // grpc-js appends a note that is empty unless it has one.
  const details = said.replace(/[\s.]*Resolution note:\s*$/, "");
  const cause = new ServerAnswer("rpc", code, 0, details);
  if (isMissingRight(details)) {
    return new TidemarkError("authentication", `Milvus at ${address} does not permit this: ${details}`, {
      cause,
      hint: `Grant the user of ${owner} the right to it, or use one with the role admin.`,
    });
  }
  const fault = (kind: ErrorCode, message: string, hint?: string): TidemarkError =>
    new TidemarkError(kind, message, hint === undefined ? { cause } : { hint, cause });
  switch (code) {
    case RPC.unavailable:
      if (CERTIFICATE_WORDS.test(details)) {
        return new TidemarkError(
          "unreachable",
          `Milvus at ${address} has a certificate that is not accepted: ${details}`,
          {
            cause,
            hint:
              `Set tls.ca_file of ${owner} to the server's certificate authority, and server_name where the name differs.`,
            retriable: false,
          },
        );
      }
      return fault(
        "unreachable",
        `Milvus at ${address} cannot be reached: ${details}`,
        "Check the address, that the server runs, whether it wants TLS (https://), and a client certificate (tls.cert_file).",
      );
    case RPC.deadlineExceeded:
      return fault(
        "unreachable",
        `Milvus at ${address} did not answer within ${timeoutMs} ms`,
        `The server may be overloaded; the timeout of ${owner} sets the limit.`,
      );
    case RPC.unauthenticated:
    case RPC.permissionDenied:
      return fault("authentication", `Milvus at ${address} refused the login: ${details}`, loginHint(owner));
    case RPC.resourceExhausted:
      if (isTooLarge(details)) {
        return fault(
          "refused",
          `A message for or from Milvus at ${address} is larger than allowed: ${details}`,
          "Lower max_batch_bytes of the sink, or raise max_message_bytes together with the server's proxy.grpc.serverMaxRecvSize and serverMaxSendSize.",
        );
      }
      return fault("throttled", `Milvus at ${address} asks to slow down: ${details}`);
    case RPC.unimplemented:
      return fault("unsupported", `Milvus at ${address} does not know this operation: ${details}`);
    case RPC.cancelled:
    case RPC.aborted:
      return fault("unreachable", `The call to Milvus at ${address} was cut off: ${details}`);
    case RPC.internal:
      // A stream that broke under the call is INTERNAL too; so is a server that fails to write its own answer (2.3.5 does for AlterIndex).
      if (CUT_OFF_WORDS.test(details)) {
        return fault("unreachable", `The call to Milvus at ${address} was cut off: ${details}`);
      }
      return fault("refused", `Milvus at ${address} failed inside: ${details}`);
    default:
      // Proxies answer an interceptor's refusal as UNKNOWN with the words inside.
      if (LOGIN_WORDS.test(details)) {
        return fault("authentication", `Milvus at ${address} refused the login: ${details}`, loginHint(owner));
      }
      if (NOT_READY_WORDS.test(details)) {
        return fault("unreachable", `Milvus at ${address} is not ready: ${details}`);
      }
      return fault("refused", `Milvus at ${address} answered with gRPC status ${code}: ${details}`);
  }
}

const CERTIFICATE_WORDS =
  /verify the first certificate|self.signed|altnames|certificate has expired|unknown ?issuer|CERT_|unable to get (?:local )?issuer/i;
const CUT_OFF_WORDS = /RST_STREAM|GOAWAY|stream (?:closed|terminated|ended)|connection|socket|session/i;
const LOGIN_HINT = "Set token (user:password or an API key) of the sink; the user needs the rights to write there.";

function loginHint(owner: string): string {
  return owner === "the sink" ? LOGIN_HINT : `Set token (user:password or an API key) of ${owner}.`;
}

const LOGIN_WORDS = /auth check failure|unauthenticated|not authenticated|invalid token|missing authorization/i;
const NOT_READY_WORDS =
  /not ready|is not healthy|node (?:not|is not) (?:ready|serving)|proxy.*(?:abnormal|initializing)/i;

/** Whether the login was taken, but the user may not do this. */
export function isMissingRight(details: string): boolean {
  return /permission deny|permission denied|privilege not permitted/i.test(details);
}

/** Whether a gRPC refusal is about the size of a message. */
export function isTooLarge(details: string): boolean {
  return /larger than (?:max|\d)|message.*too large|exceeds? max/i.test(details);
}

/** True for the error that {@link rpcFault} and {@link statusFault} make of a message beyond a size limit. */
export function isTooLargeFault(error: unknown): boolean {
  return error instanceof TidemarkError && error.cause instanceof ServerAnswer && isTooLarge(error.cause.message);
}

/**
 * Status.code -> what it means; every other number is a refusal, also "resource insufficient" (12): a load that does not fit
 * into the target's memory would otherwise be waited for without end.
 * From Milvus' error table, 2.3 to 3.0.
 */
const CODES: ReadonlyMap<number, ErrorCode> = new Map<number, ErrorCode>([
  [1, "unreachable"], // service not ready
  [2, "unreachable"], // service unavailable
  [3, "throttled"], // memory limit
  [4, "throttled"], // request limit, "too many requests"
  [7, "throttled"], // disk limit
  [8, "throttled"], // rate limit
  [9, "throttled"], // quota exceeded; 2.3: force deny ("deny to write")
  [10, "unsupported"], // unimplemented
  [11, "throttled"], // time tick long delay
  [100, "not_found"], // collection
  [103, "unreachable"], // collection not fully loaded
  [106, "unreachable"], // collection on recovering
  // A part of the target has not heard of a change of the schema yet: no request of ours says which schema it is for.
  [109, "unreachable"], // collection schema mismatch, from 2.6 on
  [200, "not_found"], // partition
  [202, "unreachable"], // partition not fully loaded
  [401, "unreachable"], // replica not available
  [500, "unreachable"], // channel not found: its node has gone, or it is being moved
  [501, "unreachable"], // channel lacks
  [503, "unreachable"], // channel not available
  [504, "throttled"], // channel checkpoint exceeds max lag
  [601, "unreachable"], // segment not loaded
  [602, "unreachable"], // segment lacks
  [700, "not_found"], // index
  [800, "not_found"], // database
  [901, "unreachable"], // node not found
  [902, "unreachable"], // node offline
  [903, "unreachable"], // node lacks
  [904, "unreachable"], // node not match
  [905, "unreachable"], // node not available
  [906, "unreachable"], // node state unexpected: it is stopping
  [1302, "unreachable"], // message queue internal error
  [1303, "throttled"], // deny to write the message to mq
  [1400, "authentication"],
  [1401, "authentication"],
  [1600, "not_found"], // alias
  [1800, "authentication"],
  [1807, "throttled"],
  [3000, "unsupported"],
  [10000, "unreachable"], // canceled
  [10001, "unreachable"], // timeout
]);

const UNEXPECTED_CODE = 65535;

/**
 * The numbers with which a refusal can be about the rows of a request, in 2.3 to 3.0. Others are about the collection or the
 * server, whatever the rows hold. The first two: no number, and milvus-lite's only one.
 */
const CONTENT_CODES: ReadonlySet<number> = new Set([
  0,
  1,
  UNEXPECTED_CODE, // 2.3 has no number for most of what it checks
  1100, // invalid parameter
  1101, // missing parameter
  1102, // parameter too large
  1700, // field not found
  1701, // field name invalid
  1804, // fail to deal the insert data
]);

/** Whether another content of the request might be taken: the server itself said no, for good, and of what it holds. */
export function isContentRefusal(error: unknown): error is TidemarkError {
  return error instanceof TidemarkError && error.code === "refused" && error.cause instanceof ServerAnswer &&
    (error.cause.origin === "rpc" || CONTENT_CODES.has(error.cause.code));
}

/** Status.error_code, consulted where `code` is absent (2.2) or 65535 (an old error that 2.3 wrapped). */
const LEGACY_CODES: ReadonlyMap<number, ErrorCode> = new Map<number, ErrorCode>([
  [2, "unreachable"], // ConnectFailed
  [3, "authentication"], // PermissionDenied
  [4, "not_found"], // CollectionNotExists
  [25, "not_found"], // IndexNotExist
  [28, "not_found"], // CollectionNameNotFound
  [45, "unreachable"], // NotShardLeader
  [46, "unreachable"], // NoReplicaAvailable
  [48, "throttled"], // ForceDeny
  [49, "throttled"], // RateLimit
  [50, "unreachable"], // NodeIDNotMatch
  [53, "throttled"], // MemoryQuotaExhausted
  [54, "throttled"], // DiskQuotaExhausted
  [55, "throttled"], // TimeTickLongDelay
  [56, "unreachable"], // NotReadyServe
  [57, "unreachable"], // NotReadyCoordActivating
  [100, "unreachable"], // DataCoordNA
  [1000, "unreachable"], // DDRequestRace
]);

/** Whether a Status says that the call succeeded. An absent Status does. */
export function isSuccess(status: Status | undefined): boolean {
  return status === undefined || (status.code === 0 && status.errorCode === 0);
}

/**
 * The error that a Status other than success stands for. `what` names the operation in the infinitive for the message:
 * "insert 1000 rows into sales.items".
 */
export function statusFault(status: Status, what: string): TidemarkError {
  const reason = withoutStack(status.reason || status.detail || "no reason given");
  const cause = new ServerAnswer("status", status.code, status.errorCode, reason);
  const kind = classify(status, reason);
  const number = status.code === 0 ? `error_code ${status.errorCode}` : `code ${status.code}`;
  switch (kind) {
    case "throttled":
      return new TidemarkError(kind, `The target asks to slow down (could not ${what}): ${reason} (${number})`, {
        cause,
        hint:
          "It is tried again until the target accepts it; quotas are under quotaAndLimits of the target's milvus.yaml.",
      });
    case "unreachable":
      return new TidemarkError(kind, `The target is not ready (could not ${what}): ${reason} (${number})`, { cause });
    case "authentication":
      return new TidemarkError(kind, `The target does not allow to ${what}: ${reason} (${number})`, {
        cause,
        hint: LOGIN_HINT,
      });
    default:
      return new TidemarkError(kind, `The target refused to ${what}: ${reason} (${number})`, { cause });
  }
}

function classify(status: Status, reason: string): ErrorCode {
  // Missing databases have a number of their own only in newer releases, and another one in milvus-lite.
  if (MISSING_DATABASE.test(reason)) return "not_found";
  if (status.code !== 0 && status.code !== UNEXPECTED_CODE) {
    const known = CODES.get(status.code);
    // milvus-lite answers 1 for everything that has no number; only the real "not ready" is worth waiting for.
    if (status.code <= 2 && !status.retriable && !NOT_READY_CODES.has(status.errorCode)) return "refused";
    if (known !== undefined) return known;
    return status.retriable && status.code !== 12 ? "unreachable" : "refused";
  }
  const known = LEGACY_CODES.get(status.errorCode);
  if (known !== undefined) return known;
  if (THROTTLE_WORDS.test(reason)) return "throttled";
  if (RESTARTING_WORDS.test(reason)) return "unreachable";
  return "refused";
}

const MISSING_DATABASE = /^database\b.*(?:not found|does not exist)/i;
const NOT_READY_CODES: ReadonlySet<number> = new Set([2, 56, 57, 100]);

/** 2.2 and 2.3 wrap some refusals of the rate limiter without a number. */
const THROTTLE_WORDS = /rate limit exceeded|request is rejected by (?:grpc )?ratelimiter|deny to write|force ?deny/i;

/**
 * A cluster whose parts have not found each other again after a restart, or do not answer each other in time because it is
 * overloaded; 2.3 gives no number for it.
 */
const RESTARTING_WORDS =
  /rpc error: code = (?:DeadlineExceeded|Unavailable|Canceled)\b|node not (?:found|match|available)|session not found|service not ready|channel not (?:found|available)|no available (?:node|shard)/i;

/** Some reasons are a Go stack trace with the words at its end: just the words, and not more than a person reads. */
function withoutStack(reason: string): string {
  const lines = reason.trim().split("\n");
  const last = lines.at(-1)!;
  const words = lines.length > 1 && /\.go:\d+ /.test(last) ? last.replace(/^\S+\.go:\d+ [^:]*: /, "") : reason.trim();
  return words.length > 1_000 ? `${words.slice(0, 1_000)}…` : words;
}

/** What 2.3 answers, and nothing else, right after a restart; the same words for ever mean something else. */
const UNRECOVERABLE = /^unrecoverable error$/;

/** Whether a refusal may be gone in a moment: the server is away, asks to slow down, or was just started. */
export function isPassing(error: TidemarkError): boolean {
  if (error.code === "unreachable" || error.code === "throttled") return true;
  return error.cause instanceof ServerAnswer && UNRECOVERABLE.test(error.cause.message);
}

/** The server's own words and number, for a DDL outcome. */
export function serverWords(error: unknown): string {
  if (!(error instanceof TidemarkError)) return error instanceof Error ? error.message : String(error);
  if (!(error.cause instanceof ServerAnswer)) return error.message;
  const { origin, code, legacyCode, message } = error.cause;
  if (origin === "rpc") return `${message} (gRPC status ${code})`;
  return `${message} (${code === 0 ? `error_code ${legacyCode}` : `code ${code}`})`;
}
