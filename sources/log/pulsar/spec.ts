/** Config of the log source on Pulsar. */
import { z } from "zod";
import { duration, size } from "../../../pipeline/units/mod.ts";
import { brokerTls } from "../tls_spec.ts";

const ADDRESS = /^(pulsar(\+ssl)?:\/\/)?(\[[0-9a-fA-F:]+\]|[^\s:/,]+):\d{1,5}$/;
const NAME = /^[^\s/]+$/;

const tls = brokerTls({
  enabled: "Speak TLS to the brokers; pulsar+ssl:// says so, too",
  cert: "PEM file with the client's certificate, for mutual TLS; without a token it is the login",
});

/** `sources.log` of `type: pulsar`. */
export const pulsarLogSpec = z.strictObject({
  type: z.literal("pulsar").describe("Apache Pulsar"),
  address: z.string().regex(ADDRESS, "expected pulsar://host:port or pulsar+ssl://host:port, for example pulsar:6650")
    .describe(
      "A broker, or the proxy in front of the brokers: pulsar.address and pulsar.port of the source's milvus.yaml",
    ),
  tenant: z.string().regex(NAME, "expected no blanks and no slashes").default("public")
    .describe("Tenant of the channels' topics: pulsar.tenant of the source's milvus.yaml"),
  namespace: z.string().regex(NAME, "expected no blanks and no slashes").default("default")
    .describe("Namespace of the channels' topics: pulsar.namespace of the source's milvus.yaml"),
  token: z.string().min(1).optional().meta({ secret: true }).describe("Token (JWT) of a role that may consume"),
  token_file: z.string().min(1).optional().describe(
    "File that holds the token; read at every login and whenever a broker asks for a new one, so that it may be renewed",
  ),
  tls: tls.optional().describe("Encryption; left out for plain text"),
  admin: z.string().regex(/^https?:\/\/[^\s/]+\/?$/, "expected http://host:port or https://host:port").optional()
    .describe("The brokers' web service, where check may ask for the namespace's retention; nothing else needs it"),
  subscription_prefix: z.string().regex(/^[^\s/]+$/, "expected no blanks and no slashes").default("tidemark")
    .describe(
      "Begin of the names of its readers; brokers with subscriptionAuthMode: Prefix want the role's name there",
    ),
  receive_bytes: size({ min: 64 << 10, max: 1 << 30 }).prefault("2MiB")
    .describe(
      "Compressed bytes that are asked for ahead of what was read, of each topic; a single larger message is taken",
    ),
  request_timeout_ms: duration({ minMs: 1000, maxMs: 600_000 }).prefault("15s")
    .describe("After this a request that was not answered counts as failed"),
}).superRefine((value, context) => {
  if (value.token !== undefined && value.token_file !== undefined) {
    context.addIssue({ code: "custom", path: ["token_file"], message: "token and token_file exclude each other" });
  }
  if (value.address.startsWith("pulsar://") && value.tls?.enabled === true) {
    context.addIssue({ code: "custom", path: ["tls"], message: "pulsar:// is plain text: write pulsar+ssl://" });
  }
});

export type PulsarLogConfig = z.output<typeof pulsarLogSpec>;
