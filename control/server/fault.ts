/** An answer that says no: RFC 9457 problem details, with the codes of the error tree. */
import { type TidemarkError, toTidemarkError } from "../../pipeline/errors.ts";
import type { ErrorCode } from "../../pipeline/errors.ts";

export interface FaultProblem {
  readonly pointer: string;
  readonly message: string;
  readonly line?: number;
  readonly column?: number;
}

/** Thrown by whoever serves a request. */
export class Fault extends Error {
  readonly status: number;
  readonly code: string;
  readonly hint: string | undefined;
  readonly problems: readonly FaultProblem[];

  constructor(
    status: number,
    code: string,
    message: string,
    more: { readonly hint?: string; readonly problems?: readonly FaultProblem[] } = {},
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.hint = more.hint;
    this.problems = more.problems ?? [];
  }
}

const STATUS: Partial<Record<ErrorCode, number>> = {
  usage: 400,
  config: 422,
  not_found: 404,
  locked: 409,
  unreachable: 503,
  throttled: 503,
  aborted: 503,
};

/** Any error as an answer; one that nobody foresaw says nothing of the inside. */
export function faultOf(thrown: unknown): Fault {
  if (thrown instanceof Fault) return thrown;
  const error: TidemarkError = toTidemarkError(thrown);
  if (error.code === "unexpected") {
    return new Fault(500, "unexpected", "Something went wrong; the server's log says what");
  }
  return new Fault(STATUS[error.code] ?? 502, error.code, error.message, {
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}

export function faultBody(fault: Fault): object {
  return {
    type: `urn:tidemark:${fault.code}`,
    title: fault.message,
    status: fault.status,
    code: fault.code,
    ...(fault.hint === undefined ? {} : { hint: fault.hint }),
    ...(fault.problems.length === 0 ? {} : { problems: fault.problems }),
  };
}
