/** Config of the log source: the message queue that carries the source's channels. */
import { z } from "zod";
import { duration, size } from "../../../pipeline/units/mod.ts";
import { brokerTls } from "../tls_spec.ts";

const sasl = z.strictObject({
  mechanism: z.enum(["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]).default("PLAIN")
    .describe("SASL mechanism; Milvus' own key is kafka.saslMechanisms"),
  username: z.string().min(1).describe("User that may read the topics"),
  password: z.string().min(1).optional().meta({ secret: true }).describe("Password of the user"),
  password_file: z.string().min(1).optional().describe("File that holds the password; read at every connect"),
}).superRefine((value, context) => {
  if (value.password === undefined && value.password_file === undefined) {
    context.addIssue({ code: "custom", path: ["password"], message: "sasl needs password or password_file" });
  }
  if (value.password !== undefined && value.password_file !== undefined) {
    context.addIssue({
      code: "custom",
      path: ["password_file"],
      message: "password and password_file exclude each other",
    });
  }
});

const tls = brokerTls({
  enabled: "Speak TLS to the brokers",
  cert: "PEM file with the client's certificate, for mutual TLS",
});

/** `sources.log` of `type: kafka`. */
export const kafkaLogSpec = z.strictObject({
  type: z.literal("kafka").describe("Apache Kafka, or what speaks its protocol"),
  brokers: z.array(
    z.string().regex(/^(\[[0-9a-fA-F:]+\]|[^\s:/]+):\d{1,5}$/, "expected host:port, for example kafka:9092"),
  ).min(1).describe("Brokers to ask first, host:port each; the rest of the cluster is discovered"),
  client_id: z.string().regex(/^\S+$/, "expected no blanks").default("tidemark")
    .describe("Name by which the brokers' logs and quotas know this client"),
  sasl: sasl.optional().describe("Login; left out where the brokers ask for none"),
  tls: tls.optional().describe("Encryption; left out for plain text"),
  fetch_max_bytes: size({ min: 1024, max: 1 << 30 }).prefault("16MiB")
    .describe("Largest response of a fetch, as compressed in the log; one whole batch is always returned"),
  partition_max_bytes: size({ min: 1024, max: 1 << 30 }).prefault("512KiB")
    .describe("Compressed bytes a fetch takes from one topic; more is slower and takes more memory"),
  max_wait_ms: duration({ minMs: 10, maxMs: 30_000 }).prefault("500ms")
    .describe("How long a broker holds a fetch while nothing is new; does not affect latency"),
  request_timeout_ms: duration({ minMs: 1000, maxMs: 600_000 }).prefault("15s")
    .describe("After this a request that was not answered counts as failed; longer than max_wait_ms"),
}).refine((value) => value.request_timeout_ms > value.max_wait_ms, {
  error: "request_timeout_ms must be longer than max_wait_ms",
  path: ["request_timeout_ms"],
});

export type KafkaLogConfig = z.output<typeof kafkaLogSpec>;
