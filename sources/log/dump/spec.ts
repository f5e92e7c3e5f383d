/** Config of the log source that asks Milvus itself for its log. */
import { z } from "zod";
import { duration, size } from "../../../pipeline/units/mod.ts";

const ADDRESS = /^(?:https?:\/\/)?(?:\[[0-9a-fA-F:.]+\]|[^\s/:@]+)(?::\d{1,5})?\/?$/;

/** `sources.log` of `type: milvus`. */
export const dumpLogSpec = z.strictObject({
  type: z.literal("milvus").describe(
    "Milvus itself, by its DumpMessages on its ordinary port: no access to the queue is needed. 3.0, and 2.6 from 2.6.20 on: 2.6.14 to 2.6.19 leave out the rows of transactions, which is every upsert",
  ),
  address: z.string().regex(ADDRESS, "expected host:port or https://host:port, for example source:19530")
    .describe("Address of the source as host:port; https:// in front turns TLS on"),
  queue: z.enum(["woodpecker", "kafka", "pulsar"]).default("woodpecker").describe(
    "The queue behind it, whose places the log has: mq.type of the source's milvus.yaml, and the key config/mqtype below etcd.rootPath",
  ),
  token: z.string().min(1).optional().meta({ secret: true }).describe(
    "Login as user:password, or an API key; newer releases want the role admin for it",
  ),
  token_file: z.string().min(1).optional().describe("File that holds the token; read again where it is refused"),
  tls: z.strictObject({
    ca_file: z.string().min(1).optional().describe(
      "PEM file with the certificate authority of the source; left out for those that the system trusts",
    ),
    cert_file: z.string().min(1).optional().describe("PEM file with the client certificate, for mutual TLS"),
    key_file: z.string().min(1).optional().describe("PEM file with the key of the client certificate"),
    server_name: z.string().min(1).optional().describe(
      "Name to expect in the source's certificate where it differs from the address",
    ),
    insecure_skip_verify: z.boolean().default(false).describe("Accept any certificate; for tests only"),
  }).optional().describe("Give it, even empty, where the source speaks TLS"),
  max_message_bytes: size({ min: 1024 * 1024, max: 2 ** 31 - 1 }).prefault("128MiB").describe(
    "Largest message of the log that is taken",
  ),
  request_timeout_ms: duration({ minMs: 1000, maxMs: 600_000 }).prefault("30s").describe(
    "After this a request that was not answered counts as failed",
  ),
  idle_poll_ms: duration({ minMs: 500, maxMs: 3_600_000 }).prefault("10s").describe(
    "How often the source is asked whether a channel on which nothing comes has ended: the first time after half a second, then less and less often up to this. Each time the source writes a time tick into its log",
  ),
}).superRefine((config, context) => {
  const issue = (path: string[], message: string): void => context.addIssue({ code: "custom", path, message });
  if (config.token !== undefined && config.token_file !== undefined) {
    issue(["token_file"], "token and token_file exclude each other");
  }
  const { cert_file: cert, key_file: key } = config.tls ?? {};
  if ((cert === undefined) !== (key === undefined)) issue(["tls", "cert_file"], "cert_file and key_file go together");
  if (config.tls !== undefined && config.address.startsWith("http://")) {
    issue(["address"], "http:// and tls contradict each other: write https:// or leave the scheme out");
  }
});

export type DumpLogConfig = z.output<typeof dumpLogSpec>;
