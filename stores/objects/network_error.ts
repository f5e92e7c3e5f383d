/** Errors below HTTP: the network's, and of certificates. */
import { TidemarkError } from "../../pipeline/errors.ts";

interface Thrown {
  readonly name?: string;
  readonly code?: string;
  readonly message?: string;
  readonly errors?: readonly Thrown[];
  readonly cause?: unknown;
}

const NETWORK = /^(ECONN|ENOTFOUND|EAI_|EPIPE|ETIMEDOUT|EHOST|ENET|ERR_SOCKET|ERR_STREAM_PREMATURE|REQUEST_SEND_ERROR)/;
const NETWORK_WORDS =
  /fetch failed|connection|socket|timed? ?out|network|dns|refused|reset by peer|unexpected end|aborted|hang up/i;
const CERTIFICATE = /certificate|CERT_|self.signed|unknown ?issuer|ERR_TLS|tls|ssl/i;

/** Codes of an error and of what it was made of. */
function codesOf(thrown: unknown): string[] {
  const error = thrown as Thrown;
  return [error.code, error.errors?.[0]?.code, (error.cause as Thrown | undefined)?.code]
    .filter((code): code is string => typeof code === "string" && code !== "");
}

/** What an error says, and what it was made of: of `fetch failed` only the cause says why. */
function messagesOf(thrown: unknown): string {
  const { message = "", cause } = thrown as Thrown;
  const { message: why } = (cause ?? {}) as Thrown;
  return why === undefined ? message : `${message}: ${why}`;
}

/** For an error without an answer of the server. Undefined where it is not about certificates. */
export function certificateError(thrown: unknown, endpoint: string, words: string): TidemarkError | undefined {
  if (!codesOf(thrown).some((code) => CERTIFICATE.test(code)) && !CERTIFICATE.test(messagesOf(thrown))) {
    return undefined;
  }
  return new TidemarkError("unreachable", `The certificate of ${endpoint} is not accepted: ${words}`, {
    hint: "Give its certificate authority in tls.ca_file, or use http:// if the server has no TLS.",
    retriable: false,
    cause: thrown,
  });
}

/**
 * `server`: what it is called. `answered`: there was an answer with a status, so that the error's words say nothing of the
 * network. Undefined where it is not the network's.
 */
export function networkError(
  thrown: unknown,
  { endpoint, server, answered }: {
    readonly endpoint: string;
    readonly server: string;
    readonly answered: boolean;
  },
): TidemarkError | undefined {
  const codes = codesOf(thrown);
  const { name } = thrown as Thrown;
  const network = codes.some((code) => NETWORK.test(code)) || name === "TimeoutError" || name === "AbortError" ||
    (!answered && NETWORK_WORDS.test(messagesOf(thrown)));
  if (!network) return undefined;
  return new TidemarkError("unreachable", `Cannot reach ${endpoint}: ${codes[0] ?? messagesOf(thrown)}`, {
    hint: endpoint.startsWith("http://")
      ? `Check that the ${server} runs, that endpoint names its host and port, and whether it wants https://.`
      : `Check that the ${server} runs and that endpoint names its host and port.`,
    cause: thrown,
  });
}
