/** What a broker, the network or the log itself says, as errors that tell how to mend it. */
import { TidemarkError } from "../../../pipeline/errors.ts";
import type { LogBounds, Position } from "../../../pipeline/model/mod.ts";
import { pulsarPositions } from "../../../pipeline/positions/mod.ts";
import { ServerError } from "../../../pipeline/proto/gen/pulsar_api_pb.ts";
import { AFRESH, lostByBounds, lostByRemoval } from "../position.ts";

/** A broker refused a request. */
export class BrokerError extends Error {
  readonly code: ServerError;

  constructor(code: ServerError, message: string) {
    super(`${ServerError[code] ?? `error ${code}`}: ${firstLine(message)}`);
    this.name = "BrokerError";
    this.code = code;
  }
}

/** A connection ended, or was not made. */
export class ConnectionError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = "ConnectionError";
  }
}

/** Java sends its stack along. */
function firstLine(message: string): string {
  const line = message.split("\n", 1)[0]!.trim();
  return line.length > 300 ? `${line.slice(0, 300)}…` : line;
}

export function isTopicUnknown(thrown: unknown): boolean {
  return thrown instanceof BrokerError && thrown.code === ServerError.TopicNotFound;
}

const REFUSED_LOGIN: ReadonlySet<ServerError> = new Set([ServerError.AuthenticationError]);
const REFUSED_RIGHT: ReadonlySet<ServerError> = new Set([ServerError.AuthorizationError]);
/** Repeating does not mend them. */
const HOPELESS: ReadonlySet<ServerError> = new Set([
  ServerError.InvalidTopicName,
  ServerError.UnsupportedVersionError,
  ServerError.NotAllowedError,
]);
const CERTIFICATE =
  /certificate|UnknownIssuer|NotValidForName|CertExpired|self.signed|UNABLE_TO_VERIFY|ALTNAME|tls handshake/i;

/** `what`: for the sentence, `Pulsar at pulsar:6650`. Aborts and TidemarkErrors pass unchanged. */
export function pulsarError(thrown: unknown, what: string): TidemarkError | DOMException {
  if (thrown instanceof TidemarkError) return thrown;
  if (thrown instanceof DOMException && thrown.name === "AbortError") return thrown;
  const detail = thrown instanceof Error ? thrown.message : String(thrown);
  if (thrown instanceof BrokerError) {
    if (REFUSED_LOGIN.has(thrown.code)) {
      return new TidemarkError("authentication", `${what} refused the login: ${detail}`, {
        hint: "Check sources.log.token or token_file (is it expired?), or the client's certificate.",
        cause: thrown,
      });
    }
    if (REFUSED_RIGHT.has(thrown.code)) {
      return new TidemarkError("authentication", `${what} denied access: ${detail}`, {
        hint: "The role needs the right consume on the namespace: pulsar-admin namespaces grant-permission " +
          "--role ROLE --actions consume TENANT/NAMESPACE",
        cause: thrown,
      });
    }
    if (isTopicUnknown(thrown)) {
      return new TidemarkError("not_found", `${what}: ${detail}`, {
        hint: "Check sources.log.address, tenant and namespace, and the name of the source's channels in its metadata.",
        cause: thrown,
      });
    }
    if (HOPELESS.has(thrown.code)) {
      return new TidemarkError("unsupported", `${what} refused: ${detail}`, { cause: thrown });
    }
    return new TidemarkError("unreachable", `${what} is not ready: ${detail}`, { cause: thrown });
  }
  if (CERTIFICATE.test(`${detail} ${String((thrown as { code?: unknown } | undefined)?.code ?? "")}`)) {
    return new TidemarkError("unreachable", `${what} showed a certificate that is not trusted: ${detail}`, {
      hint:
        "Set sources.log.tls.ca_file to the brokers' certificate authority, and server_name where the name differs.",
      cause: thrown,
      retriable: false,
    });
  }
  return new TidemarkError("unreachable", `${what} cannot be reached: ${detail}`, {
    hint:
      "Check sources.log.address, that the brokers' advertised addresses can be reached from here (or name the proxy), " +
      "and whether they want TLS (pulsar+ssl://) or a token.",
    cause: thrown,
  });
}

const KEEP = "give the namespace a longer retention than any pause of a run: " +
  "pulsar-admin namespaces set-retention TENANT/NAMESPACE --time 7d --size -1";

const { format } = pulsarPositions;

/** `wanted` is not in the log. */
export function lostPosition(topic: string, wanted: Position, why: string): TidemarkError {
  return new TidemarkError("position_lost", `Topic ${topic} does not hold ${format(wanted)} any more: ${why}`, {
    hint: `${AFRESH} To keep it from happening again, ${KEEP}.`,
  });
}

export function lostOutside(
  topic: string,
  wanted: Position,
  bounds: Pick<LogBounds, "earliest" | "latest">,
): TidemarkError {
  return lostByBounds(topic, wanted, bounds, pulsarPositions, KEEP);
}

/** Another message stands where the last one that was read stood. */
export function lostBySeal(topic: string, at: Position, expected: string, found: string): TidemarkError {
  return new TidemarkError(
    "position_lost",
    `At ${
      format(at)
    } of topic ${topic} stands another message than the one that was read there (${found}, it was ${expected})`,
    { hint: `${AFRESH} The source's log was replaced: its content may be another one altogether.` },
  );
}

/** The record that the topic was known by is not there: `there` says what is. */
export function lostByWitness(
  topic: string,
  wanted: Position,
  { ledger, entry, seal }: { readonly ledger: bigint; readonly entry: bigint; readonly seal: string },
  there: string,
): TidemarkError {
  return new TidemarkError(
    "position_lost",
    `Topic ${topic} is another one than ${
      format(wanted)
    } was read from: its message ${ledger}:${entry} was ${seal}, and ` +
      `there is ${there}`,
    { hint: `${AFRESH} The topic was made anew or its server rebuilt: its content may be another one altogether.` },
  );
}

export function lostTopic(topic: string): TidemarkError {
  return lostByRemoval(topic, "sources.log.address, tenant and namespace still name the source's Pulsar");
}
