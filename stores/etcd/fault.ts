/** etcd's failures in Tidemark's words. */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { WireError } from "./wire.ts";

/** gRPC status codes that etcd uses. */
const STATUS = {
  cancelled: 1,
  invalidArgument: 3,
  deadlineExceeded: 4,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  outOfRange: 11,
  unavailable: 14,
  unauthenticated: 16,
} as const;

/** The login token expired or the server forgot it (restart): logging in again helps. */
export function isStaleToken(error: WireError): boolean {
  return error.status === STATUS.unauthenticated && error.details.includes("invalid auth token") ||
    error.details.includes("revision of auth store is old");
}

/** The request never left this machine, so sending it elsewhere cannot apply it twice. */
export function wasNeverSent(error: WireError): boolean {
  return error.status === STATUS.unavailable &&
    /^No connection established|^Name resolution failed/.test(error.details);
}

/**
 * `unreachable`: no answer, no leader, timeouts; `throttled`: too many requests; `authentication`: wrong user, password,
 * missing right, login needed; `position_lost`: the revision was compacted away; `refused`: everything else, with etcd's
 * own words. `context` says what was asked, for example `reading by-dev/meta/`.
 */
export function etcdFault(error: WireError, address: string, timeoutMs: number, context: string): TidemarkError {
  const { status, details } = error;
  if (details.includes("required revision has been compacted")) {
    return new TidemarkError(
      "position_lost",
      `etcd at ${address} has compacted away the revision needed for ${context}`,
      {
        hint: "Read the metadata again; if this comes back, raise etcd's auto-compaction-retention on the source.",
        cause: error,
      },
    );
  }
  if (status === STATUS.permissionDenied || details.includes("permission denied")) {
    return new TidemarkError("authentication", `etcd at ${address} denies permission for ${context}`, {
      hint:
        "Grant the user's role the read right on the whole root path: etcdctl role grant-permission ROLE read --prefix=true ROOT",
      cause: error,
    });
  }
  if (
    status === STATUS.unauthenticated || details.includes("authentication failed") ||
    details.includes("user name is empty")
  ) {
    const empty = details.includes("user name is empty");
    return new TidemarkError(
      "authentication",
      empty ? `etcd at ${address} wants a login` : `etcd at ${address} refuses the login: ${words(details)}`,
      { hint: "Set username and password (or password_file) to those of an etcd user.", cause: error },
    );
  }
  if (details.includes("authentication is not enabled")) {
    return new TidemarkError(
      "authentication",
      `etcd at ${address} has no login enabled, but a username is configured`,
      {
        hint: "Remove username and password from the configuration, or enable etcd's authentication.",
        cause: error,
      },
    );
  }
  if (status === STATUS.resourceExhausted && details.includes("too many requests")) {
    return new TidemarkError("throttled", `etcd at ${address} asks to slow down: ${words(details)}`, { cause: error });
  }
  if (status === STATUS.deadlineExceeded) {
    return new TidemarkError("unreachable", `etcd at ${address} did not answer within ${timeoutMs} ms (${context})`, {
      hint: "Check the address and whether a firewall is in between; a slow etcd may need a larger dial_timeout_ms.",
      cause: error,
    });
  }
  if (status === STATUS.unavailable || status === STATUS.cancelled || details.includes("Received RST_STREAM")) {
    return new TidemarkError("unreachable", `etcd at ${address} cannot be reached: ${words(details)}`, {
      hint:
        "Check host and port of the etcd endpoints, that etcd runs, and that `tls` is set exactly where the server uses TLS.",
      cause: error,
    });
  }
  return new TidemarkError("refused", `etcd at ${address} refuses ${context}: ${words(details)}`, { cause: error });
}

function words(details: string): string {
  return details.replace(/^etcdserver: /, "") || "no reason given";
}
