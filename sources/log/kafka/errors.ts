/**
 * What the Kafka client's nested errors mean. The client wraps a refused login three levels deep in "Cannot connect to any
 * broker" and a lost position in a response error, so every reason is looked for in the whole tree.
 */
import { TidemarkError } from "../../../pipeline/errors.ts";

/** Every error below `thrown`: itself, its `cause`, its `errors`, and theirs. */
export function* errorTree(thrown: unknown, depth = 0): Generator<Record<string, unknown>> {
  if (typeof thrown !== "object" || thrown === null || depth > 8) return;
  const error = thrown as Record<string, unknown>;
  yield error;
  if (Array.isArray(error.errors)) { for (const inner of error.errors) yield* errorTree(inner, depth + 1); }
  yield* errorTree(error.cause, depth + 1);
}

/** True if the broker answered with the protocol error `id`, for example `OFFSET_OUT_OF_RANGE`. */
export function hasProtocolError(thrown: unknown, id: string): boolean {
  for (const error of errorTree(thrown)) if (error.apiId === id) return true;
  return false;
}

const UNKNOWN_TOPIC = /^Unknown topic /;

/** True if the cluster does not know the topic (any more, or under that id). */
export function isUnknownTopic(thrown: unknown): boolean {
  for (const error of errorTree(thrown)) {
    if (error.apiId === "UNKNOWN_TOPIC_OR_PARTITION" || error.apiId === "UNKNOWN_TOPIC_ID") return true;
    if (typeof error.message === "string" && UNKNOWN_TOPIC.test(error.message)) return true;
  }
  return false;
}

const AUTHORIZATION = new Set([
  "TOPIC_AUTHORIZATION_FAILED",
  "GROUP_AUTHORIZATION_FAILED",
  "CLUSTER_AUTHORIZATION_FAILED",
]);

const CERTIFICATE = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "CERT_HAS_EXPIRED",
  "ERR_TLS_CERT_ALTNAME_INVALID",
]);

const CERTIFICATE_TEXT = /certificate|UnknownIssuer|NotValidForName|CertExpired|tls handshake/i;

/** The innermost message that says something, for people. */
export function innermostMessage(thrown: unknown): string {
  let message = thrown instanceof Error ? thrown.message : String(thrown);
  for (const error of errorTree(thrown)) {
    if (typeof error.message !== "string" || error.message === "") continue;
    message = typeof error.serverErrorMessage === "string" && error.serverErrorMessage !== ""
      ? error.serverErrorMessage
      : typeof error.apiId === "string"
      ? `${error.apiId}: ${error.message}`
      : error.message;
  }
  return message;
}

/** `what`: what was asked, for the sentence: `Kafka at b1:9092, b2:9092`. Aborts and TidemarkErrors pass unchanged. */
export function kafkaError(thrown: unknown, what: string): TidemarkError | DOMException {
  if (thrown instanceof TidemarkError) return thrown;
  if (thrown instanceof DOMException && thrown.name === "AbortError") return thrown;
  const detail = innermostMessage(thrown);
  for (const error of errorTree(thrown)) {
    if (error instanceof TidemarkError) return error;
    if (error.code === "PLT_KFK_AUTHENTICATION" || error.apiId === "SASL_AUTHENTICATION_FAILED") {
      return new TidemarkError("authentication", `${what} refused the login: ${detail}`, {
        hint: "Check sources.log.sasl: mechanism, username and password must be the ones the brokers know.",
        cause: thrown,
      });
    }
    if (typeof error.apiId === "string" && AUTHORIZATION.has(error.apiId)) {
      return new TidemarkError("authentication", `${what} denied access: ${detail}`, {
        hint: "The user needs the rights Describe and Read on the topics of the source's channels.",
        cause: thrown,
      });
    }
    if (error.message === "Broker requires TLS.") {
      return new TidemarkError("unreachable", `${what} speaks TLS, but plain text was tried`, {
        hint: "Set sources.log.tls.",
        cause: thrown,
        retriable: false,
      });
    }
    if (
      CERTIFICATE.has(String(error.code)) ||
      (typeof error.message === "string" && CERTIFICATE_TEXT.test(error.message))
    ) {
      return new TidemarkError("unreachable", `${what} showed a certificate that is not trusted: ${detail}`, {
        hint:
          "Set sources.log.tls.ca_file to the brokers' certificate authority, and server_name where the name differs.",
        cause: thrown,
        retriable: false,
      });
    }
    if (error.code === "PLT_KFK_UNSUPPORTED_API" || error.code === "PLT_KFK_UNSUPPORTED_COMPRESSION") {
      return new TidemarkError("unsupported", `${what} cannot be read: ${detail}`, {
        hint: "Kafka 2.8 or newer is needed.",
        cause: thrown,
      });
    }
  }
  if (isUnknownTopic(thrown)) {
    return new TidemarkError("not_found", `${what}: ${detail}`, {
      hint: "Check sources.log.brokers, and the name of the source's channels in its metadata.",
      cause: thrown,
    });
  }
  return new TidemarkError("unreachable", `${what} cannot be reached: ${detail}`, {
    hint:
      "Check sources.log.brokers, that every address the brokers advertise can be reached from here, and whether they want a client certificate (sources.log.tls.cert_file).",
    cause: thrown,
  });
}

/** True for what the client throws while it parses a response, as opposed to what a broker or the network says. */
export function isUndecodable(thrown: unknown): boolean {
  for (const error of errorTree(thrown)) {
    if (error.code === "OUT_OF_BOUNDS" || error instanceof RangeError) return true;
    if (typeof error.code === "string" && /^(ZSTD_|Z_)/.test(error.code)) return true;
  }
  return false;
}
