/**
 * The one error tree of Tidemark. Every failure that a user can meet has a code of the closed list below; the code decides
 * the process' exit status, and with it where docs/troubleshooting.md says what to do.
 */

/** Exit status of the process. One table, used by `control` and by the documentation. */
export const EXIT = {
  ok: 0,
  unexpected: 1,
  usage: 2,
  partial: 3,
  config: 10,
  connection: 11,
  authentication: 12,
  locked: 13,
  positionLost: 14,
  damage: 15,
  sigint: 130,
  sigterm: 143,
} as const;

/** Every error code with the exit status it leads to and whether a retry can help by itself. */
export const ERROR_CODES = {
  /** A bug, or something nobody foresaw. */
  unexpected: { exit: EXIT.unexpected, retriable: false },
  /** The command line is wrong. */
  usage: { exit: EXIT.usage, retriable: false },
  /** Part of the work was done, part failed; each failure was reported. */
  partial: { exit: EXIT.partial, retriable: false },
  /** The configuration does not lint. */
  config: { exit: EXIT.config, retriable: false },
  /** A server cannot be reached, or answered that it is not ready. */
  unreachable: { exit: EXIT.connection, retriable: true },
  /** A server asked to slow down (rate limit, quota, back-pressure). */
  throttled: { exit: EXIT.connection, retriable: true },
  /** Something named does not exist: bucket, root path, topic, collection, file. */
  not_found: { exit: EXIT.connection, retriable: false },
  /** A server or file is of a version or kind that Tidemark does not know. */
  unsupported: { exit: EXIT.connection, retriable: false },
  /** The target refused a request for good: its words are in the message. */
  refused: { exit: EXIT.connection, retriable: false },
  /** The target already holds what the run would create. */
  target_not_empty: { exit: EXIT.connection, retriable: false },
  /** Wrong user, password, token, key or missing right. */
  authentication: { exit: EXIT.authentication, retriable: false },
  /** Another run holds the state. */
  locked: { exit: EXIT.locked, retriable: false },
  /** The log no longer holds the position that is needed, or was replaced. */
  position_lost: { exit: EXIT.positionLost, retriable: false },
  /** Bytes that cannot be what they claim: a broken record, file, checksum or backup. */
  damaged: { exit: EXIT.damage, retriable: false },
  /** Metadata was read in the middle of a change; reading again helps. */
  torn: { exit: EXIT.connection, retriable: true },
  /** The caller's signal fired. */
  aborted: { exit: EXIT.sigterm, retriable: false },
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

export interface TidemarkErrorOptions {
  /** How to mend it, a whole sentence, shown below the message. */
  hint?: string;
  cause?: unknown;
  /** Overrides the code's own answer. */
  retriable?: boolean;
}

/**
 * @example
 * throw new TidemarkError("not_found", "No collection under root path by-dev at etcd:2379", {
 *   hint: "Set sources.meta.root_path to etcd.rootPath of the source's milvus.yaml.",
 * });
 */
export class TidemarkError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly retriable: boolean;

  constructor(code: ErrorCode, message: string, options: TidemarkErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "TidemarkError";
    this.code = code;
    this.hint = options.hint;
    this.retriable = options.retriable ?? ERROR_CODES[code].retriable;
  }

  get exitCode(): number {
    return ERROR_CODES[this.code].exit;
  }
}

/**
 * Wraps whatever was thrown; an abort keeps its meaning, a TidemarkError passes unchanged. Of failures of which the later ones
 * came while the first was cleaned up after (`await using`), it is the first.
 */
export function toTidemarkError(thrown: unknown, code: ErrorCode = "unexpected"): TidemarkError {
  if (thrown instanceof TidemarkError) return thrown;
  if (thrown instanceof SuppressedError) return toTidemarkError(thrown.suppressed, code);
  if (thrown instanceof DOMException && thrown.name === "AbortError") {
    return new TidemarkError("aborted", "Stopped by request", { cause: thrown });
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new TidemarkError(code, message, { cause: thrown });
}

/** Ends a `switch` over a closed union; the compiler refuses it where a case is missing. */
export function assertNever(value: never): never {
  throw new TidemarkError("unexpected", `Unhandled case ${String(value)}`);
}
