import assert from "node:assert/strict";
import { kafkaLogSpec } from "../../../../sources/log/mod.ts";

function problems(config: unknown): string[] {
  const result = kafkaLogSpec.safeParse(config);
  return result.success ? [] : result.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
}

Deno.test("kafkaLogSpec needs nothing but brokers", () => {
  const config = kafkaLogSpec.parse({ type: "kafka", brokers: ["kafka:9092", "[::1]:9092"] });
  assert.equal(config.fetch_max_bytes, 16 * 1024 * 1024);
  assert.equal(config.partition_max_bytes, 512 * 1024);
  assert.equal(config.max_wait_ms, 500);
  assert.equal(config.request_timeout_ms, 15_000);
  assert.equal(config.sasl, undefined);
});

Deno.test("kafkaLogSpec says what is wrong with brokers, login, certificates and times", () => {
  const base = { type: "kafka", brokers: ["kafka:9092"] };
  assert.match(problems({ type: "kafka", brokers: [] }).join(), /brokers/);
  assert.match(problems({ type: "kafka", brokers: ["kafka"] }).join(), /brokers\.0: expected host:port/);
  assert.deepEqual(problems({ ...base, sasl: { username: "u" } }), [
    "sasl.password: sasl needs password or password_file",
  ]);
  assert.deepEqual(problems({ ...base, sasl: { username: "u", password: "p", password_file: "f" } }), [
    "sasl.password_file: password and password_file exclude each other",
  ]);
  assert.deepEqual(problems({ ...base, tls: { cert_file: "c" } }), [
    "tls.cert_file: cert_file and key_file go together",
  ]);
  assert.deepEqual(problems({ ...base, max_wait_ms: "20s", request_timeout_ms: "10s" }), [
    "request_timeout_ms: request_timeout_ms must be longer than max_wait_ms",
  ]);
});
