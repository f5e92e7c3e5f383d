import assert from "node:assert/strict";
import { TidemarkError } from "../../../../pipeline/errors.ts";
import {
  hasProtocolError,
  innermostMessage,
  isUndecodable,
  isUnknownTopic,
  kafkaError,
} from "../../../../sources/log/kafka/errors.ts";

/** An error as the client nests them. */
function nested(inner: Record<string, unknown> & { message: string }): Error {
  const { message, ...rest } = inner;
  const cause = Object.assign(new Error(message), rest);
  return new AggregateError([new Error("Connection to k:9092 failed.", { cause })], "Cannot connect to any broker.");
}

function coded(thrown: unknown): [string, boolean] {
  const error = kafkaError(thrown, "Kafka at k:9092");
  assert.ok(error instanceof TidemarkError);
  assert.ok(error.message.startsWith("Kafka at k:9092"), error.message);
  assert.ok(error.hint !== undefined);
  return [error.code, error.retriable];
}

Deno.test("kafkaError finds the reason however deep the client hides it", () => {
  assert.deepEqual(coded(nested({ message: "connect ECONNREFUSED", code: "ECONNREFUSED" })), ["unreachable", true]);
  assert.deepEqual(coded(nested({ message: "SASL authentication failed.", code: "PLT_KFK_AUTHENTICATION" })), [
    "authentication",
    false,
  ]);
  assert.deepEqual(coded(nested({ message: "denied", apiId: "TOPIC_AUTHORIZATION_FAILED" })), [
    "authentication",
    false,
  ]);
  assert.deepEqual(coded(nested({ message: "self-signed certificate", code: "DEPTH_ZERO_SELF_SIGNED_CERT" })), [
    "unreachable",
    false,
  ]);
  assert.deepEqual(coded(nested({ message: "invalid peer certificate: UnknownIssuer" })), ["unreachable", false]);
  assert.deepEqual(coded(nested({ message: "Broker requires TLS." })), ["unreachable", false]);
  assert.deepEqual(coded(nested({ message: "no zstd", code: "PLT_KFK_UNSUPPORTED_COMPRESSION" })), [
    "unsupported",
    false,
  ]);
  assert.deepEqual(coded(new Error("Unknown topic x.")), ["not_found", false]);
});

Deno.test("kafkaError passes aborts and this program's own errors", () => {
  const abort = new DOMException("stopped", "AbortError");
  assert.equal(kafkaError(abort, "Kafka"), abort);
  const own = new TidemarkError("config", "The file cannot be read");
  assert.equal(kafkaError(own, "Kafka"), own);
  assert.equal(kafkaError(new Error("Connection failed.", { cause: own }), "Kafka"), own);
});

Deno.test("innermostMessage shows what the broker said", () => {
  assert.equal(innermostMessage(nested({ message: "connect ECONNREFUSED" })), "connect ECONNREFUSED");
  assert.equal(innermostMessage(nested({ message: "x", apiId: "INVALID_REQUEST" })), "INVALID_REQUEST: x");
  assert.equal(innermostMessage(nested({ message: "x", serverErrorMessage: "quota" })), "quota");
  assert.equal(innermostMessage("text"), "text");
});

Deno.test("hasProtocolError, isUnknownTopic and isUndecodable look everywhere", () => {
  const range = nested({ message: "x", apiId: "OFFSET_OUT_OF_RANGE" });
  assert.ok(hasProtocolError(range, "OFFSET_OUT_OF_RANGE") && !hasProtocolError(range, "UNKNOWN_TOPIC_ID"));
  assert.ok(isUnknownTopic(nested({ message: "x", apiId: "UNKNOWN_TOPIC_ID" })) && !isUnknownTopic(range));
  assert.ok(isUndecodable(nested({ message: "Out of bounds.", code: "OUT_OF_BOUNDS" })));
  assert.ok(isUndecodable(nested({ message: "x", code: "ZSTD_error_corruption_detected" })) && !isUndecodable(range));
});
