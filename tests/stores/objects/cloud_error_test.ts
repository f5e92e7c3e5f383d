import assert from "node:assert/strict";
import { azureError } from "../../../stores/objects/azure_error.ts";
import { GcsAnswer, gcsError, GcsLoginFailed } from "../../../stores/objects/gcs_error.ts";

const AZURE = { container: "c", endpoint: "https://a.blob.core.windows.net", key: "k" };
const GCS = { bucket: "b", endpoint: "https://storage.googleapis.com", key: "k" };

const thrown = (name: string, message: string, more: object = {}) =>
  Object.assign(new Error(message), { name, ...more });

Deno.test("azureError tells what a retry can mend from what it cannot", () => {
  const code = (error: unknown) => {
    const { code, retriable } = azureError(error, AZURE);
    return [code, retriable];
  };
  const rest = (status: number, word: string) => thrown("RestError", "Words", { statusCode: status, code: word });
  assert.deepEqual(code(rest(403, "AuthorizationPermissionMismatch")), ["authentication", false]);
  assert.deepEqual(code(rest(404, "ContainerNotFound")), ["not_found", false]);
  assert.deepEqual(code(rest(404, "BlobNotFound")), ["not_found", false]);
  assert.deepEqual(code(rest(409, "BlobAlreadyExists")), ["refused", false]);
  assert.deepEqual(code(rest(412, "ConditionNotMet")), ["refused", false]);
  assert.deepEqual(code(rest(409, "BlobArchived")), ["refused", false]);
  assert.deepEqual(code(rest(503, "ServerBusy")), ["throttled", true]);
  assert.deepEqual(code(rest(500, "OperationTimedOut")), ["unreachable", true]);
  assert.deepEqual(code(thrown("RestError", "connect ECONNREFUSED", { code: "ECONNREFUSED" })), ["unreachable", true]);
  assert.deepEqual(code(thrown("RestError", "self-signed certificate", { code: "REQUEST_SEND_ERROR" })), [
    "unreachable",
    false,
  ]);
});

Deno.test("azureError takes an outage of Entra ID for one, not for a wrong login", () => {
  const code = (error: unknown) => azureError(error, AZURE).code;
  assert.equal(
    code(thrown("AuthenticationError", "invalid_client: wrong secret", { statusCode: 401 })),
    "authentication",
  );
  assert.equal(code(thrown("CredentialUnavailableError", "No identity is configured")), "authentication");
  assert.equal(code(thrown("AuthenticationError", "Service Unavailable", { statusCode: 503 })), "unreachable");
  assert.equal(code(thrown("CredentialUnavailableError", "endpoints_resolution_error: See …")), "unreachable");
});

Deno.test("gcsError tells a rate limit from a refusal, and an outage of the login from a wrong one", () => {
  const code = (error: unknown) => gcsError(error, GCS).code;
  assert.equal(code(new GcsAnswer(403, "forbidden", "no right")), "authentication");
  assert.equal(code(new GcsAnswer(403, "userRateLimitExceeded", "slow down")), "throttled");
  assert.equal(code(new GcsAnswer(429, "", "slow down")), "throttled");
  assert.equal(code(new GcsAnswer(412, "conditionNotMet", "")), "refused");
  assert.equal(code(new GcsAnswer(500, "backendError", "")), "unreachable");
  assert.equal(code(new GcsLoginFailed(thrown("GaxiosError", "invalid_grant", { status: 400 }))), "authentication");
  assert.equal(code(new GcsLoginFailed(thrown("GaxiosError", "try later", { status: 503 }))), "unreachable");
  assert.equal(
    code(new GcsLoginFailed(thrown("FetchError", "getaddrinfo ENOTFOUND", { code: "ENOTFOUND" }))),
    "unreachable",
  );
});
