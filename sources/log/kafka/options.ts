/** The configuration in the words of the Kafka client, without the client: a wrong path is found before it is loaded. */
import { TidemarkError } from "../../../pipeline/errors.ts";
import type { KafkaLogConfig } from "./spec.ts";

/** Of every consumer; as the client names them. */
export interface KafkaClientOptions {
  clientId: string;
  groupId: string;
  bootstrapBrokers: string[];
  retries: number;
  requestTimeout: number;
  autocreateTopics: boolean;
  isolationLevel: 0 | 1;
  sasl?: {
    mechanism: NonNullable<KafkaLogConfig["sasl"]>["mechanism"];
    username: string;
    password: string | (() => Promise<string>);
  };
  /** PEM contents, not paths. */
  tls?: { rejectUnauthorized: boolean; ca?: string; cert?: string; key?: string; servername?: string };
}

/** Reads the certificate files. Throws `config` where one cannot be read. */
export async function kafkaOptions(config: KafkaLogConfig): Promise<KafkaClientOptions> {
  const options: KafkaClientOptions = {
    clientId: config.client_id,
    // Asked for by the client, never sent by metadata, listOffsets and fetch.
    groupId: config.client_id,
    bootstrapBrokers: config.brokers,
    // Back-off is `topic_tail.ts`'s own.
    retries: 0,
    requestTimeout: config.request_timeout_ms,
    autocreateTopics: false,
    isolationLevel: 0,
  };
  if (config.sasl !== undefined) {
    const { mechanism, username, password, password_file: file } = config.sasl;
    // Read at every connect, so that it may change; read here, so that a wrong path is found at once.
    if (file !== undefined) await readText(file, "sasl.password_file");
    options.sasl = {
      mechanism,
      username,
      password: file === undefined ? password! : async () => (await readText(file, "sasl.password_file")).trimEnd(),
    };
  }
  if (config.tls?.enabled) {
    const { ca_file: ca, cert_file: cert, key_file: key, server_name: name, insecure_skip_verify: skip } = config.tls;
    options.tls = {
      rejectUnauthorized: !skip,
      ...(ca === undefined ? {} : { ca: await readText(ca, "tls.ca_file") }),
      ...(cert === undefined ? {} : { cert: await readText(cert, "tls.cert_file") }),
      ...(key === undefined ? {} : { key: await readText(key, "tls.key_file") }),
      ...(name === undefined ? {} : { servername: name }),
    };
  }
  return options;
}

async function readText(path: string, key: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (cause) {
    throw new TidemarkError("config", `sources.log.${key} names ${path}, which cannot be read`, {
      hint: "Give the path of a file that this process may read.",
      cause,
    });
  }
}
